"""Reading the records of a staged copy, one after another, in bounded memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from akosha_snap.errors import SourceError
from akosha_snap.source import columns, engine
from akosha_snap.source.catalogue import KINDS, Kind, columns_of, only_in, table_of, tables_in, tables_of

if TYPE_CHECKING:
    import duckdb

__all__ = ["Record", "read_records"]

_LIMITS = ("32MB", engine.MEMORY, None)
"""DuckDB's memory, one after another until it is enough."""

_ROWS = 512
"""Rows asked for at a time. DuckDB makes the text of 2,048 vectors at once where it is asked for more, besides its
limit: 80 MB of memory, as one query, where this takes 50 (1.5.6 and 2.0.1 alike; 256 rows 46, and a fifth more CPU)."""


class Record(msgspec.Struct, frozen=True):
    """One thing remembered, whatever its kind and the version of Session-Buddy that wrote it."""

    kind: Kind
    id: str
    """Empty where the table has no id column, or NULL in it."""
    text: str
    """Its content; of an entity its name, type and observations. May be empty."""
    embedding: bytes | None
    """JSON of 384 finite numbers, exact for float32; None where there is none that Akosha can take."""
    created_at: dt.datetime | None
    """Naive UTC; None where there is no moment that can be read."""
    attributes: dict[str, Any]
    """The other columns worth knowing, without those that are NULL."""


class _Column(NamedTuple):
    """One column by any of its names: how to ask for it, and what to make of the answer."""

    name: str
    sql: Callable[[str, str], str]
    read: Callable[[Any], Any]


def _attributes(*groups: tuple[Callable[[str, str], str], Callable[[Any], Any], str]) -> list[_Column]:
    return [_Column(name, sql, read) for sql, read, names in groups for name in names.split()]


def _same(value: Any) -> Any:
    return value


_ATTRIBUTES: dict[Kind, list[_Column]] = {
    "conversation": _attributes(
        (columns.text, columns.words, "category subcategory memory_tier project namespace session_id user_id"),
        (columns.text, columns.words, "source_type reasoning"),
        (columns.numeral, _same, "importance_score"),
        (columns.text, columns.parsed, "metadata"),
    ),
    "reflection": _attributes(
        (columns.text, columns.words, "category subcategory memory_tier project namespace user_id"),
        (columns.text, columns.words, "conversation_id source_session_id"),
        (columns.numeral, _same, "importance_score"),
        (columns.list_of_text, columns.strings, "tags"),
        (columns.text, columns.parsed, "metadata"),
    ),
    "entity": _attributes(
        (columns.text, columns.words, "name entity_type"),
        (columns.list_of_text, columns.strings, "observations"),
        (columns.text, columns.parsed, "properties metadata"),
    ),
    "relationship": _attributes(
        (columns.text, columns.words, "from_entity relation_type to_entity"),
        (columns.text, columns.parsed, "properties metadata"),
    ),
}

_NOTHING = _Column("NULL", lambda name, _: name, _same)


def read_records(path: Path, kinds: Iterable[Kind] = KINDS) -> Iterator[Record]:
    """The records of a staged copy, kind by kind and table by table, each once, in the order of its table's rowids.

    That order is the same for the same file whatever memory DuckDB has, so a reading that ran out of it
    goes on after the last rowid with more. It is that of insertion as far as nothing was deleted.
    A kind without a table has no records. The file is read as the iterator goes, by a DuckDB that
    is closed with it.

    Raises UnsupportedStorage where the installed DuckDB is too old for the file, DamageError
    where DuckDB cannot read it, SourceError where there was no memory or disk for it, or where
    not as many records were read as DuckDB counts.
    """
    import duckdb

    wanted = list(kinds)
    last: dict[str, int] = {}  # the rowid of each table's last record
    for memory in _LIMITS:
        try:
            for table, rowid, record in _read(path, wanted, memory, last):
                last[table] = rowid
                yield record
        except duckdb.OutOfMemoryException as error:
            if memory is None:
                raise engine.translated(path, error) from error
        except duckdb.Error as error:
            raise engine.translated(path, error) from error
        else:
            return


