"""Whatever the owner of a database does between any two steps of a copy, the copy is of one moment.

Each case begins with a known state, lets the owner act before one step (or two) of the first try, and judges.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_bench import Judge, LiveDatabase, at_each_step, verdict_of

from akosha_snap.source import stage

STATES = {
    "no log": ["checkpoint"],
    "a log": ["checkpoint", "small 0"],
    "row groups in the log": ["checkpoint", "table 0"],
}
ACTS = {
    "commit": ["small 1"],
    "checkpoint": ["checkpoint"],
    "commit, checkpoint": ["small 0", "checkpoint"],
    "checkpoint, commit": ["checkpoint", "small 1"],
    "two checkpoints": ["small 0", "checkpoint", "small 0", "checkpoint"],
    "load": ["load 0"],
    "tables come and go": ["drop 0", "drop 0", "drop 0", "table 1", "load 0"],
    "delete, checkpoint, load": ["delete 0", "drop 0", "checkpoint", "load 0"],
    "undone": ["undone 0"],
    "closed and opened": ["small 0", "reopen"],
    "closed, opened, commit": ["reopen", "small 0"],
    "replaced": ["replace", "small 0"],
    "made anew": ["anew", "small 0"],
    "killed": ["small 0", "kill"],
    "killed and opened": ["load 0", "kill", "start", "small 0"],
}


class Bench:
    """A database, and the copying of it with acts before its steps."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "db").mkdir()
        self.live, self.judge = LiveDatabase(folder / "db", sys.executable, 16_384), Judge(sys.executable)
        self.into = folder / "into"
        self.step = 0
        self.acts: dict[int, str] = {}
        at_each_step(monkeypatch, self.before_step)

    def before_step(self) -> None:
        self.step += 1
        if act := self.acts.get(self.step):
            self.act(ACTS[act])

    def act(self, commands: list[str]) -> None:
        for command in commands:
            match command:
                case "kill":
                    self.live.crash()
                case "start":
                    self.live.start()
                    assert self.live.writer.hear() == "ready"
                case _ if self.live.writer.process.poll() is None:
                    self.live.do(command)

    def copy(self, state: str, acts: dict[int, str]) -> str:
        """The judge's verdict."""
        if self.live.writer.process.poll() is not None:
            self.act(["start"])
        self.act(["delete 0", "drop 0", "drop 1", *STATES[state]])
        self.step, self.acts = 0, acts
        shutil.rmtree(self.into, ignore_errors=True)
        self.into.mkdir()
        before = self.live.acked()
        stage(self.live.path, self.into, deadline=120)  # starting a process is part of it
        return verdict_of(self.judge(self.into / self.live.path.name), before, self.live.acked())

    def steps(self, state: str) -> int:
        """How many steps a copy of this state has when nobody acts."""
        assert self.copy(state, {}) == "good"
        return self.step


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    yield bench
    bench.live.crash()
    bench.judge.end()


def cases(bench: Bench) -> list[tuple[str, int, str]]:
    return [
        (state, step, act)
        for state in STATES
        for step, act in itertools.product(range(1, bench.steps(state) + 1), ACTS)
    ]


def test_a_share_of_all_acts_before_all_steps(bench: Bench) -> None:
    for state, step, act in random.Random(20).sample(cases(bench), 20):
        assert bench.copy(state, {step: act}) == "good", (state, step, act)


@pytest.mark.stress
def test_every_act_before_every_step(bench: Bench) -> None:
    every = cases(bench)
    for state, step, act in every:
        assert bench.copy(state, {step: act}) == "good", (state, step, act)
    print(f"\n{len(every)} cases")


@pytest.mark.stress
@pytest.mark.parametrize("state", STATES)
def test_two_acts_before_two_steps(bench: Bench, state: str) -> None:
    steps = range(1, bench.steps(state) + 1)
    every = list(itertools.product(itertools.combinations(steps, 2), ACTS, ACTS))
    for (one, two), first, second in random.Random(20).sample(every, 400):
        assert bench.copy(state, {one: first, two: second}) == "good", (state, one, first, two, second)
    print(f"\n400 of {len(every):,} cases")
