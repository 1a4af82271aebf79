"""Two ways into a table: in bulk, for history, and row by row in autocommit, as a session writes."""

from __future__ import annotations

import datetime as dt
import importlib.util
import sys
from typing import Any

import numpy as np

__all__ = ["in_bulk", "row_by_row"]

for _name in ("pandas", "pyarrow"):
    if _name not in sys.modules and importlib.util.find_spec(_name) is None:
        sys.modules[_name] = None  # type: ignore[assignment]  # DuckDB 1.5 looks for a missing one at every value

Row = dict[str, Any]


def row_by_row(connection: Any, table: str, rows: list[Row]) -> None:
    """One INSERT, and one transaction, for each row."""
    for row in rows:
        names, marks = ", ".join(row), ", ".join("?" for _ in row)
        values = [value.tolist() if isinstance(value, np.ndarray) else value for value in row.values()]
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)


def in_bulk(connection: Any, table: str, rows: list[Row]) -> None:
    """All rows at once, handed over as numpy columns."""
    if not rows:
        return
    source: dict[str, Any] = {}
    expressions = [_column(source, name, [row[name] for row in rows]) for name in rows[0]]
    connection.register("incoming", source)
    connection.execute(f"INSERT INTO {table} ({', '.join(rows[0])}) SELECT {', '.join(expressions)} FROM incoming")
    connection.unregister("incoming")


def _column(source: dict[str, Any], name: str, values: list[Any]) -> str:
    """Put one column's values into `source`; returns the expression that reads them back with their type."""
    sample = next((value for value in values if value is not None), None)
    if isinstance(sample, np.ndarray):
        matrix = np.stack(values)
        parts = [f"{name}_{i}" for i in range(matrix.shape[1])]
        source.update({part: np.ascontiguousarray(matrix[:, i]) for i, part in enumerate(parts)})
        return f"array_value({', '.join(parts)})::FLOAT[{len(parts)}]"
    if isinstance(sample, int | float):
        source[name] = np.array(values)
        return name
    if isinstance(sample, dt.datetime):
        source[name] = np.array(values, dtype="datetime64[us]")
        return name
    if isinstance(sample, bytes):
        source[name] = np.array([value.hex() for value in values], dtype=object)
        return f"unhex({name})"
    if isinstance(sample, list):
        source[name] = np.array(["\x1f".join(value) for value in values], dtype=object)
        return f"string_split({name}, chr(31))"
    source[name] = np.array(["\x00" if value is None else value for value in values], dtype=object)
    return f"nullif({name}, chr(0))"
