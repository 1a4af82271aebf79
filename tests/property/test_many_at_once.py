"""Pushes, prunes, restores, verifies and repairs of several machines in each other's middle; some never end.

Hypothesis makes up the history: which job runs, what happens at which of its requests, how long a laptop sleeps.
The rules are in many_machines.py; after each step every snapshot in the store is read whole.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from helpers import as_second_reader, profile
from hypothesis import Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from many_machines import CLOCKS, HOUR, Crash, Prune, Push, Repair, Restore, Sleep, Verify, World, small_and_in_order

machines = st.integers(0, len(CLOCKS) - 1)
contents = st.tuples(st.integers(0, 4), st.integers(0, 2))
files = st.dictionaries(st.sampled_from("abc"), contents, min_size=1)
naps = st.sampled_from([1, 60, 14 * 60, 16 * 60, HOUR])
nights = st.sampled_from([11 * HOUR, 21 * HOUR + 1800, 22 * HOUR, 23 * HOUR, 24 * HOUR, 26 * HOUR, 72 * HOUR])
sleeps = st.builds(Sleep, naps | nights)
usually_not = st.integers(0, 5).map(lambda number: number == 5)


def scripts(events, most=3):
    return st.lists(st.tuples(st.integers(0, 12), events), max_size=most).map(tuple)


def jobs(script):
    return st.one_of(
        st.builds(Push, machines, files, script, full_file=usually_not, recheck=usually_not),
        st.builds(Prune, machines, st.integers(1, 3), script, keep_daily=st.integers(0, 1)),
    )


crashes = st.builds(Crash)
alone = jobs(st.just(()))
disturbed = jobs(scripts(sleeps | crashes | alone, 2))
in_the_middle = scripts(st.one_of(sleeps, crashes, alone, disturbed), 4)


class ManyAtOnce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))

    def happen(self, event):
        self.world.happen(event)
        self.world.check()

    @rule(job=jobs(in_the_middle))
    def job(self, job):
        self.happen(job)

    @rule(sleep=sleeps)
    def time_passes(self, sleep):
        self.happen(sleep)

    @rule(age=st.integers(0, 3), script=in_the_middle)
    def restore(self, age, script):
        self.happen(Restore(age, script))

    @rule(script=in_the_middle)
    def verify(self, script):
        self.happen(Verify(script))

    @rule(machine=machines, script=in_the_middle)
    def repair(self, machine, script):
        self.happen(Repair(machine, script))

    def teardown(self):
        try:
            self.world.settle()
            for outcome in set(self.world.outcomes):
                event(outcome)
        finally:
            self.folder.cleanup()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(settings(profile(20), stateful_step_count=8, phases=[Phase.generate]), id="some"),
        pytest.param(
            settings(profile(3000), stateful_step_count=25, derandomize=False, phases=[Phase.generate]),
            id="all",
            marks=pytest.mark.stress,
        ),
    ],
)
def test_no_snapshot_ever_comes_to_harm(options):
    with small_and_in_order():
        run_state_machine_as_test(ManyAtOnce, settings=options)
