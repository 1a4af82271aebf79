"""The one table to look at first: what a user notices, a column for each tool that one might use instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.rows import Row
from benchmarks.summary import Summary, sent
from benchmarks.tables import table, titled

__all__ = ["overview"]

TOOLS_SHOWN = ("ours", "restic", "borg-tuned", "casync", "upstream")

_Find = Callable[[Summary, str], float | None]


def overview(summary: Summary) -> Iterator[str]:
    """A line for each figure of one data set."""
    tools = [tool for tool in TOOLS_SHOWN if summary.rows(tool, "session")]
    lines = [[name, *(_said(find(summary, tool)) for tool in tools)] for name, find in _LINES]
    yield from table(["", *map(titled, tools)], lines)


def _said(value: float | None) -> str:
    """Three digits of it, if it has so many; 0.05 is not made 0."""
    if value is None:
        return ""
    return f"{value:,.{0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2}f}"


def _median(operation: str, value: Callable[[Row], float | None]) -> _Find:
    return lambda summary, tool: summary.median(tool, operation, value)


def _restore(*, oldest: bool) -> _Find:
    def seconds(summary: Summary, tool: str) -> float | None:
        row = summary.restored(tool, oldest=oldest)
        return None if row is None else row.wall

    return seconds


_LINES: tuple[tuple[str, _Find], ...] = (
    ("a session's push: KB sent", _median("session", lambda row: sent(row) / 1e3)),
    ("... requests", _median("session", lambda row: row.request_count)),
    ("... seconds", _median("session", lambda row: row.wall)),
    ("... peak memory, MB", _median("session", lambda row: row.peak / 1e6)),
    ("a push of nothing new: seconds", _median("unchanged", lambda row: row.wall)),
    ("the first push: MB sent", _median("first", lambda row: sent(row) / 1e6)),
    ("... seconds", _median("first", lambda row: row.wall)),
    ("restoring the latest: seconds", _restore(oldest=False)),
    ("restoring the oldest: seconds", _restore(oldest=True)),
    ("stored after all of them: MB", lambda summary, tool: summary.total(tool) / 1e6),
)
