"""Which of Session-Buddy's tables a database has, and their columns: these differ by version, so they are read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, get_args

from akosha_snap.source.engine import ALIAS

if TYPE_CHECKING:
    import duckdb

__all__ = ["KINDS", "Kind", "columns_of", "only_in", "table_of", "tables_in", "tables_of"]

Kind = Literal["conversation", "reflection", "entity", "relationship"]
"""What a memory holds."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_NAMES: dict[Kind, tuple[str, ...]] = {
    "conversation": ("conversations_v2", "conversations"),
    "reflection": ("reflections_v2", "reflections"),
    "entity": ("kg_entities",),
    "relationship": ("kg_relationships",),
}
"""Session-Buddy's tables, the newest name first. A database may have both and both be in use: 0.23 keeps what it
stores in between in the one, and what it stores at the end of a session in the other."""

_OURS = f"database_name = '{ALIAS}' AND schema_name = 'main'"
"""Not a parameter: to look at one, the client of DuckDB 1.5 loads pandas and pyarrow where they are installed, as in
Session-Buddy's environment: 60 MB and 0.3 s."""


def tables_in(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The names, in lower case, of the tables in the main schema of the attached copy."""
    rows = connection.execute(f"SELECT table_name FROM duckdb_tables() WHERE {_OURS}").fetchall()  # noqa: S608
    return {str(row[0]).lower() for row in rows}


def tables_of(kind: Kind, tables: set[str]) -> list[str]:
    """The tables that hold records of this kind, the newest first: a record in two of them is the first one's."""
    return [name for name in _NAMES[kind] if name in tables]


def only_in(connection: duckdb.DuckDBPyConnection, table: str, newer: list[str]) -> str:
    """SQL for the rows of `table` whose id is in none of the `newer` tables (a migration copies them)."""
    types = columns_of(connection, table)
    name = table_of(table, types)
    if "id" in types:
        for other in newer:
            others = columns_of(connection, other)
            if "id" in others:
                same = f"CAST({other}.id AS VARCHAR) = CAST({table}.id AS VARCHAR)"
                name += f" ANTI JOIN {table_of(other, others)} ON {same}"
    return name


def table_of(table: str, columns: Iterable[str]) -> str:
    """SQL for a table with these columns, in which `rowid` is the number that DuckDB gives each row.

    A column of that name would hide it, and paging by that column lose rows: it is called otherwise here.
    """
    names = list(columns)
    if "rowid" not in names:
        return f"{ALIAS}.main.{table}"
    other = "rowid_"
    while other in names:
        other += "_"
    quoted = ", ".join('"' + (other if name == "rowid" else name).replace('"', '""') + '"' for name in names)
    return f"{ALIAS}.main.{table} AS {table}({quoted})"


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The columns of a table: name, in lower case, and type as DuckDB spells it."""
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns()"  # noqa: S608 - the names are those above
        f" WHERE {_OURS} AND lower(table_name) = '{table}' ORDER BY column_index"
    ).fetchall()
    return {str(name).lower(): str(data_type).upper() for name, data_type in rows}
