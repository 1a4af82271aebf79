"""Pushes, prunes, restores, verifies and repairs of several machines in each other's middle; some never end.

Hypothesis makes up the history: which job runs, what happens at which of its requests, how long a laptop sleeps.
The rules are in many_machines.py; after each step every snapshot in the store is read whole.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from helpers import profile
from hypothesis import Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from many_machines import CLOCKS, HOUR, Crash, Prune, Push, Repair, Restore, Sleep, Verify, World, small_and_in_order

machines = st.integers(0, len(CLOCKS) - 1)
contents = st.tuples(st.integers(0, 4), st.integers(0, 2))
files = st.dictionaries(st.sampled_from("abc"), contents, min_size=1)
naps = st.sampled_from([1, 60, 14 * 60, 16 * 60, HOUR])
nights = st.sampled_from([11 * HOUR, 21 * HOUR + 1800, 22 * HOUR, 23 * HOUR, 24 * HOUR, 26 * HOUR, 72 * HOUR])
sleeps = st.builds(Sleep, naps | nights)
NONE = st.just(())
usually_not = st.integers(0, 5).map(lambda number: number == 5)


def scripts(events, most):
    """Up to `most` events at a time, at up to two of a job's first requests: it has 4 to 20."""
    now_and_later = st.tuples(prunes(NONE), st.builds(Sleep, nights), prunes(NONE))  # it takes two to delete a pack
    some = st.lists(events, min_size=1, max_size=most) | now_and_later
    at_once = st.tuples(st.integers(0, 12), some)
    return st.lists(at_once, max_size=2).map(lambda script: tuple((n, one) for n, events in script for one in events))


def pushes(script):
    return st.builds(Push, machines, files, script, full_file=usually_not, recheck=usually_not)


def prunes(script):
    return st.builds(Prune, machines, st.integers(1, 3), script, keep_daily=st.integers(0, 1))


crashes = st.builds(Crash)
alone = pushes(NONE) | prunes(NONE)
deeper = scripts(sleeps | crashes | alone, 2)
in_the_middle = scripts(sleeps | crashes | alone | pushes(deeper) | prunes(deeper), 4)
reads = st.one_of(
    st.builds(Restore, st.integers(0, 2), in_the_middle),
    st.builds(Verify, in_the_middle),
    st.builds(Repair, machines, in_the_middle),
)


class ManyAtOnce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))

    def happen(self, event):
        self.world.happen(event)
        self.world.check()

    @initialize(push=pushes(NONE))
    def first_push(self, push):
        self.happen(push)

    @rule(push=pushes(in_the_middle))
    def push(self, push):
        self.happen(push)

    @rule(prune=prunes(in_the_middle))
    def prune(self, prune):
        self.happen(prune)

    @rule(prune=prunes(NONE), sleep=st.builds(Sleep, nights), later=prunes(in_the_middle))
    def prune_and_again_later(self, prune, sleep, later):
        self.happen(prune)
        self.happen(sleep)
        self.happen(later)

    @rule(sleep=sleeps)
    def time_passes(self, sleep):
        self.happen(sleep)

    @rule(job=reads)
    def read(self, job):
        self.happen(job)

    def teardown(self):
        try:
            self.world.settle()
            for outcome in set(self.world.outcomes):
                event(outcome)
        finally:
            self.folder.cleanup()


SOME = settings(profile(20), stateful_step_count=10, phases=[Phase.generate])
"""Not shrunk: the steps that fail are printed, and short enough."""

MANY = settings(SOME, max_examples=1000, stateful_step_count=20, derandomize=False)


@pytest.mark.parametrize("options", [SOME, pytest.param(MANY, marks=pytest.mark.stress)], ids=["some", "many"])
def test_no_snapshot_ever_comes_to_harm(options):
    with small_and_in_order():
        run_state_machine_as_test(ManyAtOnce, settings=options)
