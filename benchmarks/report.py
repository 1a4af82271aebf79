"""docs/benchmarks.md, made of a saved run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.charts import draw
from benchmarks.data import data_set
from benchmarks.interpreters import Unavailable
from benchmarks.rows import Row
from benchmarks.summary import Summary
from benchmarks.tables import bytes_by_tool, details, growth, ratios, target_table
from benchmarks.tools import TOOLS

__all__ = ["write_report"]

_READING = """\
Every tool runs as a whole process and reads the same files. For each data set it gets a new, empty HOME, which it
keeps through the sessions: its own caches are warm after the first push. Tools that can store in S3 do so, in a
SeaweedFS on this machine behind a proxy that counts every byte and request on the wire; the others store in a
folder, and akosha-snap does both, so that like is compared with like. "Sent" is what went up the wire, heads and
all, or what a folder has grown by. Bytes and requests are exact; times are of this machine on that day, with
whatever else it was doing. Slow lines (2 sessions) and scale sets (3) have fewer sessions than the rest. "Not run"
was not asked for; "not measured" could not be. Every restore was compared byte for byte with the files as they
were. The floor cannot be restored without the file before it: it is there to show how little has changed.
"""

_AGAIN = """\
## Run it yourself

```console
$ python -m benchmarks --quick                                       # CI's: no peers, seconds, exits 1 on a regression
$ python -m benchmarks                                               # every tool, six data sets, 12 sessions
$ python -m benchmarks --tools ours,restic --sessions 4 --sets graph-2.0
$ python -m benchmarks --add --tools ours                            # measure us again, keep the peers' figures
$ python -m benchmarks --add --sets "" --scale 10,200,1000,10000     # files of so many MB, us and restic
$ python -m benchmarks --add --sets "" --shaped memory-2.0           # at 20 Mbit/s and 50 ms a request
```

`--work DIR` keeps the data sets between runs. A tool that is not installed, or a data set that cannot be made here
(the other DuckDB, an extension), is reported as "not measured".
"""

_CAPTIONS = {
    "bytes-per-session.png": "Bytes sent per session, by tool",
    "restore-by-age.png": "Restoring a snapshot, by its age",
    "growth-by-size.png": "A session's push, by the size of the file",
    "growth-by-count.png": "A session's push, by how many snapshots came before",
}


def write_report(machine: dict[str, Any], rows: list[Row], *, page: Path, pictures: Path) -> None:
    """Write the page and the charts."""
    page.parent.mkdir(parents=True, exist_ok=True)
    try:
        drawn = draw(rows, pictures)
    except Unavailable as error:
        print(f"no charts: {error}")
        drawn = [name for name in _CAPTIONS if (pictures / name).exists()]
    page.write_text("\n".join(_page(machine, rows, drawn)).rstrip() + "\n", "utf-8")


def _page(machine: dict[str, Any], rows: list[Row], drawn: list[str]) -> Iterator[str]:
    names = list(dict.fromkeys(row.data for row in rows if not row.shape))
    summaries = [Summary(rows, name) for name in names]
    yield "# Benchmarks\n"
    yield "Generated from `benchmarks/results.json` by `python -m benchmarks --report`; do not edit. Measured by:\n"
    for one in (machine, *machine.get("added", [])):
        yield f"- {_run(one)}"
    yield ""
    if machine.get("note"):
        yield f"{machine['note']}\n"
    if machine.get("added"):
        yield "These are several runs, not one: bytes and requests compare across them, times only within a run.\n"
    yield _READING
    yield "## Bytes per session\n"
    yield from bytes_by_tool([one for one in summaries if not one.data.startswith("scale-")])
    yield "In brackets: how many times akosha-snap's. " + " ".join(
        f"{one.data}: {data_set(one.data).title}." for one in summaries if not one.data.startswith("scale-")
    )
    yield ""
    for name in drawn:
        yield f"![{_CAPTIONS[name]}](img/{name})\n"
    asked = list(target_table(rows))
    if asked:
        yield "## What the design asks for\n"
        yield from asked
    if any(name.startswith("scale-") for name in names):
        yield "## How cost grows with the file\n"
        yield from growth(rows)
    yield "## Each data set\n"
    yield "Medians over the sessions. Empty: the tool cannot, or does not use the wire.\n"
    for summary in summaries:
        yield f"### {data_set(summary.data).title}\n"
        yield from details(summary)
        yield from ratios(summary)
    yield from _shaped(rows)
    yield from _machine(machine)
    yield ""
    yield _AGAIN


def _run(one: dict[str, Any]) -> str:
    """One run: what, when, for how long, on how busy a machine."""
    return (
        f"`{one['command']}`: {one['when']}, {one['minutes']:g} minutes saved, load at the start"
        f" {one['load_at_start']}, commit {one['commit']}"
    )


def _shaped(rows: list[Row]) -> Iterator[str]:
    pairs = list(dict.fromkeys((row.data, row.shape) for row in rows if row.shape))
    if pairs:
        yield "## On a slow line\n"
        yield "The proxy lets through so much each way, and holds every request back so long.\n"
    for data, shape in pairs:
        summary = Summary(rows, data, shape)
        yield f"### {data_set(data).title}, {shape}\n"
        yield from details(summary)
        yield from ratios(summary)


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    yield "## The machine and the tools\n"
    yield f"{machine['when']}; {machine['cores']} cores of {machine['processor'] or 'unknown make'},"
    yield f"{machine['memory_gb']} GB; {machine['system']}; Python {machine['python']}; load at the start"
    yield f"{machine['load_at_start']}; commit {machine['commit']}.\n"
    for name, version in machine["tools"].items():
        yield f"- {TOOLS[name].title}: {version or 'not installed'}"
    for name, version in machine["libraries"].items():
        yield f"- {name}: {version or 'not installed'}"
