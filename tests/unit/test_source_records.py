"""Counting the records of a copy, with whatever DuckDB is installed."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import memory_db
import pytest
from test_source_header import NATIVE, READABLE, seal

from akosha_snap.errors import DamageError, SourceError
from akosha_snap.source import RecordCounts, UnsupportedStorage, count_records, engine, records

FIXTURES = Path(__file__).parents[1] / "fixtures" / "duckdb"


@pytest.mark.parametrize("version", READABLE)
@pytest.mark.parametrize(
    ("name", "counts"), [("closed", (300, 0, 100, 50)), ("wal", (204, 0, 0, 0)), ("only_wal", (12, 0, 0, 0))]
)
def test_files_of_every_version(tmp_path: Path, version: str, name: str, counts: tuple[int, ...]) -> None:
    for file in FIXTURES.glob(f"{version}_{name}.*"):
        shutil.copy(file, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert count_records(tmp_path / f"{version}_{name}.duckdb") == RecordCounts(*counts)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before, "nothing changed, nothing left"


def test_a_database_cannot_have_us_read_other_files(tmp_path: Path) -> None:
    """A view under a table's name is no table, and nothing that is asked of the copy reaches outside it."""
    secret, path = tmp_path / "secret", tmp_path / "a.duckdb"
    secret.write_text("s")
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE VIEW conversations AS SELECT * FROM read_text('{secret}')")
    assert count_records(path) == RecordCounts(0, 0, 0, 0)
    with engine.open_copy(path, None) as connection, pytest.raises(duckdb.PermissionException):
        connection.execute(f"SELECT * FROM {engine.ALIAS}.main.conversations").fetchall()


def test_a_memory(tmp_path: Path) -> None:
    reflection, graph = memory_db.build(tmp_path, conversations=16)
    assert count_records(reflection) == RecordCounts(16, 2, 0, 0)
    assert count_records(graph) == RecordCounts(0, 0, 16, 32)
    memory_db.live_session(tmp_path, seed=1, checkpoint=False)
    assert {file.name for file in tmp_path.glob("*.wal")} == {"reflection.duckdb.wal", "knowledge_graph.duckdb.wal"}
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert count_records(reflection) == RecordCounts(36, 7, 0, 0)
    assert count_records(graph) == RecordCounts(0, 0, 36, 52)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    memory_db.live_session(tmp_path, seed=2)
    assert count_records(reflection).conversations == 56


@pytest.mark.parametrize("name", ["temp.duckdb", "system.duckdb", "memory.duckdb", 'it\'s "1";.duckdb', "é.db"])
def test_names_that_mean_something_to_duckdb(tmp_path: Path, name: str) -> None:
    shutil.copyfile(FIXTURES / f"{NATIVE}_closed.duckdb", tmp_path / name)
    assert count_records(tmp_path / name).conversations == 300


def test_older_tables_count_beside_the_newer(tmp_path: Path) -> None:
    path = tmp_path / "old.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE conversations AS SELECT range FROM range(7)")
        connection.execute("CREATE TABLE reflections AS SELECT range FROM range(3)")
        connection.execute("CREATE TABLE reflections_v2 AS SELECT range FROM range(2)")
        connection.execute("CREATE SCHEMA s; CREATE TABLE s.kg_entities AS SELECT 1 AS one")
        connection.execute("CREATE VIEW kg_relationships AS SELECT 1 AS one")
    assert count_records(path) == RecordCounts(7, 5, 0, 0)


def test_a_wal_larger_than_the_memory_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wide.duckdb"
    source = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1], config={'checkpoint_threshold': '1TB'});"
        "c.execute('CREATE TABLE conversations_v2 (id VARCHAR PRIMARY KEY, text VARCHAR)');"
        'c.execute("INSERT INTO conversations_v2 SELECT range, repeat(md5(range::VARCHAR), 20) FROM range(60000)");'
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", source, str(path)], check=True)
    assert path.with_name("wide.duckdb.wal").stat().st_size > 35_000_000
    monkeypatch.setattr(engine, "MEMORY", "8MB")
    assert count_records(path).conversations == 60_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["wide.duckdb", "wide.duckdb.wal"]


