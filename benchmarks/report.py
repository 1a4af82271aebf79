"""docs/benchmarks.md, made of a saved run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.charts import draw
from benchmarks.data import data_set
from benchmarks.growth import growth
from benchmarks.interpreters import Unavailable
from benchmarks.long import long_history
from benchmarks.overview import overview
from benchmarks.rows import Row
from benchmarks.summary import Summary
from benchmarks.tables import bytes_by_tool, details, ratios, target_table
from benchmarks.targets import targets
from benchmarks.tools import TOOLS

__all__ = ["write_report"]

_READING = """\
- Every tool runs as a whole process and reads the same files. For each data set it gets a new, empty HOME, which it
  keeps through the sessions: its own caches are warm after the first push.
- Tools that can store in S3 do so, in a SeaweedFS on this machine behind a proxy that counts every byte and request
  on the wire; the others store in a folder, and akosha-snap does both, so that like is compared with like.
- "Sent" is what went up the wire, heads and all, or what a folder has grown by. Bytes and requests are exact. Times
  are of this machine on that day, with whatever else it was doing: medians over the sessions, or of three, except
  for what is done once (a first push, a restore of an older snapshot, a verification).
- Peak memory is that of a command's largest process.
- Every restore was compared with the files as they were, by SHA-256.
- Slow lines (2 sessions), files of over 2 GB (2), other scale sets (3) and what happens once to a database (1) have
  fewer sessions than the rest.
- The floor cannot be restored without the file before it: it is there to show how little has changed.
- "Not run" was not asked for; "not measured" could not be.
"""

_AGAIN = """\
## Run it yourself

```console
$ python -m benchmarks --quick                                       # CI's: no peers, seconds, exits 1 on a regression
$ python -m benchmarks --work DIR                                    # every tool, six data sets, 12 sessions
$ python -m benchmarks --work DIR --sets all --long memory-2.0,memory-1.5 --scale 10,200,1000,10000 --shaped memory-2.0
$ python -m benchmarks --tools ours,restic --sessions 4 --sets graph-2.0 --json FILE --page PAGE
$ python -m benchmarks --add --tools ours,ours-folder                # measure us again, keep the peers' figures
$ python -m benchmarks --add --sets "" --scale 10,200,1000,10000     # files of so many MB, us and restic
$ python -m benchmarks --add --sets "" --shaped memory-2.0           # at 20 Mbit/s and 50 ms a request
```

`--work DIR` keeps the data sets between runs; 10,000 MB want 60 GB of free space there. A tool that is not installed,
or a data set that cannot be made here (the other DuckDB, an extension), is reported as "not measured".
"""

_CAPTIONS = {
    "bytes-per-session.png": "Bytes sent per session, by tool",
    "restore-by-age.png": "Restore time, by the age of the snapshot",
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
    names = list(dict.fromkeys(row.data for row in rows if row.data and not row.shape))
    long = [name for name in names if "@" in name]
    scale = [name for name in names if name.startswith("scale-")]
    plain = [Summary(rows, name) for name in names if name not in {*long, *scale}]
    yield "# Benchmarks\n"
    yield "Written by `python -m benchmarks`; do not edit. What was run, when and where: at the end.\n"
    yield from _overview(plain)
    met = [one.met for one in targets(rows)]
    yield f"Of the {len(met)} figures set beforehand {met.count(True)} are met and {met.count(False)} missed (below).\n"
    yield from _picture("bytes-per-session.png", drawn)
    yield "How the figures were taken:\n"
    yield _READING
    yield "## Figures set beforehand\n"
    yield from target_table(rows)
    if plain:
        yield "## Bytes per session\n"
        yield from bytes_by_tool(plain)
        yield "In brackets: how many times akosha-snap's.\n"
        yield from (f"- {one.data}: {data_set(one.data).title}" for one in plain)
        yield ""
    if scale:
        yield "## How cost grows with the file\n"
        yield from growth(rows)
        yield from _picture("growth-by-size.png", drawn)
    yield "## How cost grows with the number of snapshots\n"
    if long:
        yield from long_history([Summary(rows, name) for name in long])
    yield from _picture("growth-by-count.png", drawn)
    yield from _picture("restore-by-age.png", drawn)
    yield "## Each data set\n"
    yield "Empty: the tool cannot, or does not use the wire.\n"
    for summary in (*plain, *(Summary(rows, name) for name in (*long, *scale))):
        yield f"### {data_set(summary.data).title}\n"
        yield from details(summary)
        yield from ratios(summary)
    yield from _shaped(rows)
    yield from _machine(machine)
    yield _AGAIN


def _overview(summaries: list[Summary]) -> Iterator[str]:
    """Of the sets that were run, the one most like a user's."""
    for name in ("memory-2.0", *(one.data for one in summaries)):
        summary = next((one for one in summaries if one.data == name and one.rows("ours", "session")), None)
        if summary:
            yield f"{data_set(name).title[:1].upper()}{data_set(name).title[1:]}:\n"
            yield from overview(summary)
            return


def _picture(name: str, drawn: list[str]) -> Iterator[str]:
    if name in drawn:
        yield f"![{_CAPTIONS[name]}](img/{name})\n"


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
    yield "## What was run, and where\n"
    for one in (machine, *machine.get("added", [])):
        yield f"- {_run(one)}"
    yield ""
    if machine.get("note"):
        yield f"{machine['note']}\n"
    if machine.get("added"):
        yield "These are several runs, not one: bytes and requests compare across them, times only within a run.\n"
    yield f"{machine['cores']} cores of {machine['processor'] or 'unknown make'}, {machine['memory_gb']} GB;"
    yield f"{machine['system']}; Python {machine['python']}.\n"
    for name, version in machine["tools"].items():
        yield f"- {TOOLS[name].title}: {version or 'not installed'}"
    for name, version in machine["libraries"].items():
        yield f"- {name}: {version or 'not installed'}"
    yield ""
