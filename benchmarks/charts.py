"""The charts, as PNG, with matplotlib, which is loaded only here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data import data_set
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
    names = [name for name in single if name in found] or found[:4]
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
        _plain(axes.xaxis)
        axes.set_title(_titled(name), loc="left", fontsize=10.5, fontweight="bold")
        axes.tick_params(axis="y", length=0)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("KB sent per session, median (log scale)", fontsize=10)
    figure.tight_layout()
    return figure


def _restore_by_age(pyplot: Any, rows: list[Row]) -> Any:
    """Seconds of a restore against how many snapshots came after the one restored."""
    names = [row.data for row in rows if row.operation == "restore" and not row.shape]
    name = next((name for name in ("reflection-2.0", "memory-2.0", *names) if name in names), None)
    if name is None:
        return None
    summary = Summary(rows, name)
    figure, axes = pyplot.subplots(figsize=(7.5, 4.2))
    for tool in summary.tools:
        points = sorted((row.age, row.wall) for row in summary.rows(tool, "restore") if row.age is not None)
        if points:
            _line(axes, tool, points)
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted({row.age or 0 for tool in summary.tools for row in summary.rows(tool, "restore")}))
    axes.set_xlabel("age: snapshots taken since (0 is the latest)")
    axes.set_ylabel("seconds, whole process")
    return _finished(figure, axes, f"Restore time by age of the snapshot ({_titled(name)})")


def _growth_by_size(pyplot: Any, rows: list[Row]) -> Any:
    """Bytes, and CPU seconds, of a session push against the size of the file."""
    names = [name for name in dict.fromkeys(row.data for row in rows) if name.startswith("scale-")]
    if not names:
        return None
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4))
    for axes, value, label in (
        (panels[0], lambda row: sent(row) / 1e3, "KB sent per session, median"),
        (panels[1], lambda row: row.cpu, "CPU seconds per session, median"),
    ):
        for tool in ("ours", "restic"):
            points = []
            for summary in (Summary(rows, name) for name in (*names, "reflection-2.0")):
                found = summary.median(tool, "session", value)
                if found is not None:
                    points.append((max(row.size for row in summary.rows(tool, "session")) / 1e6, found))
            if points:
                _line(axes, tool, sorted(points))
        axes.set_xscale("log")
        sizes = sorted({x for line in axes.lines for x in line.get_xdata()})
        axes.set_xticks(sizes)
        _plain(axes.xaxis)
        axes.set_xlabel("file size, MB (log scale)")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.25)
    panels[0].set_yscale("log")
    _plain(panels[0].yaxis)
    panels[1].set_ylim(bottom=0)
    panels[0].legend(frameon=False)
    figure.suptitle("Cost of a session's push by file size", x=0.07, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    return figure


def _growth_by_count(pyplot: Any, rows: list[Row]) -> Any:
    """Bytes and requests of each session's push, in the order they were made."""
    names = [row.data for row in rows if row.operation == "session" and not row.shape]
    name = next((name for name in ("reflection-2.0", *names) if name in names), None)
    if name is None:
        return None
    summary = Summary(rows, name)
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4))
    for axes, value, label in (
        (panels[0], lambda row: max(sent(row), 1) / 1e3, "KB sent"),
        (panels[1], lambda row: row.request_count, "requests"),
    ):
        for tool in summary.tools:
            points = [(row.number, found) for row in summary.rows(tool, "session") if (found := value(row))]
            if points and tool in _COLOURS and tool not in {"ours-folder", "restic-max"}:
                _line(axes, tool, points)
        axes.set_xlabel("session")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, axis="y", alpha=0.25)
    panels[0].set_yscale("log")
    _plain(panels[0].yaxis)
    panels[1].set_ylim(bottom=0)
    panels[0].legend(frameon=False, loc="upper center", bbox_to_anchor=(1.1, -0.15), ncols=4)
    figure.suptitle(f"Each session's push ({_titled(name)})", x=0.07, ha="left", fontweight="bold", fontsize=11)
    return figure


def _plain(axis: Any) -> None:
    """Numbers as they are read, not as powers."""
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axis.set_minor_formatter(lambda value, _: "")  # noqa: ARG005


def _titled(name: str) -> str:
    return data_set(name).title


def _line(axes: Any, tool: str, points: Sequence[tuple[float, float]]) -> None:
    ours = tool == "ours"
    axes.plot(
        *zip(*points, strict=True), marker="o", markersize=4, linewidth=2.6 if ours else 1.5,
        color=_COLOURS.get(tool, PEERS), label=TOOLS[tool].title, zorder=3 if ours else 2,
    )  # fmt: skip


def _finished(figure: Any, axes: Any, title: str) -> Any:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.grid(visible=True, axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
