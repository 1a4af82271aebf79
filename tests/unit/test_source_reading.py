"""Reading records: columns of any version, values of any kind, in bounded memory."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import memory_db
import pytest
from test_source_header import READABLE

from akosha_snap.errors import DamageError, SourceError
from akosha_snap.source import Record, count_records, read_records, reading
from akosha_snap.source.checksum import checksum

FIXTURES = Path(__file__).parents[1] / "fixtures" / "duckdb"


def database(path: Path, *statements: str, rows: list[tuple[Any, ...]] | None = None) -> Path:
    """A database made by these statements; `rows` go into conversations_v2."""
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        for row in rows or []:
            connection.execute(f"INSERT INTO conversations_v2 VALUES ({', '.join('?' for _ in row)})", row)
    return path


def read_one(path: Path) -> Record:
    (record,) = read_records(path)
    return record


def test_a_memory(tmp_path: Path) -> None:
    reflection, graph = memory_db.build(tmp_path, conversations=16)
    memory_db.live_session(tmp_path, seed=1, checkpoint=False)  # part of it in the WAL
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    records = [*read_records(reflection), *read_records(graph)]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    kinds = [record.kind for record in records]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "conversation": 36, "reflection": 7, "entity": 36, "relationship": 52,
    }  # fmt: skip
    with duckdb.connect(str(reflection), read_only=True) as connection:
        rows = connection.execute(
            "SELECT id, content, embedding, timestamp, project, metadata FROM conversations_v2"
        ).fetchall()
        tags = dict(connection.execute("SELECT id, tags FROM reflections_v2").fetchall())
    for record, row in zip(records, rows, strict=False):
        assert (record.id, record.text, record.created_at) == (row[0], row[1], row[3])
        assert record.embedding
        assert [as_float32(value) for value in json.loads(record.embedding)] == list(row[2])
        assert record.attributes["project"] == row[4]
        assert record.attributes["metadata"] == json.loads(row[5])
    assert {r.id: r.attributes["tags"] for r in records if r.kind == "reflection"} == tags
    entity = next(record for record in records if record.kind == "entity")
    name, kind, seen = (entity.attributes[key] for key in ("name", "entity_type", "observations"))
    assert entity.text == "\n".join([f"{name} ({kind})", *seen])
    assert isinstance(entity.attributes["properties"]["score"], float)
    relationship = records[-1]
    assert {"from_entity", "to_entity", "relation_type", "properties"} <= relationship.attributes.keys()


def as_float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def test_only_the_kinds_asked_for(tmp_path: Path) -> None:
    reflection, _ = memory_db.build(tmp_path, conversations=16)
    assert {record.kind for record in read_records(reflection, ["reflection"])} == {"reflection"}


@pytest.mark.parametrize("version", READABLE)
def test_files_of_every_version(tmp_path: Path, version: str) -> None:
    for file in FIXTURES.glob(f"{version}_closed.*"):
        shutil.copy(file, tmp_path)
    kinds = [record.kind for record in read_records(tmp_path / f"{version}_closed.duckdb")]
    assert kinds == ["conversation"] * 300 + ["entity"] * 100 + ["relationship"] * 50


def test_no_tables_no_records(tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", "CREATE TABLE other (id INTEGER)", "CREATE VIEW conversations AS SELECT 1")
    assert list(read_records(path)) == []


def test_no_column_is_needed(tmp_path: Path) -> None:
    path = database(
        tmp_path / "a.duckdb",
        "CREATE TABLE conversations (weather INTEGER)",
        "INSERT INTO conversations VALUES (1)",
        'CREATE TABLE kg_entities (id INTEGER, "Name" VARCHAR)',
        "INSERT INTO kg_entities VALUES (7, NULL), (NULL, 'x')",
    )
    assert list(read_records(path)) == [
        Record("conversation", "", "", None, None, {}),
        Record("entity", "7", "", None, None, {}),
        Record("entity", "", "x", None, None, {"name": "x"}),
    ]


def test_older_names_of_columns(tmp_path: Path) -> None:
    path = database(
        tmp_path / "a.duckdb",
        "CREATE TABLE reflections (reflection_id UUID, text VARCHAR, created_at DATE, tags VARCHAR)",
        "INSERT INTO reflections VALUES ('00000000-0000-0000-0000-000000000001', 'é', '2026-01-02', '[a, b]')",
    )
    assert read_one(path) == Record(
        "reflection", "00000000-0000-0000-0000-000000000001", "é", None, dt.datetime(2026, 1, 2), {"tags": ["a", "b"]}
    )


VECTORS = [
    ("FLOAT[384]", "NULL", None),
    ("FLOAT[384]", "list_value(0.1, 1e-30)", "0.1,1e-30"),
    ("FLOAT[]", "list_value(0.1, 1)", "0.1,1.0"),
    ("DOUBLE[384]", "list_value(0.1::DOUBLE, 2)", "0.1,2.0"),
    ("DOUBLE[]", "list_value(1e300::DOUBLE, 2)", None),
    ("FLOAT[384]", "list_value('nan'::FLOAT, 2)", None),
    ("FLOAT[384]", "list_value('-inf'::FLOAT, 2)", None),
    ("FLOAT[384]", "list_value(NULL, 2)", None),
    ("VARCHAR", "list_value(1, 2)", "1.0,2.0"),
]


@pytest.mark.parametrize(("data_type", "start", "expected"), VECTORS)
def test_vectors(tmp_path: Path, data_type: str, start: str, expected: str | None) -> None:
    value = start if start == "NULL" else f"list_concat({start}, list_transform(range(382), lambda x: 0))"
    path = database(
        tmp_path / "a.duckdb",
        f"CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR, embedding {data_type})",
        f"INSERT INTO conversations_v2 SELECT '1', 'x', ({value})::{data_type}",
    )
    embedding = read_one(path).embedding
    assert embedding == (expected and f"[{expected}{',0.0' * 382}]".encode())


@pytest.mark.parametrize("data_type", ["FLOAT[768]", "FLOAT[]", "BLOB", "INTEGER"])
def test_what_is_no_vector_for_akosha(tmp_path: Path, data_type: str) -> None:
    value = {"BLOB": "'\\x00'::BLOB", "INTEGER": "5"}.get(data_type, "list_transform(range(768), lambda x: 1)")
    path = database(
        tmp_path / "a.duckdb",
        f"CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR, embedding {data_type})",
        f"INSERT INTO conversations_v2 SELECT '1', 'x', {value}",
    )
    assert read_one(path).embedding is None


MOMENTS = [
    ("TIMESTAMP", "'2026-03-04 05:06:07.000008'", dt.datetime(2026, 3, 4, 5, 6, 7, 8)),
    ("TIMESTAMPTZ", "'2026-03-04 05:06:07+02'", dt.datetime(2026, 3, 4, 3, 6, 7)),
    ("TIMESTAMP_S", "'2026-03-04 05:06:07'", dt.datetime(2026, 3, 4, 5, 6, 7)),
    ("TIMESTAMP_NS", "'2026-03-04 05:06:07'", dt.datetime(2026, 3, 4, 5, 6, 7)),
    ("TIMESTAMP", "'infinity'", None),
    ("TIMESTAMP", "'290000-01-01'", None),
    ("DATE", "'2026-03-04'", dt.datetime(2026, 3, 4)),
    ("DATE", "'400000-01-01'", None),
    ("DATE", "'infinity'", None),
    ("TIMESTAMP_S", "'290000-01-01'", None),
    ("TIMESTAMPTZ", "'infinity'", None),
    ("VARCHAR", "'2026-03-04T05:06:07'", dt.datetime(2026, 3, 4, 5, 6, 7)),
    ("VARCHAR", "'2026-03-04T05:06:07-01:00'", dt.datetime(2026, 3, 4, 6, 6, 7)),
    ("VARCHAR", "'yesterday'", None),
    ("VARCHAR", "''", None),
    ("DOUBLE", "1772600767.5", dt.datetime(2026, 3, 4, 5, 6, 7, 500_000)),
    ("BIGINT", "1772600767500", dt.datetime(2026, 3, 4, 5, 6, 7, 500_000)),
    ("DOUBLE", "'nan'", None),
    ("DOUBLE", "1e300", None),
    ("BOOLEAN[]", "[true]", None),
]


@pytest.mark.parametrize(("data_type", "value", "expected"), MOMENTS)
def test_moments(tmp_path: Path, data_type: str, value: str, expected: dt.datetime | None) -> None:
    path = database(
        tmp_path / "a.duckdb",
        f"CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR, timestamp {data_type})",
        f"INSERT INTO conversations_v2 VALUES ('1', 'x', {value})",
    )
    assert read_one(path).created_at == expected


def test_metadata_that_is_no_json_stays_text(tmp_path: Path) -> None:
    statement = "CREATE TABLE conversations_v2 (id VARCHAR, metadata VARCHAR)"
    deep, wide = "[" * 900 + "]" * 900, "[" + "[1]," * 900 + "1]"
    rows = [("1", "{not json"), ("2", "[1]"), ("3", ""), ("4", None), ("5", "[" * 5000), ("6", deep), ("7", "1e400")]
    rows.append(("8", wide))
    records = list(read_records(database(tmp_path / "a.duckdb", statement, rows=rows)))
    expected = ["{not json", [1], None, None, "[" * 5000, deep, "1e400", json.loads(wide)]
    assert [record.attributes.get("metadata") for record in records] == expected


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    table = "CREATE TABLE conversations_v2 (id VARCHAR, content BLOB)"
    path = database(tmp_path / "a.duckdb", table, rows=[("1", b"caf\xe9"), ("2", b"caf\xc3\xa9")])
    assert [record.text for record in read_records(path)] == ["caf\ufffd", "café"]


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    """DuckDB takes none in, but a file of another maker may hold it: here two bytes are changed afterwards."""
    path = database(
        tmp_path / "a.duckdb",
        "SET force_compression = 'uncompressed'",
        "CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR, project VARCHAR)",
        rows=[("1", "marker one XY", "p"), ("2", "all right", "p")],
    )
    raw = bytearray(path.read_bytes())
    at = raw.index(b"marker one XY") + 11
    raw[at : at + 2] = b"\xff\xfe"
    block = 12_288 + (at - 12_288) // 262_144 * 262_144
    struct.pack_into("<Q", raw, block, checksum(raw[block + 8 : block + 262_144]))
    path.write_bytes(raw)
    assert [record.text for record in read_records(path)] == ["marker one \ufffd\ufffd", "all right"]


def test_text_of_ten_megabytes_and_a_zero_byte(tmp_path: Path) -> None:
    large = "x\0é" * 2_600_000
    table = "CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR)"
    path = database(tmp_path / "a.duckdb", table, rows=[("1", large), ("2", "small"), *[("3", large)] * 3])
    assert [len(record.text) for record in read_records(path)] == [7_800_000, 5, *[7_800_000] * 3]


def test_out_of_memory_half_way_goes_on_with_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reflection, _ = memory_db.build(tmp_path, conversations=600)
    expected = [record.id for record in read_records(reflection)]
    real, limits = reading._read, []

    def fails(path: Path, kinds: Any, memory: str | None, last: Any) -> Any:
        limits.append(memory)
        for number, found in enumerate(real(path, kinds, memory, last)):
            if memory and number == 300:
                raise duckdb.OutOfMemoryException("Out of Memory Error: x")
            yield found

    monkeypatch.setattr(reading, "_read", fails)
    assert [record.id for record in read_records(reflection)] == expected
    assert limits == ["32MB", "64MB", None]


@pytest.fixture(scope="module")
def two_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables too large to be joined in 32 MB, where DuckDB gives the rows in another order than in more."""
    key = "md5({0}::VARCHAR) || md5(({0} + 1)::VARCHAR)"
    return database(
        tmp_path_factory.mktemp("two") / "a.duckdb",
        "CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR)",
        "CREATE TABLE conversations (id VARCHAR, content VARCHAR)",
        f"INSERT INTO conversations_v2 SELECT {key.format('i')}, 'new' FROM range(300000) t(i)",
        f"INSERT INTO conversations SELECT {key.format('i')}, i FROM range(280000, 310000) t(i)",
        "DELETE FROM conversations WHERE content LIKE '%7'",
    )


