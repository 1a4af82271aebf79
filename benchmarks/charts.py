"""The charts, as PNG, with matplotlib, which is loaded only here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data import data_set
from benchmarks.growth import Point, points
from benchmarks.interpreters import Unavailable
from benchmarks.rows import Row
from benchmarks.summary import Summary, sent
from benchmarks.tools import TOOLS

__all__ = ["draw"]

OURS, PEERS, FLOOR = "#c1440e", "#5b7083", "#b9c4cc"
_COLOURS = {
    "ours": OURS, "ours-folder": "#e58a62", "restic": "#1f6fb4", "restic-max": "#7fb2dc", "borg": "#2f8f4e",
    "borg-tuned": "#8fcb9f", "casync": "#8052a0", "rclone": "#8c6d31", "upstream": "#444444",
}  # fmt: skip


def draw(rows: list[Row], folder: Path) -> list[str]:
    """Draw what these rows can show; returns the names of the pictures."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise Unavailable("matplotlib is not installed (dependency group bench)") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(
        {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "akosha-snap"}
    )
    charts: dict[str, Callable[[Any, list[Row]], Any]] = {
        "bytes-per-session.png": _bytes_per_session,
        "restore-by-age.png": _restore_by_age,
        "growth-by-size.png": _growth_by_size,
        "growth-by-count.png": _growth_by_count,
    }
    drawn = []
    for name, chart in charts.items():
        figure = chart(plt, rows)
        if figure is not None:
            figure.savefig(folder / name, dpi=110, bbox_inches="tight", metadata={"Software": None})
            plt.close(figure)
            drawn.append(name)
    return drawn


