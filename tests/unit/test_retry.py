"""The retrying decorator: what it repeats, how long it waits, when it gives up."""

from __future__ import annotations

import threading
import time

import pytest

from akosha_snap.errors import ObjectExists, StoreError, TransientStoreError
from akosha_snap.stores import CountingStore, Layer, MemoryStore, RetryingStore


class Failing(Layer):
    """Raises `errors` one after another, then lets requests through."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(MemoryStore())
        self.errors = list(errors)

    def _request(self, method, call, *, sent=0):
        if self.errors:
            raise self.errors.pop(0)
        return call()


class Clock:
    """Time that passes only while asleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def busy(retry_after: float | None = None) -> TransientStoreError:
    return TransientStoreError("cannot write a: 503", hint="wait", retry_after=retry_after)


def stack(*errors: Exception, **options):
    clock = Clock()
    counting = CountingStore(Failing(*errors))
    return RetryingStore(counting, clock=clock, sleep=clock.sleep, **options), counting, clock


def test_a_transient_error_is_tried_again_and_each_try_counts():
    store, counting, clock = stack(busy(), busy())
    store.put("a", b"12345")
    assert store.get("a") == b"12345"
    assert counting.requests_by_method == {"put": 3, "get": 1}
    assert counting.bytes_sent == 15
    assert len(clock.waits) == 2


def test_waits_grow_with_full_jitter(monkeypatch):
    bounds: list[tuple[float, float]] = []
    monkeypatch.setattr("random.uniform", lambda low, high: bounds.append((low, high)) or high)
    store, _, clock = stack(*[busy()] * 8, attempts=9)
    store.put("a", b"")
    assert bounds == [(0, 0.25), (0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0), (0, 10.0), (0, 10.0)]
    assert clock.waits == [high for _, high in bounds]


def test_it_gives_up_after_so_many_attempts():
    store, counting, clock = stack(*[busy(7.0)] * 9, attempts=5)
    with pytest.raises(TransientStoreError) as caught:
        store.head("a")
    assert counting.requests == 5
    assert len(clock.waits) == 4
    assert caught.value.message == "cannot write a: 503 (tried 5 times in 28.0 s)"
    assert caught.value.hint == "wait"
    assert caught.value.retry_after == 7.0


def test_one_attempt():
    store, counting, _ = stack(busy(), attempts=1)
    with pytest.raises(TransientStoreError, match=r"tried once in 0\.0 s"):
        store.head("a")
    assert counting.requests == 1


def test_the_server_says_how_long_to_wait():
    store, _, clock = stack(busy(20.0))
    store.put("a", b"")
    assert clock.waits == [20.0]


def test_no_wait_outlasts_the_deadline():
    store, counting, clock = stack(busy(), busy(500.0), deadline=120.0)
    with pytest.raises(TransientStoreError, match="tried 2 times"):
        store.put("a", b"")
    assert counting.requests == 2
    assert clock.now < 1001.0


@pytest.mark.parametrize("error", [StoreError("no"), ObjectExists("a"), ValueError("bug"), KeyboardInterrupt()])
def test_nothing_else_is_tried_again(error):
    store, counting, _ = stack(error)
    with pytest.raises(type(error)) as caught:
        store.put("a", b"")
    assert caught.value is error
    assert counting.requests == 1


def test_it_is_silent(capfd, caplog):
    store, _, _ = stack(busy())
    store.put("a", b"")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_given_up_job_starts_no_request():
    store, counting, _ = stack()
    store.put("a", b"x")
    store.abort()
    for act in [lambda: store.get("a"), lambda: store.put("b", b""), lambda: store.start_multipart("c")]:
        with pytest.raises(TransientStoreError, match="the job was given up") as caught:
            act()
        assert caught.value.hint
    assert counting.requests == 1


def test_a_request_under_way_is_finished_and_not_repeated():
    class Slow(Failing):
        def _request(self, method, call, *, sent=0):
            store.abort()  # while it is under way
            return super()._request(method, call, sent=sent)

    clock = Clock()
    store = RetryingStore(Slow(), clock=clock, sleep=clock.sleep)
    store.put("a", b"x")
    store = RetryingStore(Slow(busy()), clock=clock, sleep=clock.sleep)
    with pytest.raises(TransientStoreError, match=r"cannot write a: 503 \(tried once in 0\.0 s\)"):
        store.put("a", b"x")
    assert clock.waits == []


def test_a_job_given_up_during_an_injected_sleep_is_not_tried_again():
    counting = CountingStore(Failing(busy()))
    store = RetryingStore(counting, sleep=lambda _: store.abort())
    with pytest.raises(TransientStoreError, match="tried once"):
        store.put("a", b"x")
    assert counting.requests == 1


def test_the_waits_of_all_threads_end_at_once():
    counting = CountingStore(Failing(*[busy(60.0)] * 8))
    store = RetryingStore(counting)
    raised: list[TransientStoreError] = []

    def put(number: int) -> None:
        with pytest.raises(TransientStoreError) as caught:
            store.put(str(number), b"")
        raised.append(caught.value)

    threads = [threading.Thread(target=put, args=[number]) for number in range(8)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    while counting.requests < 8:
        time.sleep(0.001)
    store.abort()
    for thread in threads:
        thread.join(10)
    assert time.monotonic() - started < 5
    assert [error.message[:30] for error in raised] == ["cannot write a: 503 (tried onc"] * 8
    assert counting.requests == 8


def test_without_an_abort_it_really_waits(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: 0.05)
    store = RetryingStore(Failing(busy()))
    started = time.monotonic()
    store.put("a", b"x")
    assert time.monotonic() - started >= 0.05


def test_a_part_is_tried_again():
    store, counting, _ = stack()
    upload = store.start_multipart("k")
    counting.inner.errors = [busy()]
    tag = store.put_part("k", upload, 1, b"xyz")
    store.finish_multipart("k", upload, [tag])
    assert store.get("k") == b"xyz"
    assert counting.requests_by_method["put_part"] == 2
