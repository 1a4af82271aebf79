"""The data sets: the right tables, the same rows for the same seed, changes like a session's."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.data import DataSet, data_set, steps
from benchmarks.interpreters import Unavailable, interpreter
from benchmarks.memory.ahead import Batch, made_ahead
from benchmarks.memory.rows import Maker
from benchmarks.memory.schema import GRAPH, REFLECTION

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


SMALL = DataSet("small", "small", {REFLECTION: 1.0, GRAPH: 1.0}, VERSION, "live")

Made = list[dict[str, Path]]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def made(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return _written(2, work, tmp_path_factory.mktemp("made"))


def _written(sessions: int, work: Path, to: Path) -> Made:
    """Every step of the small set, each in a folder of its own, reached from the one before."""
    found: Made = []
    live = to / "live"
    live.mkdir()
    for number, step in enumerate(steps(SMALL, sessions, work)):
        step.write(live)
        folder = to / str(number)
        folder.mkdir()
        for path in live.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
            assert step.holds(path.name, path)
        found.append({path.name: path for path in folder.iterdir()})
    return found


def test_the_same_seed_makes_the_same_rows(made: Made, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    again = _written(1, tmp_path / "work", tmp_path / "to")
    for name in (REFLECTION, GRAPH):
        assert _contents(again[1][name]) == _contents(made[1][name])
    texts = [Maker(seed, dt.datetime(2026, 1, 1)).text(1200) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_the_tables_and_what_sessions_add(made: Made) -> None:
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


def test_every_other_session_is_left_in_the_wal(made: Made) -> None:
    assert [sorted(step) for step in made] == [
        [GRAPH, REFLECTION],
        [GRAPH, GRAPH + ".wal", REFLECTION, REFLECTION + ".wal"],
        [GRAPH, REFLECTION],
    ]


def test_steps_once_made_are_kept_and_more_are_added(work: Path, made: Made) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}

    before = times()
    assert len(steps(SMALL, 2, work)) == 3
    assert times() == before
    assert len(steps(SMALL, 3, work)) == 4
    after = times()
    assert len(after) > len(before)
    assert {path: after[path] for path in before} == before


def test_data_sets_by_name() -> None:
    assert data_set("scale-1000").files == {REFLECTION: 1000.0}
    assert (data_set("scale-1000").sessions, data_set("scale-10000").sessions) == (3, 2)
    long = data_set("memory-2.0@64")
    assert (long.name, long.sessions, long.title) == (
        "memory-2.0@64",
        64,
        "both files, 100 MB, DuckDB 2.0, 64 sessions",
    )
    assert long.files == data_set("memory-2.0").files
    for wrong in ("x", "scale-x", "memory-2.0@x"):
        with pytest.raises(SystemExit, match=f"no data set '{wrong}'"):
            data_set(wrong)


def _counting(seed: int, sizes: list[int]) -> Iterator[Batch]:
    for number in itertools.count(seed):
        yield {"t": [{"id": number}] * sizes[0]}


def test_rows_made_ahead_come_in_order_and_their_maker_ends() -> None:
    with made_ahead(_counting, 7, [2]) as batches:
        assert list(itertools.islice(batches, 3)) == [{"t": [{"id": number}] * 2} for number in (7, 8, 9)]


def test_an_extension_that_cannot_be_had_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("benchmarks.interpreters._make", _failing)
    with pytest.raises(Unavailable, match=r"no environment with DuckDB 1\.5\.5 .*no network"):
        interpreter("1.5.5", tmp_path, ("duckdb-extension-vss",))


def _failing(folder: Path, python: Path, packages: list[str]) -> None:
    assert packages == ["numpy", "duckdb==1.5.5", "duckdb-extension-vss==1.5.5"]
    raise OSError("no network")
