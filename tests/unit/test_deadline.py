"""No request outlasts its deadline, and everything else passes through."""

from __future__ import annotations

import threading
import time

import pytest

from akosha_snap.errors import ObjectNotFound, TransientStoreError
from akosha_snap.stores import DeadlineStore, Layer, MemoryStore


class Stuck(Layer):
    """A store that answers `get` only when told to."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.go_on = threading.Event()

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        self.go_on.wait(30)
        return super().get(key, start=start, length=length)


def test_a_request_that_does_not_end_is_given_up():
    inner = Stuck()
    inner.put("a", b"1")
    started = time.monotonic()
    with pytest.raises(TransientStoreError, match="did not finish to answer"):
        DeadlineStore(inner, 0.05).get("a")
    assert time.monotonic() - started < 10
    inner.go_on.set()


def test_answers_and_errors_pass_through():
    store = DeadlineStore(MemoryStore())
    store.put("a", b"12345")
    assert store.get("a", start=1, length=2) == b"23"
    assert store.list_page("").objects == [("a", 5)]
    with pytest.raises(ObjectNotFound):
        store.get("b")
