"""Count the records in databases, so that a snapshot is called good only when DuckDB can read it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from akosha_snap import source
from akosha_snap.manifest import Counts

__all__ = ["count_databases"]


def count_databases(paths: Iterable[Path]) -> Counts:
    """Open each database with DuckDB and add up its records.

    Raises DamageError where DuckDB cannot read one, UnsupportedStorage (from
    `akosha_snap.source`) where the installed DuckDB is too old for it.
    """
    found = [source.count_records(path) for path in paths]
    return Counts(
        conversations=sum(one.conversations for one in found),
        reflections=sum(one.reflections for one in found),
        entities=sum(one.entities for one in found),
        relationships=sum(one.relationships for one in found),
    )
