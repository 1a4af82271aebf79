"""A store decorator that counts what every request costs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from akosha_snap.stores.base import Store
from akosha_snap.stores.layer import Layer

__all__ = ["CountingStore"]

T = TypeVar("T")


class CountingStore(Layer):
    """Counts the requests that pass through it, and the object bytes they carry.

    Failed requests count, and so do the bytes sent with them: both are paid for. Put it
    inside a RetryingStore, so that each attempt is counted. Thread-safe.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._by_method: Counter[str] = Counter()
        self._sent = 0
        self._received = 0

    @property
    def requests(self) -> int:
        """The number of requests so far."""
        with self._lock:
            return self._by_method.total()

    @property
    def requests_by_method(self) -> dict[str, int]:
        """The number of requests so far by method of the protocol: `{"put": 3, "get": 1}`."""
        with self._lock:
            return dict(self._by_method)

    @property
    def bytes_sent(self) -> int:
        """Bytes of object bodies sent so far, headers not included."""
        with self._lock:
            return self._sent

    @property
    def bytes_received(self) -> int:
        """Bytes of object bodies received so far, listings and headers not included."""
        with self._lock:
            return self._received

    def _request(self, method: str, call: Callable[[], T], *, sent: int = 0) -> T:
        with self._lock:
            self._by_method[method] += 1
            self._sent += sent
        result = call()
        if isinstance(result, bytes):  # only `get` answers with bytes
            with self._lock:
                self._received += len(result)
        return result
