"""Is what was restored what was pushed? Byte for byte, and row for row."""

from __future__ import annotations

from pathlib import Path

from akosha_snap.demo.writer import DATABASES, digests
from akosha_snap.errors import AkoshaSnapError

__all__ = ["compare_bytes", "compare_rows"]


def compare_bytes(folder: Path, other: Path, what: str, reference: str) -> int:
    """How many bytes are the same in both folders. Raises AkoshaSnapError where any file differs or is missing."""
    names = sorted(path.name for path in folder.iterdir())
    expected = sorted(path.name for path in other.iterdir())
    if names != expected:
        raise AkoshaSnapError(f"{what} has the files {', '.join(names)}; {reference} has {', '.join(expected)}")
    total = 0
    for name in names:
        data = (folder / name).read_bytes()  # a few MB
        if data != (other / name).read_bytes():
            raise AkoshaSnapError(f"{name}: {what} differs from {reference}")
        total += len(data)
    return total


def compare_rows(folder: Path, expected: dict[str, tuple[int, str]], what: str) -> None:
    """Read every row with DuckDB. Raises AkoshaSnapError where the rows are not the `expected` ones."""
    import duckdb

    found: dict[str, tuple[int, str]] = {}
    for name in DATABASES:
        with duckdb.connect(str(folder / name), read_only=True) as connection:
            found |= digests(connection)
    if found != expected:
        different = [table for table in expected if found.get(table) != expected[table]]
        raise AkoshaSnapError(f"{what}: other rows than the writer had in {', '.join(different) or 'other tables'}")
