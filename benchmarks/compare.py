"""The comparison: every chosen tool through every chosen data set."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import data_set, steps
from benchmarks.http import over_http
from benchmarks.interpreters import Unavailable
from benchmarks.machine import described
from benchmarks.places import Place, folder_place, running_server
from benchmarks.proxy import Shape
from benchmarks.rows import Row, not_measured
from benchmarks.runner import Course, start_up
from benchmarks.tools import TOOLS, Tool

__all__ = ["Plan", "compare", "load"]

LONG_TOOLS = ("ours", "restic", "borg-tuned")
SCALE_TOOLS = ("ours", "restic")

ROOM = 4.0
"""Free space a tool is given, in sizes of the files: the live files, a copy a tool keeps, one that it makes anew or
restores, and what it stores, which for random bytes is as much again."""


@dataclasses.dataclass
class Plan:
    """What to run, and where."""

    work: Path
    sets: list[str]
    tools: list[str]
    sessions: int = 12
    shaped: list[str] = dataclasses.field(default_factory=list)
    """Sets to run once more on a slow line, with `shaped_sessions` sessions, by the tools that use the line."""
    shaped_sessions: int = 2
    shape: Shape = dataclasses.field(default_factory=lambda: Shape(20, 50))
    long: list[str] = dataclasses.field(default_factory=list)
    """Sets with many sessions (`NAME@64`), which only `LONG_TOOLS` go through."""
    scale: list[str] = dataclasses.field(default_factory=list)
    """Sets of large files (`scale-MEGABYTES`), which only `SCALE_TOOLS` go through."""
    akosha: str = ""
    """The MCP server of a running Akosha, to send records to; without one that is not measured."""
    timeout: float = 1800.0
    say: Callable[[str], None] = print


def compare(plan: Plan, arguments: list[str], path: Path, *, add: bool = False) -> None:
    """Run the plan; the results are saved after each tool, so that an interrupted run leaves what it has.

    With `add` they join those of an earlier run, in place of what it has of the same tool, set and line.
    """
    start = time.monotonic()
    machine = described(arguments, plan.tools)
    earlier, kept = load(path) if add else ({}, [])
    if earlier:
        machine = earlier | {"added": [*earlier.get("added", []), machine]}
    rows: list[Row] = []
    fast, slow = Shape(), plan.shape
    jobs = [(name, plan.sessions, plan.tools, fast) for name in plan.sets]
    for names, some in ((plan.long, LONG_TOOLS), (plan.scale, SCALE_TOOLS)):
        jobs += [(name, plan.sessions, [tool for tool in plan.tools if tool in some], fast) for name in names]
    online = [name for name in plan.tools if TOOLS[name].on_s3]
    jobs += [(name, plan.shaped_sessions, online, slow) for name in plan.shaped]
    courses = (_through(plan, name, sessions, tools, shape) for name, sessions, tools, shape in jobs)
    for course in (_started(plan), *courses):
        for found in course:
            rows += found
            minutes = round((time.monotonic() - start) / 60, 1)
            (machine["added"][-1] if earlier else machine)["minutes"] = minutes
            again = {(row.data, row.tool, row.shape) for row in rows}
            _save(machine, [row for row in kept if (row.data, row.tool, row.shape) not in again] + rows, path)


def _started(plan: Plan) -> Iterator[list[Row]]:
    """How long our program takes to start and say its version, and to send records to Akosha."""
    if "ours" in plan.tools:
        with tempfile.TemporaryDirectory(dir=plan.work) as folder:
            rows = start_up(Path(folder), timeout=plan.timeout)
            if plan.akosha:
                rows.append(over_http(Path(folder), plan.akosha, timeout=plan.timeout))
            yield rows


def _through(plan: Plan, name: str, sessions: int, tools: list[str], shape: Shape) -> Iterator[list[Row]]:
    """One data set, each tool on it, each with a server of its own; yields the rows of each."""
    label = f"{shape.megabits:g} Mbit/s, {shape.latency:g} ms" if shape != Shape() else ""
    plan.say(f"{name}{f' ({label})' if label else ''}")
    try:
        made = steps(data_set(name), sessions, plan.work)
        _want_room(made[-1].size, plan.work)
    except (Unavailable, OSError, subprocess.SubprocessError) as error:
        plan.say(f"  not measured: {error}")
        yield [not_measured(name, tool, label, str(error)) for tool in tools]
        return
    for tool in tools:
        folder = plan.work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with contextlib.ExitStack() as stack:
                place = _place(TOOLS[tool], folder, shape, stack)
                yield Course(
                    name, TOOLS[tool](place), made, folder, shape=label, timeout=plan.timeout, say=plan.say
                ).run()
        except Unavailable as error:
            plan.say(f"  {tool}: not measured: {error}")
            yield [not_measured(name, tool, label, str(error))]
        shutil.rmtree(folder, ignore_errors=True)


def _want_room(size: int, work: Path) -> None:
    free = shutil.disk_usage(work).free
    if free < ROOM * size:
        raise Unavailable(f"{ROOM * size / 1e9:.0f} GB of free space needed, {free / 1e9:.0f} GB there")


def _place(tool: type[Tool], folder: Path, shape: Shape, stack: contextlib.ExitStack) -> Place:
    """A new place of the kind that the tool stores in."""
    if tool.version() is None:
        raise Unavailable("not installed")
    if tool.on_s3:
        return stack.enter_context(running_server(folder / "server", shape)).place("bench", folder / "beside")
    return folder_place(folder / "place")


def _save(machine: dict[str, Any], rows: list[Row], path: Path) -> None:
    """As JSON, a row to a line."""
    head = json.dumps({"machine": machine}, indent=1)
    said = [
        {key: value for key, value in dataclasses.asdict(row).items() if key == "data" or value not in (None, "")}
        for row in rows
    ]
    lines = ",\n".join("  " + json.dumps(row) for row in said)
    path.write_text(head.removesuffix("\n}") + ',\n "rows": [\n' + lines + "\n ]\n}\n", "utf-8")


def load(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """The machine and the rows of a saved run."""
    results = json.loads(path.read_text("utf-8"))
    return results["machine"], [Row(**row) for row in results["rows"]]
