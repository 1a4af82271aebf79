"""No request outlasts its deadline, and everything else passes through."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from akosha_snap.deadline import TimeLimit, within
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


def test_work_that_is_late_is_told_so_and_its_end_counts_no_more():
    told = threading.Event()
    ended = threading.Event()

    def work() -> None:
        told.wait(10)
        ended.set()
        raise ValueError("too late")

    def give_up() -> None:
        told.set()
        ended.wait(10)
        time.sleep(0.05)

    with pytest.raises(TimeLimit):
        within(0.05, work, give_up=give_up)


def test_an_error_of_the_work_keeps_nothing_alive():
    class Held:
        pass

    def work() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        raise TimeoutError("its own")

    seen: list[weakref.ref[Held]] = []
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(TimeoutError, match="its own") as caught:
            within(5, work)
        assert not isinstance(caught.value, TimeLimit)
        del caught
        assert seen[0]() is None
    finally:
        gc.enable()


def test_answers_and_errors_pass_through():
    store = DeadlineStore(MemoryStore())
    store.put("a", b"12345")
    assert store.get("a", start=1, length=2) == b"23"
    assert [info[:2] for info in store.list_page("").objects] == [("a", 5)]
    with pytest.raises(ObjectNotFound):
        store.get("b")