def test_damaged(tmp_path: Path) -> None:
    path = tmp_path / "memory.duckdb"
    path.write_bytes(b"\0" * 8 + b"DUCK" + bytes(5000))
    with pytest.raises(DamageError, match=r"DuckDB cannot read .*memory\.duckdb: ") as caught:
        count_records(path)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["memory.duckdb"]


TOO_OLD = [
    # What 1.4.4, 1.5.6 and 2.0.0 really say
    "IO Error: Trying to read a database file with version number 999, but we can only read versions between 64 and "
    "67.\nThe database file was created with an newer version of DuckDB.",
    "IO Error: Trying to read a database file with version number 69, but we can only read versions between 64 and 68.",
    "IO Error: Trying to read a database file with storage version number 90, but we can only read storage versions "
    "between 64 and 69.\nThe database file was created with a newer version of DuckDB.",
    # From DuckDB's sources
    'Error opening "x": file was written with a storage version greater than the latest version supported',
]


@pytest.mark.parametrize("message", TOO_OLD)
def test_too_old_a_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    def refuse(*_: Any) -> None:
        raise duckdb.IOException(message)

    monkeypatch.setattr(records, "_count", refuse)
    with pytest.raises(UnsupportedStorage, match="is too old for") as caught:
        count_records(tmp_path / "memory.duckdb")
    assert caught.value.exit_code == 1
    assert duckdb.__version__ in caught.value.message


def test_a_file_of_a_later_duckdb(tmp_path: Path) -> None:
    raw = bytearray((FIXTURES / "v2_0_closed.duckdb").read_bytes())
    struct.pack_into("<Q", raw, 12, 1200)
    seal(raw, 0)
    (tmp_path / "memory.duckdb").write_bytes(raw)
    with pytest.raises(UnsupportedStorage):
        count_records(tmp_path / "memory.duckdb")


@pytest.mark.parametrize(
    "error", [duckdb.OutOfMemoryException("Out of Memory Error: x"), duckdb.IOException("No space left on device")]
)
def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(records, "_count", refuse)
    with pytest.raises(SourceError, match="had no room"):
        count_records(tmp_path / "memory.duckdb")


def test_a_duckdb_that_does_not_start_is_not_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MEMORY", "nonsense")
    with pytest.raises(SourceError, match="does not start"):
        count_records(tmp_path / "memory.duckdb")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no folder"):
        count_records(tmp_path / "nowhere" / "memory.duckdb")


def test_a_log_whose_replay_must_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As DuckDB 1.5 with some logs: what is read then is a copy that may be written to."""
    monkeypatch.setattr(engine, "_REPLAY_WRITES", "Cannot open file")
    path, _ = memory_db.build(tmp_path, conversations=8)
    memory_db.live_session(tmp_path, seed=1, checkpoint=False)
    attached = []

    class Refusing:
        """A connection that opens nothing to be read alone."""

        def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
            self.connection = connection

        def __enter__(self) -> Refusing:
            return self

        def __exit__(self, *_: object) -> None:
            self.connection.close()

        def execute(self, statement: str, *values: object) -> duckdb.DuckDBPyConnection:
            if "READ_ONLY" in statement:
                raise duckdb.IOException("IO Error: Failure while replaying WAL file: Cannot open file")
            attached.extend([statement] if statement.startswith("ATTACH") else [])
            return self.connection.execute(statement, *values)

    original = engine._engine
    monkeypatch.setattr(engine, "_engine", lambda *args: Refusing(original(*args)))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert count_records(path).conversations == 28
    assert len(attached) == 1
    assert str(path) not in attached[0]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
