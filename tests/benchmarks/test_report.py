"""What is made of the rows: comparisons, medians, verdicts on the figures set beforehand, the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import report
from benchmarks.compare import _save, load
from benchmarks.growth import growth
from benchmarks.interpreters import Unavailable
from benchmarks.long import long_history
from benchmarks.machine import _unplaced
from benchmarks.overview import overview
from benchmarks.quick import compared
from benchmarks.rows import Row, not_measured
from benchmarks.summary import Summary, sent
from benchmarks.targets import Target, targets
from benchmarks.tools import TOOLS


def test_more_requests_or_more_bytes_are_a_regression_and_fewer_are_not() -> None:
    expected = {"session-1": {"requests": 4, "share": 0.02, "bytes": 1}}
    assert compared({"session-1": {"requests": 4, "share": 0.0203}}, expected, tolerance=0.02) == ([], [])
    assert len(compared({"session-1": {"requests": 5, "share": 0.0205}}, expected, tolerance=0.02)[0]) == 2
    assert len(compared({"session-1": {"requests": 5, "share": 0.03}}, expected, tolerance=None)[0]) == 1
    assert len(compared({"session-1": {"requests": 3, "share": 0.01}}, expected, tolerance=0.02)[1]) == 2
    assert compared({"session-1": {"requests": 4, "peak_mb": 300}}, {}, tolerance=0.02)[0]
    assert compared({}, expected, tolerance=None)[0] == [
        "session-1: requests was not measured",
        "session-1: share was not measured",
    ]


def test_medians_take_the_wire_where_it_was_counted() -> None:
    rows = [
        Row("d", "restic", "session", number=1, up=100, stored=90, requests={"GET": 2, "PUT": 1}),
        Row("d", "restic", "session", number=2, up=300, stored=290, requests={"PUT": 1}),
        Row("d", "borg", "session", number=1, stored=70),
        Row("d", "borg", "session", shape="slow", number=1, stored=1),
    ]
    summary = Summary(rows, "d")
    assert summary.median("restic", "session", sent) == 200
    assert summary.median("restic", "session", lambda row: row.request_count) == 2
    assert summary.median("borg", "session", sent) == 70
    assert summary.median("casync", "session", sent) is None


def test_a_tool_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert {name: tool.version() for name, tool in TOOLS.items() if tool.program} == dict.fromkeys(
        (name for name, tool in TOOLS.items() if tool.program), None
    )


def test_the_report_says_what_was_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def undrawn(rows: list[Row], folder: Path) -> list[str]:
        raise Unavailable("no matplotlib")

    monkeypatch.setattr(report, "draw", undrawn)
    machine = {
        "command": "python -m benchmarks", "minutes": 1, "when": "now", "cores": 2, "processor": "", "memory_gb": 1,
        "system": "s", "python": "3", "load_at_start": 0, "commit": "c", "tools": {"restic": None}, "libraries": {},
    }  # fmt: skip
    rows = [
        Row("graph-2.0", "ours", "first", up=9000, requests={"PUT": 4}, peak=1),
        Row("graph-2.0", "ours", "session", number=1, up=1000, requests={"PUT": 4}, peak=1),
        Row("graph-2.0", "casync", "session", number=1, stored=6000),
        not_measured("graph-2.0", "restic", "", "not installed"),
    ]
    page = tmp_path / "page.md"
    report.write_report(machine, rows, page=page, pictures=tmp_path / "img")
    text = page.read_text("utf-8")
    assert "| restic | not measured |" in text
    assert "restic: not installed" in text
    assert "| casync | 6 (6.0 x) |" in text
    assert "| requests, session push, at most | graph-2.0 | 4 | 4 | restic not measured | met |" in text
    assert (
        "| bytes per session: 1/5 of casync's | graph-2.0 | under 1 KB | not measured | casync 6 KB | not measured |"
        in text
    )


def _one(rows: list[Row], what: str, data: str) -> Target:
    return next(one for one in targets(rows) if one.what == what and one.data == data)


def _pushes(data: str, tool: str, operation: str, kilobytes: int, *, requests: int = 4, wall: float = 1.0) -> Row:
    return Row(
        data, tool, operation, number=1, size=10_000_000, changed=50_000, up=kilobytes * 1000, wall=wall, cpu=0.5,
        peak=100_000_000, requests={"PUT": requests}, total=9_000_000,
    )  # fmt: skip


def test_a_figure_that_is_missed_says_by_how_much() -> None:
    rows = [_pushes("memory-2.0", "ours", "session", 100, requests=6), _pushes("memory-2.0", "restic", "session", 1200)]
    missed = _one(rows, "bytes per session: 1/15 of restic's", "memory-2.0")
    assert (missed.asked, missed.ours, missed.met, missed.verdict) == (
        "under 80 KB",
        "100 KB",
        False,
        "**missed by 25%**",
    )
    assert missed.peer == "restic 1,200 KB, 12 x ours"
    assert _one(rows, "requests, session push, at most", "memory-2.0").verdict == "**missed by 50%**"
    assert _one(rows, "session push: CPU", "memory-2.0").verdict == "met"


def test_the_share_of_the_floor_is_held_against_the_labs() -> None:
    rows = [
        Row("graph-2.0", "ours-folder", "session", stored=93_000),
        Row("graph-2.0", "xdelta3", "session", stored=50_000),
    ]
    found = _one(rows, "bytes per session beside the floor: 1.25 x the lab's share", "graph-2.0")
    assert found.asked == "1.66 x the floor (lab: 93 of 70 KB)"
    assert (found.ours, found.verdict) == ("1.86 x the floor (93 KB)", "**missed by 12%**")


def test_what_no_row_speaks_of_is_not_measured_and_fails_nothing() -> None:
    found = list(targets([]))
    assert {one.verdict for one in found} == {"not measured"}
    assert {"memory-2.0@64", "scale-10000", "graph-1.5"} <= {one.data for one in found}
    assert any(one.what == "`--version`, CPU" and one.asked == "under 0.15 s" for one in found)


def test_of_several_restores_of_the_latest_the_median_one_counts() -> None:
    rows = [Row("d", "ours", "restore", age=0, wall=wall) for wall in (3.0, 1.0, 2.0)]
    rows += [Row("d", "ours", "restore", age=12, wall=9.0)]
    summary = Summary(rows, "d")
    latest, oldest = summary.restored("ours", oldest=False), summary.restored("ours", oldest=True)
    assert (latest and latest.wall, oldest and oldest.wall) == (2.0, 9.0)


def test_growth_says_what_grows_and_what_does_not() -> None:
    rows = [_pushes("scale-10", "ours", "session", 100), _pushes("scale-1000", "ours", "session", 150, wall=3.0)]
    rows[1].size = 1_010_000_000
    rows += [Row("scale-10", "ours", "read", wall=0.1), Row("scale-1000", "ours", "read", wall=0.4)]
    said = "\n".join(growth(rows))
    assert "From 10 to 1,010 MB the file grows 101 times" in said
    assert "what akosha-snap sends, 1.5 times" in said
    assert (
        "2.00 s for each GB more (one sequential read of a GB, from the page cache as far as it fits: 0.30 s)" in said
    )


def test_a_long_history_compares_its_first_quarter_with_its_last() -> None:
    rows = [_pushes("memory-2.0@64", "ours", "session", kilobytes) for kilobytes in (10, 20, 30, 40)]
    line = list(long_history([Summary(rows, "memory-2.0@64")]))[2]
    assert line.startswith("| memory-2.0@64 | **akosha-snap** | 10 | 40 | 4 | 4 | 1.00 | 1.00 |")


def test_the_first_table_has_a_column_for_each_tool_that_was_measured() -> None:
    rows = [
        _pushes("d", tool, operation, 231)
        for tool in ("ours", "restic", "rclone")
        for operation in ("first", "session")
    ]
    lines = list(overview(Summary(rows, "d")))
    assert lines[0] == "|  | **akosha-snap** | restic |"
    assert "| a session's push: KB sent | 231 | 231 |" in lines
    assert "| the first push: MB sent | 0.23 | 0.23 |" in lines
    assert "| restoring the latest: seconds |  |  |" in lines


def test_rows_are_saved_and_read_back(tmp_path: Path) -> None:
    rows = [
        Row("", "ours", "version", cpu=0.1),
        _pushes("d", "ours", "first", 1),
        not_measured("d", "restic", "", "no"),
    ]
    _save({"when": "now"}, rows, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == ({"when": "now"}, rows)


def test_no_path_of_the_machine_is_in_the_recorded_command() -> None:
    given = ["--sets", "a,b", "--work", "/home/me/x", "--json=/tmp/r", "--add"]
    assert _unplaced(given) == ["--sets", "a,b", "--work", "DIR", "--json=FILE", "--add"]
