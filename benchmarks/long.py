"""What many snapshots change: the first quarter of the sessions beside the last, and restores from both ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.rows import Row
from benchmarks.summary import Summary, Value, median_of, sent
from benchmarks.tables import table, titled
from benchmarks.targets import NOT_MEASURED

__all__ = ["long_history"]

HEADS = (
    "data", "tool", "KB sent, first quarter", "last quarter", "requests, first quarter", "last quarter",
    "s, first quarter", "last quarter", "restore latest: s", "MB down", "requests", "oldest: s", "stored: MB",
)  # fmt: skip

_ENDS: tuple[tuple[Value, str], ...] = (
    (lambda row: sent(row) / 1e3, ",.0f"),
    (lambda row: row.request_count, "g"),
    (lambda row: row.wall, ".2f"),
)


def long_history(summaries: Sequence[Summary]) -> Iterator[str]:
    """A line for each tool on each set."""
    lines = []
    for summary in summaries:
        for tool in summary.tools:
            rows = summary.rows(tool, "session")
            cells = list(_cells(summary, tool, rows)) if rows else [NOT_MEASURED, *[""] * (len(HEADS) - 3)]
            lines.append([summary.data, titled(tool), *cells])
    yield from table(HEADS, lines, words=2)


def _cells(summary: Summary, tool: str, rows: list[Row]) -> Iterator[str]:
    quarter = max(1, len(rows) // 4)
    for value, form in _ENDS:
        for end in (rows[:quarter], rows[-quarter:]):
            found = median_of(end, value)
            yield "" if found is None else format(found, form)
    latest, oldest = (summary.restored(tool, oldest=which) for which in (False, True))
    yield "" if latest is None else f"{latest.wall:.2f}"
    yield "" if latest is None or latest.down is None else f"{latest.down / 1e6:,.1f}"
    yield "" if latest is None or latest.request_count is None else f"{latest.request_count}"
    yield "" if oldest is None else f"{oldest.wall:.2f}"
    yield f"{summary.total(tool) / 1e6:,.1f}"
