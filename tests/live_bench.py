"""A live database, a judge of its copies, and the copies themselves: ours and naive ones, counted."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from akosha_snap.errors import BusyError
from akosha_snap.source import stage

__all__ = ["PROFILES", "Judge", "LiveDatabase", "Profile", "Tally", "at_each_step", "take_copies", "verdict_of"]

PROGRAM = Path(__file__).with_name("live_writer.py")
WRITERS = 2


class Talker:
    """A process that answers each line with a line."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        assert self.process.stdout
        answer = self.process.stdout.readline().strip()
        assert answer, f"the process ended with {self.process.wait(10)}"
        return answer

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


class Judge(Talker):
    """Opens copies with the DuckDB of the interpreter `python`; see live_writer.judge."""

    def __init__(self, python: str) -> None:
        self._command = [python, str(PROGRAM), "judge"]
        super().__init__(*self._command)

    def __call__(self, path: Path) -> dict[str, Any]:
        try:
            self.say(str(path))
            verdict: dict[str, Any] = json.loads(self.hear())
        except (AssertionError, BrokenPipeError):  # some naive copies are the end of DuckDB itself
            code = self.process.wait(10)
            self.end()
            super().__init__(*self._command)
            return {"crashed": code}
        return verdict


class LiveDatabase:
    """A database in `folder` that a process with the DuckDB of `python` has open."""

    def __init__(self, folder: Path, python: str, block_size: int, ballast: int = 0) -> None:
        self.path = folder / "live.duckdb"
        self._acks = folder / "acks"
        self._acks.write_bytes(bytes(8 * WRITERS))
        sizes = [str(block_size), str(ballast)]
        self._command = [python, str(PROGRAM), "write", str(self.path), str(self._acks), *sizes]
        self.start()
        assert self.writer.hear() == "ready"

    def start(self) -> None:
        self.writer = Talker(*self._command)

    def do(self, command: str) -> None:
        self.writer.say(command)
        assert self.writer.hear() == "done"

    def crash(self) -> None:
        self.writer.end()

    def restart(self) -> None:
        self.crash()
        self.start()
        assert self.writer.hear() == "ready"

    def halt(self) -> None:
        """Let the process stand still, wherever it is."""
        self.writer.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.writer.process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """It stands still meanwhile, so that it does not eat the time of others."""
        self.halt()
        yield
        self.go_on()

    def acked(self) -> list[int]:
        """What each writer has been told is committed."""
        data = self._acks.read_bytes()
        return [int.from_bytes(data[start : start + 8], "little") for start in range(0, 8 * WRITERS, 8)]


@dataclasses.dataclass(frozen=True)
class Profile:
    """How busy the writers are: mean seconds between transactions, checkpoints, closings and crashes (0: never)."""

    pause: float
    checkpoint: float
    reopen: float = 0
    crash: float = 0


PROFILES = {
    "session": Profile(0.02, 0.3),
    "log only": Profile(0.1, 0),
    "fast": Profile(0.001, 0.03),
    "relentless": Profile(0, 0.01),
    "reopened": Profile(0.002, 0.05, reopen=0.3),
    "crashing": Profile(0.002, 0.05, crash=0.5),
}


@dataclasses.dataclass
class Tally:
    """What came of the copies: ours `good`, `refused` (busy, exit 11) or `torn`; the naive ones by their verdict.

    `moved` counts the copies that had something committed since the one before, `with_log` those with a WAL.
    """

    good: int = 0
    refused: int = 0
    torn: list[str] = dataclasses.field(default_factory=list)
    tries: Counter[int] = dataclasses.field(default_factory=Counter)
    with_log: int = 0
    moved: int = 0
    naive: Counter[str] = dataclasses.field(default_factory=Counter)

    @property
    def naive_bad(self) -> int:
        return self.naive.total() - self.naive["good"]

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in dataclasses.fields(self)))

    def __str__(self) -> str:
        taken = self.good + self.refused + len(self.torn)
        mean = sum(tries * count for tries, count in self.tries.items()) / max(1, self.tries.total())
        return (
            f"{taken} copies, {self.good} good, {len(self.torn)} torn, {self.refused} refused,"
            f" {self.moved} of a new state, {self.with_log} with a log,"
            f" tries {mean:.2f} mean {max(self.tries, default=0)} most;"
            f" naive: {self.naive.total()} copies, {self.naive_bad} bad {dict(self.naive)}"
        )


