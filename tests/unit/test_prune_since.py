"""Since when a pack counts as unneeded: by the marks of earlier prunes, and in a history where it matters."""

from __future__ import annotations

import datetime as dt

import pytest
from helpers import NOW
from many_machines import HOUR, Prune, Push, Sleep, World, small_and_in_order

from akosha_snap.manifest.prune_mark import PruneMark
from akosha_snap.snapshot.waiting import older_than, unneeded_since

PACK = bytes(32)


def ago(hours: float) -> dt.datetime:
    return NOW - dt.timedelta(hours=hours)


def mark(since: float | None) -> PruneMark:
    """One made an hour ago that says since how many hours the pack has not been needed."""
    return PruneMark(time=ago(1), since={} if since is None else {PACK.hex(): ago(since)})


@pytest.mark.parametrize(
    ("marks", "dropped", "hours"),
    [
        pytest.param([], [], 0, id="no prune has run yet"),
        pytest.param([mark(30)], [], 30, id="as its mark says"),
        pytest.param([mark(30), mark(5)], [], 5, id="the latest of two"),
        pytest.param([mark(30), mark(None)], [], 0, id="one of them found it needed"),
        pytest.param([mark(30), None], [], 0, id="one of them cannot be read"),
        pytest.param([mark(30)], [PACK], 0, id="needed by what is dropped now"),
        pytest.param([mark(-1)], [], 0, id="a mark from the future"),
    ],
)
def test_what_is_not_known_makes_a_pack_stay_longer(marks, dropped, hours):
    since = unneeded_since([PACK], dropped, marks, NOW)
    assert since == {PACK: ago(hours)}
    assert older_than(dt.timedelta(hours=24), since, NOW) == ({PACK} if hours >= 24 else set())


def test_a_pack_that_was_marked_and_then_needed_again(tmp_path):
    """A slow push needs it after all; the next push builds on that one, which is dropped a day after the mark."""
    shared = {"a": (1, 0), "b": (2, 0), "c": (3, 0)}  # two packs, and the chunk list in the second
    first = Push(0, shared)
    slow = Push(1, shared | {"d": (4, 0)}, script=((4, Push(2, {"a": (5, 0)})), (4, Prune(2)), (4, Sleep(20 * HOUR))))
    dropping = ((4, Push(2, {"a": (6, 0)})), (4, Sleep(4.5 * HOUR)), (4, Prune(2)))
    last = Push(0, shared | {"d": (7, 0)}, script=dropping, recheck=True)
    with small_and_in_order():
        world = World(tmp_path)
        for event in (first, slow, Sleep(HOUR), last):
            world.happen(event)
            world.check()
        assert world.outcomes == ["push", "push", "prune", "push", "push", "prune", "push"]
        world.settle()