@pytest.mark.parametrize("rows", [(0, 0), (299_999, 1), (300_001, 0), (300_255, 256), (305_000, 3_999), (308_999, 0)])
def test_out_of_memory_with_two_tables_loses_nothing(
    two_tables: Path, monkeypatch: pytest.MonkeyPatch, rows: tuple[int, int]
) -> None:
    real, ends = reading._read, list(rows)

    def fails(path: Path, kinds: Any, memory: str | None, last: Any) -> Any:
        end = ends.pop(0) if ends else None
        for number, found in enumerate(real(path, kinds, memory, last)):
            if number == end:
                raise duckdb.OutOfMemoryException("Out of Memory Error: x")
            yield found

    monkeypatch.setattr(reading, "_read", fails)
    texts = [record.text for record in read_records(two_tables, ["conversation"])]
    assert texts[:300_000] == ["new"] * 300_000
    assert texts[300_000:] == [str(i) for i in range(300_000, 310_000) if i % 10 != 7]


def test_no_room_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise duckdb.OutOfMemoryException("Out of Memory Error: x")
        yield

    monkeypatch.setattr(reading, "_read", fails)
    with pytest.raises(SourceError, match="had no room"):
        list(read_records(tmp_path / "a.duckdb"))


def test_damaged(tmp_path: Path) -> None:
    path = tmp_path / "memory.duckdb"
    path.write_bytes(b"\0" * 8 + b"DUCK" + bytes(5000))
    with pytest.raises(DamageError, match="DuckDB cannot read"):
        list(read_records(path))
    assert [file.name for file in tmp_path.iterdir()] == ["memory.duckdb"]


