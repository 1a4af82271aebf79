"""A store decorator that asks before anything is stored or deleted."""

from __future__ import annotations

from collections.abc import Callable

from akosha_snap.stores.base import Buffer, Store
from akosha_snap.stores.layer import Layer

__all__ = ["GuardedStore"]


class GuardedStore(Layer):
    """Calls `guard` with the key ahead of each put and delete; what it raises ends the request.

    Put it inside a RetryingStore: then it is asked again before each attempt, however long the
    wait before that was. Uploads in parts are not asked about.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.guard: Callable[[str], None] | None = None

    def put(self, key: str, data: Buffer, *, if_absent: bool = False) -> None:
        """See Store."""
        self._ask(key)
        super().put(key, data, if_absent=if_absent)

    def delete(self, key: str) -> None:
        """See DeletingStore."""
        self._ask(key)
        super().delete(key)

    def _ask(self, key: str) -> None:
        if self.guard is not None:
            self.guard(key)
