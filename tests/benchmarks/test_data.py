"""The data sets: the right tables, the same rows for the same seed, changes like a session's; and the comparisons."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import sys
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import report
from benchmarks.data import DataSet, data_set, steps
from benchmarks.interpreters import Unavailable
from benchmarks.memory.rows import Maker
from benchmarks.memory.schema import GRAPH, REFLECTION
from benchmarks.quick import compared
from benchmarks.rows import Row, not_measured
from benchmarks.summary import Summary, sent
from benchmarks.tools import TOOLS

VERSION = ".".join(importlib.metadata.version("duckdb").split(".")[:2])


def _contents(path: Path) -> dict[str, tuple[int, str]]:
    """Of each table, how many rows and a digest of all of them."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        found = {}
        for name in names:
            row = connection.execute(f"SELECT count(*), md5(string_agg(t::VARCHAR, '' ORDER BY id)) FROM {name} t")
            found[name] = row.fetchone()
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Path]]:
    chosen = DataSet("small", "small", {REFLECTION: 1.0, GRAPH: 1.0}, VERSION, "live")
    return steps(chosen, 2, tmp_path_factory.mktemp("made"))


def test_the_same_seed_makes_the_same_rows(made: list[dict[str, Path]], tmp_path: Path) -> None:
    chosen = DataSet("small", "small", {REFLECTION: 1.0, GRAPH: 1.0}, VERSION, "live")
    again = steps(chosen, 1, tmp_path)
    for name in (REFLECTION, GRAPH):
        assert _contents(again[1][name]) == _contents(made[1][name])
    texts = [Maker(seed, dt.datetime(2026, 1, 1)).text(1200) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_the_tables_and_what_sessions_add(made: list[dict[str, Path]]) -> None:
    before, after = (
        {name: rows for file in (REFLECTION, GRAPH) for name, (rows, _) in _contents(step[file]).items()}
        for step in (made[0], made[2])
    )
    assert {name: after[name] - before[name] for name in before} == {
        "conversations_v2": 40,
        "reflections_v2": 10,
        "memory_access_log": min(50, before["conversations_v2"]) + min(50, before["conversations_v2"] + 20),
        "kg_entities": 40,
        "kg_relationships": 40,
    }
    with duckdb.connect(str(made[0][REFLECTION]), read_only=True) as connection:
        row = connection.execute(
            "SELECT avg(length(content)), min(len(embedding)), min(octet_length(fingerprint)),"
            " max(abs(1 - list_sum([x * x FOR x IN embedding::FLOAT[]]))) FROM conversations_v2"
        ).fetchone()
    assert row is not None
    length, dimensions, fingerprint, off = row
    assert 800 < length < 1700
    assert (dimensions, fingerprint) == (384, 1024)
    assert off < 1e-4


def test_every_other_session_is_left_in_the_wal(made: list[dict[str, Path]]) -> None:
    assert [sorted(step) for step in made] == [
        [GRAPH, REFLECTION],
        [GRAPH, GRAPH + ".wal", REFLECTION, REFLECTION + ".wal"],
        [GRAPH, REFLECTION],
    ]


def test_steps_once_made_are_kept(made: list[dict[str, Path]]) -> None:
    work = made[0][GRAPH].parents[3]
    times = {path: path.stat().st_mtime_ns for path in work.rglob("*.duckdb")}
    steps(DataSet("small", "small", {REFLECTION: 1.0, GRAPH: 1.0}, VERSION, "live"), 2, work)
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.duckdb")} == times


def test_data_sets_by_name() -> None:
    assert data_set("scale-1000").files == {REFLECTION: 1000.0}
    with pytest.raises(SystemExit, match="no data set 'x'"):
        data_set("x")


def test_more_requests_or_more_bytes_are_a_regression_and_fewer_are_not() -> None:
    expected = {"session-1": {"requests": 4, "share": 0.02, "bytes": 1}}
    assert compared({"session-1": {"requests": 4, "share": 0.0219}}, expected, with_bytes=True) == ([], [])
    assert len(compared({"session-1": {"requests": 5, "share": 0.03}}, expected, with_bytes=True)[0]) == 2
    assert len(compared({"session-1": {"requests": 5, "share": 0.03}}, expected, with_bytes=False)[0]) == 1
    assert len(compared({"session-1": {"requests": 3, "share": 0.01}}, expected, with_bytes=True)[1]) == 2
    assert compared({"session-1": {"requests": 4, "peak_mb": 300}}, {}, with_bytes=True)[0]


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
    assert "| requests, session push: 4 or fewer | graph-2.0 | 4 | yes |" in text
