"""Which of Session-Buddy's tables a database has, and their columns: these differ by version, so they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from akosha_snap.source.engine import ALIAS

if TYPE_CHECKING:
    import duckdb

__all__ = ["KINDS", "Kind", "columns_of", "table_of", "tables_in"]

Kind = Literal["conversation", "reflection", "entity", "relationship"]
"""What a memory holds."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_NAMES: dict[Kind, tuple[str, ...]] = {
    "conversation": ("conversations_v2", "conversations"),
    "reflection": ("reflections_v2", "reflections"),
    "entity": ("kg_entities",),
    "relationship": ("kg_relationships",),
}
"""Session-Buddy's tables, the newest name first: the first that is there is the one in use."""


def tables_in(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The names, in lower case, of the tables in the main schema of the attached copy."""
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main'", [ALIAS]
    ).fetchall()
    return {str(row[0]).lower() for row in rows}


def table_of(kind: Kind, tables: set[str]) -> str | None:
    """The table that holds the records of this kind, or None."""
    return next((name for name in _NAMES[kind] if name in tables), None)


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The columns of a table: name, in lower case, and type as DuckDB spells it."""
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = ? AND schema_name = 'main' AND lower(table_name) = ? ORDER BY column_index",
        [ALIAS, table],
    ).fetchall()
    return {str(name).lower(): str(data_type).upper() for name, data_type in rows}