def _bytes_per_session(pyplot: Any, rows: list[Row]) -> Any:
    """A panel for each data set, a bar for each tool, on a log axis."""
    single = ("reflection-2.0", "reflection-1.5", "graph-2.0", "graph-1.5")
    found = list(dict.fromkeys(row.data for row in rows if row.operation == "session" and not row.shape))
    others = [name for name in found if "@" not in name and not name.startswith("scale-")]
    names = [name for name in single if name in found] or others[:4]
    if not names:
        return None
    across = min(2, len(names))
    down = -(-len(names) // across)
    figure, grid = pyplot.subplots(down, across, figsize=(6.2 * across, 3.6 * down), squeeze=False, sharex=True)
    for axes, name in zip(grid.flat, names, strict=False):
        summary = Summary(rows, name)
        measured = [(tool, summary.median(tool, "session", sent)) for tool in reversed(summary.tools)]
        bars = [(tool, value) for tool, value in measured if value]
        colours = [
            OURS if tool.startswith("ours") else FLOOR if "floor" in TOOLS[tool].title else PEERS for tool, _ in bars
        ]
        values = [value / 1e3 for _, value in bars]
        axes.barh([TOOLS[tool].title for tool, _ in bars], values, color=colours, height=0.72)
        for place, value in enumerate(values):
            axes.text(value * 1.1, place, f"{value:,.0f}", va="center", fontsize=8.5)
        axes.set_xscale("log")
        axes.set_xlim(30, 300_000)
        axes.grid(visible=True, axis="x", alpha=0.25)
        axes.set_axisbelow(True)
        _plain(axes.xaxis)
        axes.set_title(_titled(name), loc="left", fontsize=10.5, fontweight="bold")
        axes.tick_params(axis="y", length=0)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_visible(False)
    figure.suptitle("Bytes a session's push sends: shorter is better, each mark is ten times the one before",
                    x=0.01, ha="left", fontweight="bold", fontsize=12)  # fmt: skip
    figure.supxlabel("KB sent per session, median (log scale)", fontsize=10)
    figure.tight_layout()
    return figure


def _restore_by_age(pyplot: Any, rows: list[Row]) -> Any:
    """Seconds of a restore against how many snapshots came after the one restored."""
    name = _most_telling(rows, "restore")
    if name is None:
        return None
    summary = Summary(rows, name)
    figure, axes = pyplot.subplots(figsize=(7.5, 4.2))
    for tool in summary.tools:
        times: dict[int, list[float]] = {}
        for row in summary.rows(tool, "restore"):
            times.setdefault(row.age or 0, []).append(row.wall)
        if times:
            _line(axes, tool, [(age, statistics.median(found)) for age, found in sorted(times.items())])
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted({row.age or 0 for tool in summary.tools for row in summary.rows(tool, "restore")}))
    axes.set_xlabel("age: snapshots taken since (0 is the latest)")
    axes.set_ylabel("seconds, whole process")
    axes.set_title(f"Restore time by age of the snapshot\n{_titled(name)}", loc="left", fontsize=11, fontweight="bold")
    axes.grid(visible=True, axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _growth_by_size(pyplot: Any, rows: list[Row]) -> Any:
    """Bytes, time and memory against the size of the file."""
    found = {tool: points(rows, tool) for tool in ("ours", "restic")}
    if not any(found.values()):
        return None
    figure, panels = pyplot.subplots(1, 3, figsize=(15, 4.2))
    shown: tuple[tuple[Any, str, Callable[[Point], float]], ...] = (
        (panels[0], "KB sent per session, median (log scale)", lambda one: one.sent / 1e3),
        (panels[1], "seconds per session, median (log scale)", lambda one: one.wall),
        (panels[2], "peak memory of any operation, MB", lambda one: one.peak / 1e6),
    )
    for axes, label, value in shown:
        for tool, line in found.items():
            if line:
                _line(axes, tool, [(one.size / 1e6, value(one)) for one in line])
        _sizes(axes, (one for line in found.values() for one in line))
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.25)
    ours = found["ours"]
    panels[0].plot(*_by_size(ours, lambda one: one.changed / 1e3), color="#999999", ls=":", label="changed in the file")
    panels[1].plot(*_by_size(ours, lambda one: one.read), color="#999999", ls="--", label="one read of the file")
    panels[2].axhline(200, color="#999999", ls="--", label="limit set beforehand")
    for axes in panels[:2]:
        _decades(axes)
    panels[2].set_ylim(0, max(220, 1.1 * panels[2].get_ylim()[1]))
    for axes in panels:
        axes.legend(frameon=False, fontsize=9)
    figure.suptitle("A session's push by the size of the file", x=0.07, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    return figure


def _by_size(line: list[Point], value: Callable[[Point], float]) -> tuple[list[float], list[float]]:
    return [one.size / 1e6 for one in line], [value(one) for one in line]


def _sizes(axes: Any, line: Iterable[Point]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sorted({round(one.size / 1e6) for one in line}))
    _plain(axes.xaxis)
    axes.set_xlabel("file size, MB (log scale)")


def _growth_by_count(pyplot: Any, rows: list[Row]) -> Any:
    """Bytes, requests and time of each session's push, in the order they were made."""
    name = _most_telling(rows, "session")
    if name is None:
        return None
    summary = Summary(rows, name)
    figure, panels = pyplot.subplots(1, 3, figsize=(15, 4.2))
    for axes, label, value in (
        (panels[0], "KB sent (log scale)", lambda row: max(sent(row), 1) / 1e3),
        (panels[1], "requests", lambda row: row.request_count),
        (panels[2], "seconds, whole process", lambda row: row.wall),
    ):
        for tool in summary.tools:
            line = [(row.number, found) for row in summary.rows(tool, "session") if (found := value(row))]
            if line and tool in _COLOURS and tool not in {"ours-folder", "restic-max"}:
                _line(axes, tool, line)
        axes.set_xlabel("session")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, axis="y", alpha=0.25)
        axes.set_ylim(bottom=0)
    _decades(panels[0])
    panels[1].yaxis.get_major_locator().set_params(integer=True)
    panels[2].set_ylim(0, _most_of(panels[2]))
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=4)
    figure.suptitle(f"Each session's push: {_titled(name)}", x=0.07, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    return figure


def _most_telling(rows: list[Row], operation: str) -> str | None:
    """Of the sets that have the operation, the one with the most sessions and the most files."""
    names = list(dict.fromkeys(row.data for row in rows if row.operation == operation and not row.shape))
    wanted = ("memory-2.0@64", *(name for name in names if "@" in name), "memory-2.0", "reflection-2.0", *names)
    return next((name for name in wanted if name in names), None)


def _decades(axes: Any) -> None:
    """A log axis from one power of ten to another, so that each has marks with numbers."""
    values = [value for line in axes.lines for value in line.get_ydata() if value > 0]
    axes.set_yscale("log")
    axes.set_ylim(10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values) * 1.01)))
    _plain(axes.yaxis)


def _most_of(axes: Any) -> float:
    """The top of an axis that a few outliers may leave."""
    values = sorted(value for line in axes.lines for value in line.get_ydata())
    return float(values[int(0.98 * (len(values) - 1))]) * 1.25


def _plain(axis: Any) -> None:
    """Numbers as they are read, not as powers."""
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axis.set_minor_formatter(lambda value, _: "")  # noqa: ARG005


def _titled(name: str) -> str:
    return data_set(name).title


def _line(axes: Any, tool: str, points: Sequence[tuple[float, float]]) -> None:
    ours = tool == "ours"
    axes.plot(
        *zip(*points, strict=True), marker="o" if len(points) <= 16 else "", markersize=4,
        linewidth=2.6 if ours else 1.5, color=_COLOURS.get(tool, PEERS), label=TOOLS[tool].title,
        zorder=3 if ours else 2,
    )  # fmt: skip
