"""Markdown tables of the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.rows import Row
from benchmarks.summary import Summary, Value, sent
from benchmarks.targets import targets
from benchmarks.tools import TOOLS

__all__ = ["bytes_by_tool", "details", "growth", "ratios", "table", "target_table"]

NONE = "not measured"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{'---:|' * (len(heads) - 1)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
    yield ""


def bytes_by_tool(summaries: Sequence[Summary]) -> Iterator[str]:
    """Kilobytes sent per session, a line for each tool and how often our bytes go into them."""
    tools = list(dict.fromkeys(tool for summary in summaries for tool in summary.tools))
    lines = []
    for tool in tools:
        line = [_title(tool)]
        for summary in summaries:
            ours = "ours" if TOOLS[tool].on_s3 or not summary.rows("ours-folder", "session") else "ours-folder"
            mine, theirs = (summary.median(name, "session", sent) for name in (ours, tool))
            ratio = f" ({theirs / mine:,.1f} x)" if mine and theirs and not tool.startswith("ours") else ""
            missing = NONE if tool in summary.tools else "not run"
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
            lines.append([_title(tool), NONE, *[""] * (len(heads) - 2)])
            continue
        lines.append([_title(tool), *_cells(summary, tool)])
    yield from table(heads, lines)
    yield from (f"{_title(tool)}: {summary.problem(tool)}\n" for tool in summary.tools if summary.problem(tool))


def _cells(summary: Summary, tool: str) -> list[str]:
    def cell(operation: str, value: Value, form: str) -> str:
        found = summary.median(tool, operation, value)
        return "" if found is None else format(found, form)

    latest, oldest = (summary.restored(tool, oldest=which) for which in (False, True))
    last = summary.rows(tool, "unchanged") or summary.rows(tool, "first")
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
        f"{last[-1].total / 1e6:,.1f}",
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
        line = [_title(tool)]
        for _, operation, value in _RATIOS:
            mine, theirs = (summary.median(name, operation, value) for name in (ours, tool))
            line.append(f"{theirs / mine:,.1f} x" if mine and theirs else "")
        lines.append(line)
    if lines:
        yield from table(["times ours", *(name for name, _, _ in _RATIOS)], lines)


def growth(rows: list[Row]) -> Iterator[str]:
    """What a session costs as the file grows."""
    names = [name for name in dict.fromkeys(row.data for row in rows) if name.startswith("scale-")]
    names += ["reflection-2.0"] if names else []
    lines = []
    for summary in (Summary(rows, name) for name in names):
        for tool in summary.tools:
            sizes = [row.size for row in summary.rows(tool, "session")]
            if sizes and tool in {"ours", "restic"}:
                cells = _cells(summary, tool)
                peak = max(row.peak for op in ("first", "session", "restore") for row in summary.rows(tool, op))
                lines.append((max(sizes), [f"{max(sizes) / 1e6:,.0f}", _title(tool), *cells[:7], f"{peak / 1e6:.0f}"]))
    heads = [
        "file, MB", "tool", "first push: KB", "s", "session: KB", "requests", "s", "CPU s", "peak MB",
        "peak of all, MB",
    ]  # fmt: skip
    lines.sort(key=lambda one: one[0])
    yield from table(heads, [line for _, line in lines])


def target_table(rows: list[Row]) -> Iterator[str]:
    """What the design asks for."""
    lines = [
        [one.asked, one.data, one.found, {True: "yes", False: "**no**", None: "no limit set"}[one.met]]
        for one in targets(rows)
    ]
    if lines:
        yield from table(["asked", "data", "measured", "met"], sorted(lines))


def _title(tool: str) -> str:
    return f"**{TOOLS[tool].title}**" if tool.startswith("ours") else TOOLS[tool].title
