"""How one column is asked of DuckDB, and what Python makes of the answer, whatever its type is in this version.

Text comes as bytes and is decoded here: DuckDB's Python client would fail the whole fetch on
one value that is not UTF-8. Vectors come as text, which DuckDB writes itself: fast, and each float
in the shortest form that is exact for a float32.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

__all__ = [
    "DIMENSIONS",
    "embedding",
    "instant",
    "list_of_text",
    "moment",
    "numeral",
    "parsed",
    "strings",
    "text",
    "vector",
    "words",
]

DIMENSIONS = 384
"""Of the vectors that Session-Buddy makes and Akosha takes (all-MiniLM-L6-v2)."""

_SEPARATOR = "\x1e\x1f"
_EPOCH = dt.datetime(1970, 1, 1)
"""Naive UTC, as Akosha wants it."""
_DEEPEST = 64
"""Levels of nested JSON."""

_MILLISECONDS = 1e11
"""A number of this size or more counts milliseconds: as seconds it would be the year 5138."""


def text(name: str, data_type: str) -> str:
    """SQL for a column as the bytes of its text."""
    return name if data_type == "BLOB" else f"encode(CAST({name} AS VARCHAR))"


def list_of_text(name: str, _type: str) -> str:
    """SQL for a list as the bytes of its elements, joined."""
    return f"encode(array_to_string(TRY_CAST({name} AS VARCHAR[]), chr(30) || chr(31)))"


def numeral(name: str, _type: str) -> str:
    """SQL for a number."""
    return f"TRY_CAST({name} AS DOUBLE)"


def instant(name: str, data_type: str) -> str:
    """SQL for a moment: microseconds since 1970, or what `moment` can read."""
    if data_type.startswith(("TIMESTAMP", "DATE")):
        return f"epoch_us({name})" if "TIME ZONE" in data_type else f"epoch_us(TRY_CAST({name} AS TIMESTAMP))"
    if data_type in {"VARCHAR", "BLOB"}:
        return text(name, data_type)
    return numeral(name, data_type)


def embedding(name: str, _type: str) -> str:
    """SQL for a vector as JSON; NULL for one of other dimensions, or none at all."""
    return f"TRY_CAST({name} AS FLOAT[{DIMENSIONS}])::VARCHAR"


def words(value: bytes | None) -> str:
    """Text from its bytes: what is not UTF-8 becomes U+FFFD."""
    return value.decode("utf-8", "replace") if value else ""


def strings(value: bytes | None) -> list[str]:
    """The elements of a list of text."""
    return words(value).split(_SEPARATOR) if value else []


def parsed(value: bytes | None) -> Any:
    """JSON from its bytes, the text itself where it is no JSON or nested too deeply; None for nothing."""
    if not value:
        return None
    try:
        tree = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return words(value)
    return words(value) if _is_deep(value, tree) else tree


def _is_deep(value: bytes, tree: Any) -> bool:
    """Whether a reader may run out of stack, and lose all that stands beside it (Python's does at some 1,000)."""
    if value.count(b"[") + value.count(b"{") <= _DEEPEST:
        return False
    level = [tree]
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def moment(value: int | float | bytes | None) -> dt.datetime | None:
    """A moment in naive UTC. A naive one is taken for UTC; what is no moment is None."""
    try:
        if value is None:
            return None
        if isinstance(value, int):
            return _EPOCH + dt.timedelta(microseconds=value)
        if isinstance(value, float):
            return _EPOCH + dt.timedelta(seconds=value / 1000 if abs(value) >= _MILLISECONDS else value)
        read = dt.datetime.fromisoformat(words(value))
        return read.astimezone(dt.UTC).replace(tzinfo=None) if read.tzinfo else read
    except (ValueError, OverflowError):
        return None


def vector(value: str | None) -> bytes | None:
    """A vector as compact JSON, or None where it has NULL, NaN or infinite elements."""
    if value is None or "n" in value.lower():
        return None
    return value.replace(" ", "").encode()
