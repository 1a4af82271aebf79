"""One tool through one data set: first push, sessions, an unchanged push, restores of several ages, verification."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Command, Failed, Used, run, run_all
from benchmarks.rows import Row
from benchmarks.steps import Step
from benchmarks.tools import Tool

__all__ = ["Course", "ages", "start_up"]
LONG = 8
"""From so many sessions on, more restores are measured; what has fewer is large."""

REPEATED = 3
"""How often what has no number of sessions to take a median of is measured."""

_READ = """\
import sys
buffer = bytearray(1 << 20)
for name in sys.argv[1:]:
    with open(name, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
"""


class Course:
    """Runs the operations and keeps a row of each."""

    def __init__(
        self,
        data: str,
        tool: Tool,
        steps: Sequence[Step],
        folder: Path,
        *,
        shape: str,
        timeout: float,
        say: Callable[[str], None],
    ) -> None:
        self.rows: list[Row] = []
        self._data, self._tool, self._steps, self._shape = data, tool, steps, shape
        self._timeout, self._say = timeout, say
        self._live, self._scratch, self._home = folder / "live", folder / "scratch", folder / "home"
        for one in (self._live, self._scratch, self._home):
            one.mkdir(parents=True)
        self._total = 0

    def run(self) -> list[Row]:
        """All of it; what fails ends it, and says so in its row."""
        try:
            self._run()
        except (Failed, OSError) as error:
            self.rows.append(Row(self._data, self._tool.name, "none", self._shape, problem=str(error)))
            self._say(f"  {self._tool.name}: {error}")
        return self.rows

    def _run(self) -> None:
        tool, last = self._tool, len(self._steps) - 1
        self._measured("init", tool.init())
        for number in range(last + 1):
            self._push("first" if number == 0 else "session", number)
        again = REPEATED if last >= LONG else 1
        for turn in range(again):
            self._push("unchanged", last, label=f"s{last:03}-again-{turn}")
            self._measured("read", [Command([sys.executable, "-c", _READ, *self._paths(last)])])
        for age in ages(last):
            for _ in range(again if age == 0 else 1):
                self._restore(last - age, age)
        commands = tool.verify(self._paths(last))
        if commands:
            self._measured("verify", commands)

    def _paths(self, number: int) -> list[Path]:
        return [self._live / name for name in self._steps[number].names]

    def _push(self, operation: str, number: int, label: str = "") -> None:
        label = label or f"s{number:03}"
        step = self._steps[number]
        if operation != "unchanged":
            self._become(step)
        output = self._measured(operation, self._tool.push(self._paths(number), label), number=number)
        self.rows[-1].size = step.size
        self.rows[-1].changed = 0 if operation == "unchanged" else step.changed
        try:
            self._tool.pushed(label, output)
        except (ValueError, KeyError, IndexError) as error:
            raise Failed(f"what {self._tool.name} printed was not understood: {error}") from error

    def _become(self, step: Step) -> None:
        """The live files take on the step's bytes, in place, as DuckDB writes them."""
        step.write(self._live)
        os.sync()
        time.sleep(0.05)  # a tool that goes by the time of change must see one

    def _restore(self, number: int, age: int) -> None:
        to = self._scratch / "restored"
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        commands = self._tool.restore(f"s{number:03}", to, latest=age == 0)
        if commands is None:
            return
        self._measured("restore", commands, number=number)
        self.rows[-1].age = age
        found = {path.name: path for path in to.rglob("*") if path.is_file()}
        step = self._steps[number]
        for name in step.names:
            if name not in found or not step.holds(name, found[name]):
                self.rows[-1].problem = f"{name} came back with other bytes"
                self._say(f"  {self._tool.name}: snapshot {number}: {name} came back with other bytes")
        shutil.rmtree(to)

    def _measured(self, operation: str, commands: Sequence[Command], *, number: int = 0) -> str:
        """Run, count, add a row; returns what was printed."""
        proxy = self._tool.place.proxy
        before = proxy.traffic.copy() if proxy else None
        used = run_all(commands, self._environment(), scratch=self._scratch, timeout=self._timeout)
        row = _row(self._data, self._tool.name, operation, self._shape, number, used)
        if proxy and before:
            traffic = proxy.traffic.since(before)
            row.up, row.down, row.connections = traffic.up, traffic.down, traffic.connections
            row.requests = dict(sorted(traffic.requests.items()))
        stored = self._tool.place.stored()
        row.stored, row.total, row.objects = stored.bytes - self._total, stored.bytes, stored.objects
        self._total = stored.bytes
        self.rows.append(row)
        self._say(
            f"  {self._tool.name:12} {operation:9} {number:3}  {row.stored / 1e3:10,.0f} KB stored"
            f"  {(row.up or 0) / 1e3:10,.0f} KB up  {row.request_count or 0:4} requests"
            f"  {row.wall:6.2f} s  {row.cpu:6.2f} s CPU  {row.peak / 1e6:5.0f} MB"
        )
        return used.output

    def _environment(self) -> dict[str, str]:
        """Nothing of the user's: a HOME of the tool's own for this run, so that every run starts cold."""
        return _plain_environment(self._home) | self._tool.environment()


def start_up(folder: Path, *, timeout: float) -> list[Row]:
    """`akosha-snap --version`, a few times: what every command costs before it does anything."""
    command = Command([sys.executable, "-m", "akosha_snap", "--version"])
    rows = []
    for number in range(2 * REPEATED):
        used = run(command, _plain_environment(folder), scratch=folder, timeout=timeout)
        rows.append(_row("", "ours", "version", "", number, used))
    return rows[1:]  # the first may have compiled the modules


def _plain_environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return kept | {"HOME": str(home)}


def ages(last: int) -> list[int]:
    """The ages of the snapshots to restore: the latest, the oldest, and of a longer history some in between."""
    parts = (0, 1, 2, 4, 6, 8) if last >= LONG else (0, 8)
    return sorted({last * part // 8 for part in parts})


def _row(data: str, tool: str, operation: str, shape: str, number: int, used: Used) -> Row:
    row = Row(data, tool, operation, shape, number)
    row.wall, row.cpu, row.peak = round(used.wall, 4), round(used.cpu, 4), used.peak
    return row