STEPS = {
    "live": ("read_piece", "find_wal", "checkpoint_files", "scan_wal", "copy_blocks", "_moment_at"),
    "blocks": ("read_piece",),
}
"""What a copy does with the live files, one after another."""


def at_each_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Call `act` before each step of every copy that this process takes."""

    def acting(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            act()
            return real(*arguments, **named)

        return step

    for module, names in STEPS.items():
        found = importlib.import_module(f"akosha_snap.source.{module}")
        for name in names:
            monkeypatch.setattr(found, name, acting(getattr(found, name)))
    monkeypatch.setattr("akosha_snap.source.blocks.PIECE", 256 * 1024)


def verdict_of(said: dict[str, Any], before: list[int], after: list[int]) -> str:
    """`good`, or what is wrong with a copy begun when `before` was committed and taken when `after` was.

    A writer may be one ahead of what it has been told is committed.
    """
    if "n" not in said:
        return f"{next(iter(said))} {said}"
    if any(have < had for have, had in zip(said["n"], before, strict=True)):
        return f"lost commits {said['n']} after {before}"
    if any(have > had + 1 for have, had in zip(said["n"], after, strict=True)):
        return f"ahead {said['n']} before {after}"
    return "good"


def take_copies(
    live: LiveDatabase,
    judge: Judge,
    folder: Path,
    profile: Profile,
    *,
    copies: int,
    seconds: float,
    naive_every: int = 3,
    deadline: float = 2.0,
) -> Tally:
    """Copy `live` while it writes as `profile` says, so many times or so long; every copy is judged."""
    tally = Tally()
    live.do(f"run {profile.pause} {profile.checkpoint} {profile.reopen}")
    started = time.monotonic()
    crash_at = started + profile.crash if profile.crash else float("inf")
    last = live.acked()
    coming = False  # it has crashed and is being opened again
    number = 0
    while number < copies and (now := time.monotonic()) < started + seconds:
        if now > crash_at and not coming:
            live.crash()
            if number % 2:
                live.start()
            coming, crash_at = True, now + 0.1
        elif now > crash_at:
            if live.writer.process.poll() is not None:
                live.start()
            assert live.writer.hear() == "ready"
            live.do(f"run {profile.pause} {profile.checkpoint} {profile.reopen}")
            coming, crash_at = False, time.monotonic() + random.uniform(0, 2 * profile.crash)
        assert coming or live.writer.process.poll() is None, "the writer was never disturbed"
        number += 1
        if naive_every and number % naive_every == 0:
            before = live.acked()
            with _emptied(folder) as into:
                _naive_copy(live.path, into)
                after = live.acked()
                with live.halted():
                    tally.naive[verdict_of(judge(into / live.path.name), before, after).partition(" ")[0]] += 1
        time.sleep(random.uniform(0, 0.01))
        before = live.acked()
        with _emptied(folder) as into:
            try:
                staged = stage(live.path, into, deadline=deadline)
            except BusyError:
                assert not list(into.iterdir())
                tally.refused += 1
                continue
            after = live.acked()
            with live.halted():
                verdict = verdict_of(judge(into / live.path.name), before, after)
            tally.tries[staged.tries] += 1
            tally.with_log += len(staged.files) > 1
            tally.moved += after != last
            last = after
            if verdict == "good":
                tally.good += 1
            else:
                tally.torn.append(verdict)
    return tally


@contextlib.contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder


def _naive_copy(path: Path, into: Path) -> None:
    """What `cp memory.duckdb* folder` does."""
    for source in sorted(path.parent.glob(f"{path.name}*")):
        with contextlib.suppress(FileNotFoundError), source.open("rb") as file, (into / source.name).open("wb") as copy:
            while piece := file.read(128 * 1024):  # as cp reads
                os.write(copy.fileno(), piece)
