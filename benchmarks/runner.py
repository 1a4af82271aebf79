"""One tool through one data set: first push, sessions, an unchanged push, restores of several ages, verification."""

from __future__ import annotations

import filecmp
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Command, Failed, Used, run_all
from benchmarks.rows import Row
from benchmarks.tools import Tool

__all__ = ["Course"]

Steps = Sequence[dict[str, Path]]


class Course:
    """Runs the operations and keeps a row of each."""

    def __init__(
        self,
        data: str,
        tool: Tool,
        steps: Steps,
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
        self._push("unchanged", last, label=f"s{last:03}-again")
        for age in sorted({0, last // 4, last // 2, last}):
            self._restore(last - age, age)
        commands = tool.verify(self._paths(last))
        if commands:
            self._measured("verify", commands)

    def _paths(self, number: int) -> list[Path]:
        return [self._live / name for name in self._steps[number]]

    def _push(self, operation: str, number: int, label: str = "") -> None:
        label = label or f"s{number:03}"
        step = self._steps[number]
        if operation != "unchanged":
            self._become(step)
        output = self._measured(operation, self._tool.push(self._paths(number), label), number=number)
        self.rows[-1].size = sum(path.stat().st_size for path in step.values())
        try:
            self._tool.pushed(label, output)
        except (ValueError, KeyError, IndexError) as error:
            raise Failed(f"what {self._tool.name} printed was not understood: {error}") from error

    def _become(self, step: dict[str, Path]) -> None:
        """The live files take on the step's bytes, in place, as DuckDB writes them."""
        for path in self._live.iterdir():
            if path.name not in step:
                path.unlink()
        for name, source in step.items():
            shutil.copyfile(source, self._live / name)
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
        for name, source in self._steps[number].items():
            if name not in found or not filecmp.cmp(source, found[name], shallow=False):
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
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}
        return kept | {"HOME": str(self._home)} | self._tool.environment()


def _row(data: str, tool: str, operation: str, shape: str, number: int, used: Used) -> Row:
    row = Row(data, tool, operation, shape, number)
    row.wall, row.cpu, row.peak = round(used.wall, 4), round(used.cpu, 4), used.peak
    return row
