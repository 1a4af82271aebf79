"""A store decorator that bounds how long a request may take, whatever the server does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from akosha_snap.deadline import TimeLimit, within
from akosha_snap.errors import TransientStoreError
from akosha_snap.stores.base import Store
from akosha_snap.stores.layer import Layer

__all__ = ["LONGEST_REQUEST", "DeadlineStore"]

T = TypeVar("T")

LONGEST_REQUEST = 300.0
"""Seconds, for a request and an answer of up to 8 MiB; a larger upload gets more at SLOWEST. A server that
sends a byte now and then, which no timeout between two bytes ever stops, does not hold us for longer."""

SLOWEST = 28_000
"""Bytes per second that a link must carry."""


class DeadlineStore(Layer):
    """Raises TransientStoreError for a request without a whole answer after `seconds`.

    Each request runs in a thread of its own, which is left to itself once it is late.
    """

    def __init__(self, inner: Store, seconds: float = LONGEST_REQUEST) -> None:
        super().__init__(inner)
        self._seconds = seconds

    def _request(self, method: str, call: Callable[[], T], *, sent: int = 0) -> T:
        seconds = self._seconds + sent / SLOWEST
        try:
            return within(seconds, call)
        except TimeLimit:
            raise TransientStoreError(
                f"{self.url} did not finish to answer ({method}) in {seconds:.0f} s",
                hint="check the network and the server, then run it again",
            ) from None
