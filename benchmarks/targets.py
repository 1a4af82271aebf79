"""The figures set beforehand, each beside what was measured, and what a peer took in the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.rows import Row
from benchmarks.summary import Summary, sent
from benchmarks.tools import TOOLS

__all__ = ["NOT_MEASURED", "Target", "targets"]

NOT_MEASURED = "not measured"
SINGLE = ("reflection-2.0", "reflection-1.5", "graph-2.0", "graph-1.5")
BOTH = ("memory-2.0", "memory-1.5")
LONG = ("memory-2.0@64", "memory-1.5@64")
SCALE = ("scale-1000", "scale-10000")

LAB = {"reflection-2.0": (57, 53), "reflection-1.5": (202, 187), "graph-2.0": (93, 70), "graph-1.5": (1395, 1268)}
"""KB a session of the design's prototype, and of xdelta3 -9 on the same files: other files than ours, so that only
the shares can be compared."""

PEAK = 200e6

_Form = Callable[[float], str]


class Target(NamedTuple):
    """What was asked, where, what came out, what a peer's figure is, and the verdict."""

    what: str
    data: str
    asked: str
    ours: str
    peer: str
    met: bool | None
    """None where it was not measured."""
    verdict: str
    """`met`, `missed by ...`, or `not measured`."""


def targets(rows: list[Row]) -> Iterator[Target]:
    """All of them, those too that these rows cannot speak of."""
    summaries = {name: Summary(rows, name) for name in ("", *SINGLE, *BOTH, *LONG, *_sets(rows))}
    for name in (*SINGLE, *BOTH):
        yield from _bytes(summaries[name])
    for name in (*SINGLE, *BOTH):
        yield from _requests(summaries[name])
    for name in BOTH:
        yield from _times(summaries[name])
    for name in LONG:
        yield from _restore(summaries[name])
    for name in _sets(rows):
        yield _memory(summaries[name])
    yield _judged("`--version`, CPU", "", 0.15, summaries[""].median("ours", "version", lambda row: row.cpu), _seconds)
    first = summaries["reflection-2.0"].median("ours", "first", lambda row: row.wall)
    yield _judged("first push of 42 MB to S3", "reflection-2.0", 30, first, _seconds)
    http = summaries[""].median("ours", "http", lambda row: row.wall)
    yield _judged("1,000 records by HTTP to the real server", "", 60, http, _seconds)


def _sets(rows: list[Row]) -> list[str]:
    found = [row.data for row in rows if row.data and not row.shape]
    return list(dict.fromkeys((*found, *SCALE)))


def _judged(
    what: str, data: str, limit: float | None, ours: float | None, form: _Form, *, asked: str = "", peer: str = ""
) -> Target:
    """Ours has to be at or under the limit; without either there is no verdict."""
    asked = asked or (NOT_MEASURED if limit is None else f"under {form(limit)}")
    said = NOT_MEASURED if ours is None else form(ours)
    if limit is None or ours is None:
        return Target(what, data, asked, said, peer, None, NOT_MEASURED)
    met = ours <= limit
    return Target(what, data, asked, said, peer, met, "met" if met else f"**missed by {_excess(ours, limit)}**")


def _excess(ours: float, limit: float) -> str:
    return f"{ours / limit - 1:.0%}" if ours < 10 * limit else f"{ours / limit:.0f} times"


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _kilobytes(value: float) -> str:
    return f"{value / 1e3:,.0f} KB"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:,.0f} MB"


def _of(summary: Summary, tool: str, operation: str, value: Callable[[Row], float | None], form: _Form) -> str:
    found = summary.median(tool, operation, value)
    return f"{TOOLS[tool].title} {NOT_MEASURED if found is None else form(found)}"


