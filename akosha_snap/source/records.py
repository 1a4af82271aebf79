"""Counting the records of a staged copy, which also proves that DuckDB can read it."""

from __future__ import annotations

from pathlib import Path

from akosha_snap.source import engine
from akosha_snap.source.catalogue import KINDS, only_in, tables_in, tables_of
from akosha_snap.source.lean_duckdb import load_duckdb
from akosha_snap.source.model import RecordCounts

__all__ = ["count_records"]


def count_records(path: Path) -> RecordCounts:
    """Open the staged database at `path` read-only, replaying its WAL, and count its records.

    A table that is not there counts 0. The files stay as they are and nothing is left beside them.

    Raises UnsupportedStorage where the installed DuckDB is too old for the file, DamageError
    where DuckDB cannot read it, SourceError where there was no memory or disk for it.
    """
    duckdb = load_duckdb()

    try:
        return _count(path, engine.MEMORY)
    except duckdb.OutOfMemoryException:
        pass
    except duckdb.Error as error:
        raise engine.translated(path, error) from error
    try:
        return _count(path, None)
    except duckdb.Error as error:
        raise engine.translated(path, error) from error


def _count(path: Path, memory: str | None) -> RecordCounts:
    with engine.open_copy(path, memory) as connection:
        there = tables_in(connection)
        counts = []
        for kind in KINDS:
            tables, count = tables_of(kind, there), 0
            for number, table in enumerate(tables):
                rows = only_in(connection, table, tables[:number])
                row = connection.execute(f"SELECT count(*) FROM {rows}").fetchone()  # noqa: S608
                count += int(row[0]) if row else 0
            counts.append(count)
        return RecordCounts(*counts)
