"""Trying again: when to give up, and when it is damage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from akosha_snap.errors import BusyError, DamageError
from akosha_snap.source.settle import Settled, Unsettled, settle


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def run(attempt: Callable[[frozenset[str]], int], fingerprint: Callable[[], object], clock: Clock) -> Settled[int]:
    return settle(attempt, fingerprint, name="x.duckdb", deadline=10, clock=clock, sleep=clock.sleep)


def failing(times: int, error: Unsettled) -> Callable[[frozenset[str]], int]:
    left = [times]

    def attempt(_: frozenset[str]) -> int:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return 7

    return attempt


def test_settles_at_last() -> None:
    settled = run(failing(4, Unsettled("torn")), lambda: 0, Clock())
    assert (settled.value, settled.tries, settled.tolerated) == (7, 5, {})


def test_busy_at_the_deadline() -> None:
    clock = Clock()
    with pytest.raises(BusyError, match=r"x\.duckdb kept changing for 10 s \(torn\)") as caught:
        run(failing(10_000, Unsettled("torn")), lambda: 0, clock)
    assert caught.value.exit_code == 11
    assert "try again" in caught.value.hint
    assert 109.9 < clock.now < 111


def test_a_failure_that_stays_while_nothing_changes_is_final() -> None:
    clock = Clock()
    with pytest.raises(DamageError):
        run(failing(10_000, Unsettled("block 3", final=DamageError("block 3"))), lambda: 0, clock)
    assert clock.now < 102


def test_a_writer_at_work_is_never_damage() -> None:
    clock = Clock()
    with pytest.raises(BusyError):
        run(failing(10_000, Unsettled("block 3", final=DamageError("block 3"))), lambda: clock.now, clock)


def test_a_failure_elsewhere_is_another_one() -> None:
    count = [0]

    def attempt(_: frozenset[str]) -> int:
        count[0] += 1
        raise Unsettled(f"block {count[0]}", final=DamageError("a block"))

    with pytest.raises(BusyError):
        run(attempt, lambda: 0, Clock())


def test_a_check_that_may_be_left_out() -> None:
    def attempt(left_out: frozenset[str]) -> int:
        if "blocks" not in left_out:
            raise Unsettled("block 3", tolerable="blocks")
        return 7

    settled = run(attempt, lambda: 0, Clock())
    assert (settled.value, settled.tolerated) == (7, {"blocks": "block 3"})
