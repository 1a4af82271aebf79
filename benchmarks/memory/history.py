"""A memory's life: years of it at once, one session more, or one of the rarer things that befall a database."""

from __future__ import annotations

import datetime as dt
import importlib.util
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.memory.ahead import Batch, made_ahead
from benchmarks.memory.inserting import in_bulk, row_by_row
from benchmarks.memory.rows import Maker
from benchmarks.memory.schema import GRAPH, GRAPH_DDL, REFLECTION, REFLECTION_DDL

__all__ = ["befall", "grow", "session"]

CYCLES = 20
"""A history is written in about so many rounds of open, insert and close: its file is fragmented as one that grew."""

_BYTES = {REFLECTION: 12_000, GRAPH: 4200}
"""About what one conversation, or one entity with two relationships, takes of the file, with all that goes with it."""

_BATCH = 5000
_START = dt.datetime(2026, 3, 1, 9)


def grow(path: Path, megabytes: float, seed: int) -> None:
    """Write a history until the file is at least so large (1 MB = 1,000,000 bytes)."""
    rows = max(20, int(megabytes * 1e6 / CYCLES / _BYTES[path.name]))
    cycle = [min(_BATCH, rows - start) for start in range(0, rows, _BATCH)]
    with _opened(path) as connection:
        connection.execute(REFLECTION_DDL if path.name == REFLECTION else GRAPH_DDL)
    with made_ahead(_remembered if path.name == REFLECTION else _learned, seed, cycle) as batches:
        while path.stat().st_size < megabytes * 1e6:
            with _opened(path) as connection:
                connection.execute("SET checkpoint_threshold = '1TB'")  # on closing only, not after each batch
                for _, batch in zip(cycle, batches, strict=False):
                    for table, some in batch.items():
                        in_bulk(connection, table, some)


def session(path: Path, seed: int, *, leave_wal: bool = False, hnsw: bool = False) -> None:
    """One session's rows, each its own transaction; `leave_wal` ends this process as a crash would.

    `hnsw`: the file has an index of that kind, which DuckDB can keep up only with its extension.
    """
    maker = Maker(1_000_003 * seed + (path.name == GRAPH), _START + dt.timedelta(days=700 + seed))
    connection = _opened(path)
    if hnsw:
        connection.execute(f"LOAD '{_vss()}'; SET hnsw_enable_experimental_persistence = true")
    if leave_wal:
        connection.execute("SET checkpoint_threshold = '1TB'")
    (_converse if path.name == REFLECTION else _connect)(connection, maker)
    if leave_wal:
        os._exit(0)  # closing would checkpoint
    connection.close()


def befall(path: Path, what: str) -> None:
    """What is rarer than a session: `rewrite` every row, `export` and import, build an `hnsw` index."""
    with _opened(path) as connection:
        table = "conversations_v2" if path.name == REFLECTION else "kg_entities"
        if what == "rewrite":
            text = "content" if path.name == REFLECTION else "name"
            connection.execute(
                f"UPDATE {table} SET {text} = replace({text}, 'We ', 'They '), metadata = json_object('moved', md5(id))"
            )
        elif what == "hnsw":
            connection.execute(f"LOAD '{_vss()}'; SET hnsw_enable_experimental_persistence = true")
            connection.execute(f"CREATE INDEX by_meaning ON {table} USING HNSW (embedding)")
        elif what == "export":
            folder = path.with_name("exported")
            connection.execute(f"EXPORT DATABASE '{folder}' (FORMAT parquet)")
        else:
            raise ValueError(f"nothing called {what!r} befalls a database")
    if what == "export":
        path.unlink()
        with _opened(path) as connection:
            connection.execute(f"IMPORT DATABASE '{folder}'")
        shutil.rmtree(folder)


def _opened(path: Path) -> Any:
    """One thread: more would lay the file out by chance. A limit, not most of the machine's memory."""
    return duckdb.connect(str(path), config={"threads": 1, "memory_limit": "4GB"})


def _vss() -> Path:
    """The extension's file, as the package `duckdb-extension-vss` brings it."""
    found = importlib.util.find_spec("duckdb_extension_vss")
    if found is None or found.origin is None:
        raise ImportError("duckdb-extension-vss is not installed")
    return Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}" / "vss.duckdb_extension"


def _remembered(seed: int, cycle: list[int]) -> Iterator[Batch]:
    """Batches of a reflection database's rows, cycle after cycle, without end."""
    maker = Maker(seed, _START)
    for count in itertools.cycle(cycle):
        rows = maker.conversations(count)
        keys = [row["id"] for row in rows]
        yield {
            "conversations_v2": rows,
            "reflections_v2": maker.reflections(count // 8, keys),
            "memory_access_log": maker.accesses(maker.random.sample(keys, count // 2)),
        }


def _learned(seed: int, cycle: list[int]) -> Iterator[Batch]:
    """Batches of a knowledge graph's rows, cycle after cycle, without end."""
    maker = Maker(seed, _START)
    known: list[str] = []
    for count in itertools.cycle(cycle):
        rows = maker.entities(count)
        known += [row["id"] for row in rows]
        yield {"kg_entities": rows, "kg_relationships": maker.relationships(2 * count, known)}


def _converse(connection: Any, maker: Maker) -> None:
    known = [row[0] for row in connection.execute("SELECT id FROM conversations_v2 ORDER BY id").fetchall()]
    rows = maker.conversations(20)
    row_by_row(connection, "conversations_v2", rows)
    row_by_row(connection, "reflections_v2", maker.reflections(5, [row["id"] for row in rows]))
    used = maker.random.sample(known, min(50, len(known)))
    for access in maker.accesses(used):
        connection.execute(
            "UPDATE conversations_v2 SET access_count = access_count + 1 WHERE id = ?", [access["memory_id"]]
        )
        row_by_row(connection, "memory_access_log", [access])


def _connect(connection: Any, maker: Maker) -> None:
    known = [row[0] for row in connection.execute("SELECT id FROM kg_entities ORDER BY id").fetchall()]
    rows = maker.entities(20)
    row_by_row(connection, "kg_entities", rows)
    row_by_row(connection, "kg_relationships", maker.relationships(20, known + [row["id"] for row in rows]))
    for key in maker.random.sample(known, min(10, len(known))):
        connection.execute(
            "UPDATE kg_entities SET observations = list_append(observations, ?), updated_at = ? WHERE id = ?",
            [maker.sentence(), maker.moment(), key],
        )