def test_an_iterator_left_half_way_closes_the_file(tmp_path: Path) -> None:
    reflection, _ = memory_db.build(tmp_path, conversations=600)
    records = read_records(reflection)
    next(records)
    records.close()  # type: ignore[attr-defined]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["knowledge_graph.duckdb", "reflection.duckdb"]
    reflection.unlink()


_READ = """
import sys
from pathlib import Path
from akosha_snap.source import read_records
print(sum(1 for _ in read_records(Path(sys.argv[1]))))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """12,000 records of 29 MB here; 200,000 of 489 MB take no more: see docs/design-notes.md."""
    path = database(
        tmp_path / "a.duckdb",
        "CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR, embedding FLOAT[384])",
        "INSERT INTO conversations_v2 SELECT i, repeat(md5(i::VARCHAR), 30),"
        " list_transform(range(384), lambda x: random() - 0.5)::FLOAT[384] FROM range(12000) t(i)",
    )
    ran = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    count, kilobytes = map(int, ran.stdout.split())
    assert count == 12_000
    assert kilobytes < 170_000, "mostly DuckDB's own 60 MB and the 32 MB it may use"


def test_records_of_an_older_table_beside_the_new_one(tmp_path: Path) -> None:
    """Session-Buddy 0.23 has both, and stores what it says at the end of a session in the older."""
    path = database(
        tmp_path / "reflection.duckdb",
        "CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR, category VARCHAR)",
        "INSERT INTO conversations_v2 VALUES ('a', 'new a', 'x'), ('b', 'new b', 'x')",
        "CREATE TABLE conversations (id VARCHAR, content VARCHAR, metadata JSON)",
        "INSERT INTO conversations VALUES ('b', 'old b', '{}'), ('c', 'old c', '{}'), (NULL, 'no id', '{}')",
        "CREATE TABLE reflections (content VARCHAR)",
        "CREATE TABLE reflections_v2 (id INTEGER, content VARCHAR)",
        "INSERT INTO reflections VALUES ('an old one')",
        "INSERT INTO reflections_v2 VALUES (1, 'a new one')",
    )
    found = [(record.id, record.text) for record in read_records(path)]
    assert found == [
        ("a", "new a"), ("b", "new b"), ("c", "old c"), ("", "no id"), ("1", "a new one"), ("", "an old one"),
    ]  # fmt: skip
    counts = count_records(path)
    assert (counts.conversations, counts.reflections) == (4, 2)


@pytest.mark.parametrize(
    "column", ["rowid INTEGER", "RowId VARCHAR", '"ROWID" INTEGER, rowid_ INTEGER, "a""b" INTEGER']
)
def test_a_column_of_the_name_that_rows_are_numbered_by(tmp_path: Path, column: str) -> None:
    """It hides DuckDB's own, by which the rows are read page by page: 512 of these were read, and nothing said."""
    sevens = ", ".join(["7"] * (column.count(",") + 1))
    path = database(
        tmp_path / "a.duckdb",
        f"CREATE TABLE conversations_v2 (id VARCHAR, {column}, content VARCHAR)",
        f"INSERT INTO conversations_v2 SELECT i, {sevens}, 'new' FROM range(1300) t(i)",
        f"CREATE TABLE conversations ({column}, id VARCHAR, content VARCHAR)",
        f"INSERT INTO conversations SELECT {sevens}, i, 'old' FROM range(1290, 2600) t(i)",
    )
    found = [(record.id, record.text) for record in read_records(path)]
    assert found == [(str(i), "new") for i in range(1300)] + [(str(i), "old") for i in range(1300, 2600)]
    assert count_records(path).conversations == 2600


@pytest.mark.parametrize("newer", [[], ["conversations_v2"]])
def test_fewer_records_than_there_are_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newer: list[str]
) -> None:
    path = database(
        tmp_path / "a.duckdb",
        *[f"CREATE TABLE {table} (id VARCHAR, content VARCHAR)" for table in newer],
        "CREATE TABLE conversations (id VARCHAR, content VARCHAR, rowid INTEGER)",
        "INSERT INTO conversations SELECT i, 'x', 7 FROM range(1000) t(i)",
    )
    monkeypatch.setattr(reading, "table_of", lambda table, _: f"akosha_snap.main.{table}")  # the name is not avoided
    with pytest.raises(SourceError, match="512 records of conversations were read where DuckDB counts 1,000"):
        list(read_records(path))
