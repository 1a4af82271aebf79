"""Medians of the rows, by data set, line, tool and operation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

from benchmarks.rows import Row
from benchmarks.tools import TOOLS

__all__ = ["Summary", "median_of", "sent"]

Value = Callable[[Row], float | None]


def sent(row: Row) -> float:
    """Bytes that a push sends: on the wire where that was counted, else by how much the folder has grown."""
    return row.stored if row.up is None else row.up


def median_of(rows: Iterable[Row], value: Value) -> float | None:
    """The median of a value over those of the rows that have it; None where none has."""
    values = [found for row in rows if (found := value(row)) is not None]
    return statistics.median(values) if values else None


class Summary:
    """The rows of one data set on one line, asked by tool and operation."""

    def __init__(self, rows: Iterable[Row], data: str, shape: str = "") -> None:
        self.data, self.shape = data, shape
        self._rows = [row for row in rows if (row.data, row.shape) == (data, shape)]
        present = {row.tool for row in self._rows}
        self.tools = [tool for tool in TOOLS if tool in present]

    def rows(self, tool: str, operation: str) -> list[Row]:
        """All rows of that operation of that tool."""
        return [row for row in self._rows if (row.tool, row.operation) == (tool, operation)]

    def median(self, tool: str, operation: str, value: Value) -> float | None:
        """The median of a value over those rows; None where nothing was measured."""
        return median_of(self.rows(tool, operation), value)

    def restored(self, tool: str, *, oldest: bool) -> Row | None:
        """The restore of the oldest, or of the latest snapshot; of several, the one that took the median time."""
        rows = [row for row in self.rows(tool, "restore") if row.age is not None and (row.age > 0 or not oldest)]
        if not rows:
            return None
        age = (max if oldest else min)(row.age or 0 for row in rows)
        same = sorted((row for row in rows if row.age == age), key=lambda row: row.wall)
        return same[len(same) // 2]

    def total(self, tool: str) -> int:
        """Bytes that lie in the tool's place after its last push."""
        return (self.rows(tool, "unchanged") or self.rows(tool, "session") or self.rows(tool, "first"))[-1].total

    def problem(self, tool: str) -> str:
        """Why the tool was not measured, or what went wrong; empty if nothing did."""
        return next((row.problem for row in self._rows if row.tool == tool and row.problem), "")
