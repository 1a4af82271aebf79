"""What this package hands out."""

from __future__ import annotations

from typing import Literal

import msgspec

from akosha_snap.source.seen import Seen

__all__ = ["Copied", "Hashes", "RecordCounts", "StagedFile", "StagedSource"]


class Hashes(msgspec.Struct, frozen=True):
    """What a DuckDB file hashes to, as it was read: the bytes that passed the checks, not what the copy may become."""

    blake3: bytes
    """Of the whole file, 32 bytes."""
    sha256: str
    """Of the whole file, hex."""
    sections: bytes
    """The BLAKE3 of each of its headers and blocks, 32 bytes each, joined."""


class StagedFile(msgspec.Struct, frozen=True):
    """One file of a consistent copy."""

    name: str
    """Base name, as the snapshot will call it: `reflection.duckdb`, `reflection.duckdb.wal`."""
    path: str
    """Where the copy lies."""
    size: int
    """Bytes."""
    kind: Literal["duckdb", "wal", "plain"]
    block_size: int = 0
    """Bytes per block as the file's own header says; 0 for anything but a DuckDB file."""
    hashes: Hashes | None = None
    """Of a DuckDB file."""


class StagedSource(msgspec.Struct, frozen=True):
    """The consistent copy of one file and, where there is something in it, of its WAL."""

    files: list[StagedFile]
    tries: int
    """Copies taken until one was consistent."""
    bytes_read: int
    """Bytes read from the live files, all tries together."""
    warnings: list[str]
    seen: Seen | None = None
    """What the database was, to ask next time whether it still is; None for any other file."""
    unchanged: bool = False
    """It is as it was seen before: no copy was taken, `files` is empty."""


class Copied(msgspec.Struct, frozen=True):
    """What one try at a copy made."""

    files: list[StagedFile]
    warnings: list[str] = []
    seen: Seen | None = None


class RecordCounts(msgspec.Struct, frozen=True):
    """How many records of each kind a memory database holds."""

    conversations: int
    reflections: int
    entities: int
    relationships: int
