"""Results as JSON or as text: sizes, counts, times, aligned columns, warnings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from akosha_snap.snapshot.results import Problem

__all__ = ["columns", "counted", "described", "json_line", "moment", "seconds", "size", "warn"]

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def json_line(result: Any) -> None:
    """Print `result` as one line of JSON, the only thing on stdout."""
    import msgspec

    click.echo(msgspec.json.encode(result))


def warn(messages: Iterable[str]) -> None:
    """Print each warning as one line on stderr."""
    for message in messages:
        click.echo(f"akosha-snap: warning: {' '.join(message.split())}", err=True)


def size(count: int) -> str:
    """`count` bytes in decimal units: 0 B, 58 KB, 42.1 MB."""
    value, unit = float(count), 0
    while unit < len(_UNITS) - 1 and value >= (1000 if unit == 0 else 999.5 if unit == 1 else 999.95):
        value /= 1000
        unit += 1
    digits = 0 if unit == 0 or (unit == 1 and value >= 9.95) else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 request`, `1,234 requests`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def seconds(duration: float) -> str:
    """`0.42 s`, `4.2 s`, `312 s`."""
    digits = 2 if duration < 0.995 else 1 if duration < 99.95 else 0
    return f"{duration:.{digits}f} s"


def moment(time: dt.datetime) -> str:
    """A time in UTC, to the second."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def described(problem: Problem) -> str:
    """Which object and what is wrong with it, the object named once."""
    named = problem.object in problem.detail
    return problem.detail if named else f"{problem.object}: {problem.detail}"


def columns(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Rows of text as lines with aligned columns; `align` has one of `<` and `>` for each."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(align))] if rows else []
    lines = []
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines
