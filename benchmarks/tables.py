"""Markdown tables of the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.rows import Row
from benchmarks.summary import Summary, Value, sent
from benchmarks.targets import NOT_MEASURED, targets
from benchmarks.tools import TOOLS

__all__ = ["bytes_by_tool", "details", "ratios", "table", "target_table", "titled"]


def table(heads: Sequence[str], lines: Sequence[Sequence[str]], words: int = 1) -> Iterator[str]:
    """The lines of a table; its first columns are words, the others numbers."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * words}{'---:|' * (len(heads) - words)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
    yield ""


def bytes_by_tool(summaries: Sequence[Summary]) -> Iterator[str]:
    """Kilobytes sent per session, a line for each tool and how often our bytes go into them."""
    tools = list(dict.fromkeys(tool for summary in summaries for tool in summary.tools))
    lines = []
    for tool in tools:
        line = [titled(tool)]
        for summary in summaries:
            ours = "ours" if TOOLS[tool].on_s3 or not summary.rows("ours-folder", "session") else "ours-folder"
            mine, theirs = (summary.median(name, "session", sent) for name in (ours, tool))
            ratio = f" ({theirs / mine:,.1f} x)" if mine and theirs and not tool.startswith("ours") else ""
            missing = NOT_MEASURED if tool in summary.tools else "not run"
            line.append(missing if theirs is None else f"{theirs / 1e3:,.0f}{ratio}")
        lines.append(line)
    yield from table(["KB sent per session, median", *(summary.data for summary in summaries)], lines)


def details(summary: Summary) -> Iterator[str]:
    """One data set: every tool, every operation."""
    heads = [
        "tool", "first push: KB", "s", "session: KB", "requests", "s", "CPU s", "peak MB", "unchanged: requests",
        "s", "CPU s", "restore latest: KB down", "requests", "s", "oldest: s", "verify: s", "stored in all: MB",
    ]  # fmt: skip
    lines = []
    for tool in summary.tools:
        if not summary.rows(tool, "first"):
            lines.append([titled(tool), NOT_MEASURED, *[""] * (len(heads) - 2)])
            continue
        lines.append([titled(tool), *_cells(summary, tool)])
    yield from table(heads, lines)
    yield from (f"{titled(tool)}: {summary.problem(tool)}\n" for tool in summary.tools if summary.problem(tool))


def _cells(summary: Summary, tool: str) -> list[str]:
    def cell(operation: str, value: Value, form: str) -> str:
        found = summary.median(tool, operation, value)
        return "" if found is None else format(found, form)

    latest, oldest = (summary.restored(tool, oldest=which) for which in (False, True))
    return [
        cell("first", lambda row: sent(row) / 1e3, ",.0f"),
        cell("first", lambda row: row.wall, ".2f"),
        cell("session", lambda row: sent(row) / 1e3, ",.0f"),
        cell("session", lambda row: row.request_count, "g"),
        cell("session", lambda row: row.wall, ".2f"),
        cell("session", lambda row: row.cpu, ".2f"),
        cell("session", lambda row: row.peak / 1e6, ".0f"),
        cell("unchanged", lambda row: row.request_count, "g"),
        cell("unchanged", lambda row: row.wall, ".2f"),
        cell("unchanged", lambda row: row.cpu, ".2f"),
        "" if latest is None or latest.down is None else f"{latest.down / 1e3:,.0f}",
        "" if latest is None or latest.request_count is None else str(latest.request_count),
        "" if latest is None else f"{latest.wall:.2f}",
        "" if oldest is None else f"{oldest.wall:.2f}",
        cell("verify", lambda row: row.wall, ".2f"),
        f"{summary.total(tool) / 1e6:,.1f}",
    ]


_RATIOS: tuple[tuple[str, str, Value], ...] = (
    ("first push, bytes", "first", sent),
    ("first push, wall", "first", lambda row: row.wall),
    ("session, bytes", "session", sent),
    ("session, requests", "session", lambda row: row.request_count),
    ("session, wall", "session", lambda row: row.wall),
    ("session, CPU", "session", lambda row: row.cpu),
    ("unchanged, wall", "unchanged", lambda row: row.wall),
    ("restore latest, wall", "restore", lambda row: row.wall if row.age == 0 else None),
)


def ratios(summary: Summary) -> Iterator[str]:
    """Each peer's figures as multiples of ours at the same kind of place."""
    lines = []
    for tool in summary.tools:
        if tool.startswith("ours") or not summary.rows(tool, "session"):
            continue
        ours = "ours" if TOOLS[tool].on_s3 else "ours-folder"
        line = [titled(tool)]
        for _, operation, value in _RATIOS:
            mine, theirs = (summary.median(name, operation, value) for name in (ours, tool))
            line.append(f"{theirs / mine:,.1f} x" if mine and theirs else "")
        lines.append(line)
    if lines:
        yield from table(["times ours", *(name for name, _, _ in _RATIOS)], lines)


def target_table(rows: list[Row]) -> Iterator[str]:
    """The figures set beforehand: how many are met, then each."""
    found = list(targets(rows))
    met, missed = (sum(one.met is which for one in found) for which in (True, False))
    yield f"{met} met, {missed} missed, {len(found) - met - missed} not measured; those missed first.\n"
    found.sort(key=lambda one: (False, True, None).index(one.met))
    lines = [[one.what, one.data, one.asked, one.ours, one.peer, one.verdict] for one in found]
    yield from table(["figure", "data", "asked", "akosha-snap", "peer, same run", "verdict"], lines, words=6)


def titled(tool: str) -> str:
    """Its title, ours in bold."""
    return f"**{TOOLS[tool].title}**" if tool.startswith("ours") else TOOLS[tool].title
