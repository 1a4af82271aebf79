"""How the cost of a push grows with the file: a table, and what it says in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.rows import Row
from benchmarks.summary import Summary, Value, sent
from benchmarks.tools import TOOLS

__all__ = ["Point", "growth", "points"]

OPERATIONS = ("first", "session", "unchanged", "restore", "verify")
HEADS = (
    "file, MB", "tool", "changed per session, MB", "session: KB sent", "requests", "s", "CPU s",
    "one read of the file, s", "first push: MB sent", "s", "unchanged: s", "restore latest: s", "peak MB, session",
    "of all",
)  # fmt: skip


class Point(NamedTuple):
    """One tool on one size of file: bytes and seconds, medians over the sessions; `peak` is of any operation."""

    tool: str
    size: float
    changed: float
    sent: float
    wall: float
    cpu: float
    read: float
    peak: float
    summary: Summary


def points(rows: list[Row], tool: str) -> list[Point]:
    """That tool on every size there is, the smallest first."""
    names = [name for name in dict.fromkeys(row.data for row in rows) if name.startswith("scale-")]
    summaries = [Summary(rows, name) for name in names]
    return sorted(
        (_point(summary, tool) for summary in summaries if summary.rows(tool, "session")), key=lambda one: one.size
    )


def _point(summary: Summary, tool: str) -> Point:
    def median(operation: str, value: Value) -> float:
        return summary.median(tool, operation, value) or 0.0

    return Point(
        tool,
        max(row.size for row in summary.rows(tool, "session")),
        median("session", lambda row: row.changed),
        median("session", sent),
        median("session", lambda row: row.wall),
        median("session", lambda row: row.cpu),
        median("read", lambda row: row.wall),
        max(row.peak for operation in OPERATIONS for row in summary.rows(tool, operation)),
        summary,
    )


def growth(rows: list[Row]) -> Iterator[str]:
    """What a session costs as the file grows; nothing without such rows."""
    ours = points(rows, "ours")
    both = sorted([*ours, *points(rows, "restic")], key=lambda one: one.size)
    if len(ours) > 1:
        yield from _said(ours[0], ours[-1])
    yield f"| {' | '.join(HEADS)} |"
    yield f"|---:|---|{'---:|' * (len(HEADS) - 2)}"
    for one in both:
        title = TOOLS[one.tool].title
        yield f"| {' | '.join(_cells(one, f'**{title}**' if one.tool == 'ours' else title))} |"
    yield ""


def _cells(one: Point, title: str) -> list[str]:
    def median(operation: str, form: str, value: str, unit: float = 1.0) -> str:
        found = one.summary.median(one.tool, operation, lambda row: getattr(row, value))
        return "" if found is None else format(found / unit, form)

    first = one.summary.median(one.tool, "first", sent)
    latest = one.summary.restored(one.tool, oldest=False)
    return [
        f"{one.size / 1e6:,.0f}", title, f"{one.changed / 1e6:,.1f}", f"{one.sent / 1e3:,.0f}",
        median("session", "g", "request_count"), f"{one.wall:.2f}", f"{one.cpu:.2f}", f"{one.read:.2f}",
        "" if first is None else f"{first / 1e6:,.1f}", median("first", ".2f", "wall"),
        median("unchanged", ".2f", "wall"), "" if latest is None else f"{latest.wall:.2f}",
        median("session", ".0f", "peak", 1e6), f"{one.peak / 1e6:.0f}",
    ]  # fmt: skip


def _said(small: Point, large: Point) -> Iterator[str]:
    more = (large.size - small.size) / 1e9
    yield (
        f"From {small.size / 1e6:,.0f} to {large.size / 1e6:,.0f} MB the file grows {large.size / small.size:,.0f}"
        " times."
        " What a session changes in it, in pages of 64 KiB, because DuckDB moves more than it has been given, grows"
        f" {large.changed / max(small.changed, 1):,.1f} times; what akosha-snap sends,"
        f" {large.sent / small.sent:,.1f} times. Its time goes from {small.wall:.2f} to {large.wall:.2f} s,"
        f" {(large.wall - small.wall) / more:.2f} s for each GB more (one sequential read of a GB, from the page cache"
        f" as far as it fits: {(large.read - small.read) / more:.2f} s). Its peak memory goes from"
        f" {small.peak / 1e6:.0f} to {large.peak / 1e6:.0f} MB.\n"
    )