def _bytes(summary: Summary) -> Iterator[Target]:
    for ours, peer, factor in (("ours", "restic", 15), ("ours-folder", "casync", 5)):
        mine, theirs = summary.median(ours, "session", sent), summary.median(peer, "session", sent)
        times = f", {theirs / mine:,.0f} x ours" if mine and theirs else ""
        if peer == "restic" and theirs and (floor := summary.median("xdelta3", "session", sent)):
            times += f", {theirs / floor:,.0f} x the floor"
        yield _judged(
            f"bytes per session: 1/{factor} of {peer}'s", summary.data, theirs and theirs / factor, mine, _kilobytes,
            peer=_of(summary, peer, "session", sent, _kilobytes) + times,
        )  # fmt: skip
    if summary.data in LAB:
        mine, floor = summary.median("ours-folder", "session", sent), summary.median("xdelta3", "session", sent)
        lab, lab_floor = LAB[summary.data]
        limit, absolute = 1.25 * lab / lab_floor, f" ({mine / 1e3:,.0f} KB)" if mine else ""
        yield _judged(
            "bytes per session beside the floor: 1.25 x the lab's share", summary.data, limit,
            mine / floor if mine and floor else None, lambda share: f"{share:.2f} x the floor{absolute}",
            asked=f"{limit:.2f} x the floor (lab: {lab:,} of {lab_floor:,} KB)",
            peer=_of(summary, "xdelta3", "session", sent, _kilobytes),
        )  # fmt: skip


def _requests(summary: Summary) -> Iterator[Target]:
    for operation, limit in (("session", 4), ("unchanged", 1), ("restore", 19)):
        mine, theirs = (_most(summary, tool, operation) for tool in ("ours", "restic"))
        yield _judged(
            f"requests, {'restore latest' if operation == 'restore' else f'{operation} push'}, at most", summary.data,
            limit, mine, "{:.0f}".format, asked=str(limit),
            peer=f"restic {NOT_MEASURED if theirs is None else theirs}",
        )  # fmt: skip


def _most(summary: Summary, tool: str, operation: str) -> int | None:
    rows = [row for row in summary.rows(tool, operation) if not row.age]  # of restores, the latest only
    return max((count for row in rows if (count := row.request_count) is not None), default=None)


def _times(summary: Summary) -> Iterator[Target]:
    pairs = (("session", "restic"), ("unchanged", "restic"), ("first", "restic"), ("first", "upstream"))
    for operation, peer in pairs:
        mine, theirs = (summary.median(tool, operation, lambda row: row.wall) for tool in ("ours", peer))
        yield _judged(
            f"{operation} push: under {peer}'s time", summary.data, theirs, mine, _seconds,
            peer=_of(summary, peer, operation, lambda row: row.wall, _seconds),
        )  # fmt: skip
    for operation, limit in (("session", 0.8), ("unchanged", 0.35)):
        cpu = summary.median("ours", operation, lambda row: row.cpu)
        yield _judged(
            f"{operation} push: CPU", summary.data, limit, cpu, _seconds,
            peer=_of(summary, "restic", operation, lambda row: row.cpu, _seconds),
        )  # fmt: skip


def _restore(summary: Summary) -> Iterator[Target]:
    mine, theirs = (summary.restored(tool, oldest=False) for tool in ("ours", "restic"))
    for what, value, form in (("time", _wall, _seconds), ("bytes down", _down, _kilobytes)):
        limit, ours = (None if row is None else value(row) for row in (theirs, mine))
        yield _judged(
            f"restore latest after 64 sessions: under restic's {what}", summary.data, limit, ours, form,
            peer=f"restic {NOT_MEASURED if limit is None else form(limit)}",
        )  # fmt: skip


def _wall(row: Row) -> float | None:
    return row.wall


def _down(row: Row) -> float | None:
    return row.down


def _memory(summary: Summary) -> Target:
    operations = ("first", "session", "unchanged", "restore", "verify")
    mine, theirs = (
        max((row.peak for operation in operations for row in summary.rows(tool, operation)), default=None)
        for tool in ("ours", "restic")
    )
    peer = f"restic {NOT_MEASURED if theirs is None else _megabytes(theirs)}"
    return _judged("peak memory of any operation", summary.data, PEAK, mine, _megabytes, peer=peer)