def _read(path: Path, kinds: list[Kind], memory: str | None, last: dict[str, int]) -> Iterator[tuple[str, int, Record]]:
    """Table, rowid and record, of each table only what comes after its `last` rowid."""
    with engine.open_copy(path, memory) as connection:
        there = tables_in(connection)
        for kind in kinds:
            tables = tables_of(kind, there)
            for number, table in enumerate(tables):
                for rowid, record in _rows(connection, kind, table, tables[:number], last.get(table, -1)):
                    yield table, rowid, record


def _rows(
    connection: duckdb.DuckDBPyConnection, kind: Kind, table: str, newer: list[str], after: int
) -> Iterator[tuple[int, Record]]:
    types = columns_of(connection, table)

    def pick(sql: Callable[[str, str], str], read: Callable[[Any], Any], *names: str) -> _Column:
        return next((_Column(name, sql, read) for name in names if name in types), _NOTHING)

    wanted = [
        pick(columns.text, columns.words, "id", f"{kind}_id"),
        pick(columns.text, columns.words, "content", "text"),
        pick(columns.embedding, columns.vector, "embedding"),
        pick(columns.instant, columns.moment, "timestamp", "created_at"),
        *(column for column in _ATTRIBUTES[kind] if column.name in types),
    ]
    selected = ", ".join(column.sql(_quoted(column), types.get(column.name, "")) for column in wanted)
    only = _rowids(connection, table, newer, after) if newer else None
    next_only = next(only, None) if only else None
    names = [column.name for column in wanted[4:]]
    source = table_of(table, types)
    query = f"SELECT rowid, {selected} FROM {source}"  # noqa: S608 - the catalogue's
    there = _count(connection, source)
    seen = _count(connection, f"{source} WHERE rowid <= {after}") if after >= 0 else 0
    while rows := connection.execute(f"{query} WHERE rowid > {after} LIMIT {_ROWS}").fetchall():
        after = rows[-1][0]
        seen += len(rows)
        for rowid, *row in rows:
            if only:
                if rowid != next_only:
                    continue
                next_only = next(only, None)
            key, text, embedding, created_at, *rest = (
                column.read(value) for column, value in zip(wanted, row, strict=True)
            )
            attributes = {
                name: value for name, value in zip(names, rest, strict=True) if value is not None and value != ""
            }
            text = text or _composed(kind, attributes)
            yield rowid, Record(kind, key or "", text, embedding, created_at, attributes)
    if seen != there or next_only is not None:
        raise SourceError(
            f"{seen:,} records of {table} were read where DuckDB counts {there:,}: none may be left out unsaid",
            hint="push to a store: a snapshot has the whole file",
        )


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {source}").fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def _rowids(connection: duckdb.DuckDBPyConnection, table: str, newer: list[str], after: int) -> Iterator[int]:
    """The rowids of what is in none of the `newer` tables, in order.

    A join gives its rows in an order that depends on the memory it has. So only rowids go through
    it, to be sorted: the records themselves are too large for that.
    """
    rowid = f"{table}.rowid"
    rows_of = only_in(connection, table, newer)
    cursor = connection.cursor()
    try:
        cursor.execute(f"SELECT {rowid} FROM {rows_of} WHERE {rowid} > {after} ORDER BY {rowid}")  # noqa: S608
        while rows := cursor.fetchmany(_ROWS):
            for (number,) in rows:
                yield number
    finally:
        cursor.close()


def _quoted(column: _Column) -> str:
    return column.name if column is _NOTHING else f'"{column.name}"'


def _composed(kind: Kind, attributes: dict[str, Any]) -> str:
    """The text of what has none of its own."""
    if kind == "entity":
        head = " ".join(
            part for part in (attributes.get("name", ""), _bracketed(attributes.get("entity_type", ""))) if part
        )
        return "\n".join([head, *attributes.get("observations", [])]).strip()
    if kind == "relationship":
        return " ".join(attributes.get(name, "") for name in ("from_entity", "relation_type", "to_entity")).strip()
    return ""


def _bracketed(text: str) -> str:
    return f"({text})" if text else ""
