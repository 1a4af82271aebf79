"""The three headers of a DuckDB file (single_file_block_manager.cpp, storage_info.hpp).

Each is 4,096 bytes and begins with the checksum of its other 4,088. Byte offsets:

main header, at 0            database headers, at 4,096 and 8,192
   8  "DUCK"                    8  iteration: the higher one is current (the second, if equal)
  12  storage version, u64     16  first metadata block      24  free list
  20  flags, bit 0: encrypted  32  block count               40  block size (0: 262,144)
 124  database id, 16 bytes    48  vector size               56  storage version, 2.0 and later

Seen: 1.4 and 1.5 write storage version 64 by default, and 67 or 68 for an encrypted file; 2.0 puts
999 in the main header and the version itself (69) in the database headers.
"""

from __future__ import annotations

import struct

import msgspec

from akosha_snap.errors import SourceError
from akosha_snap.source.checksum import CHECKSUM_SIZE, checksum

__all__ = [
    "BLOCKS_START",
    "HEADER_SIZE",
    "NEWEST_KNOWN_STORAGE",
    "DatabaseHeader",
    "Headers",
    "is_duckdb",
    "parse_headers",
]

HEADER_SIZE = 4096
"""Bytes per header: Storage::FILE_HEADER_SIZE."""

BLOCKS_START = 3 * HEADER_SIZE
"""Byte offset of block 0."""

NEWEST_KNOWN_STORAGE = 69
"""The storage version of DuckDB 2.0.0, the newest one this was verified against."""

_OLDEST_STORAGE = 64  # DuckDB 0.9 to 1.1, and what 1.4 and 1.5 still write; nothing older opens in DuckDB >= 1.0
_SEE_DATABASE_HEADER = 999
_DEFAULT_BLOCK_SIZE = 262_144
_BLOCK_SIZES = {1 << power for power in range(14, 25)}  # DuckDB allows 16 KiB to 256 KiB; leave room above
_MAIN = struct.Struct("<4sQQ")
_DATABASE = struct.Struct("<QQQQQQQ")
_ENCRYPTED = 1
_ID = slice(124, 140)


class DatabaseHeader(msgspec.Struct, frozen=True):
    """What one checkpoint left: where things are and how many blocks there are."""

    iteration: int
    free_list: int
    block_count: int
    block_size: int


class Headers(msgspec.Struct, frozen=True):
    """All three headers, as far as their checksums let us believe them."""

    storage: int
    """Storage version; 0 when it could not be read."""
    identifier: bytes
    """16 bytes that tie a WAL to its database; zeros in files of storage version < 67."""
    current: DatabaseHeader | None
    """The newest database header whose checksum holds."""
    failing: tuple[int, ...]
    """Byte offsets of the headers whose checksum fails. DuckDB opens no file that has one."""

    @property
    def newer(self) -> bool:
        """Written in a storage version later than any this was verified against."""
        return self.storage > NEWEST_KNOWN_STORAGE


def is_duckdb(head: bytes) -> bool:
    """Whether a file that begins with `head` (12 bytes do) is a DuckDB database."""
    return head[8:12] == b"DUCK"


def parse_headers(raw: bytes) -> Headers:
    """Read the first 12,288 bytes of a DuckDB file.

    Raises SourceError for a file that can never be copied with confidence: encrypted, of a
    storage version before 64, or of a layout that is not the one described above.
    """
    pieces = [raw[start : start + HEADER_SIZE] for start in range(0, BLOCKS_START, HEADER_SIZE)]
    holds = [_holds(piece) for piece in pieces]
    failing = tuple(index * HEADER_SIZE for index, held in enumerate(holds) if not held)
    version = 0
    if holds[0]:
        version = _main_version(pieces[0])
    found = [_database_header(piece) for piece, held in zip(pieces[1:], holds[1:], strict=True) if held]
    storage = max((field for _, field in found), default=0) if version == _SEE_DATABASE_HEADER else version
    current = max((header for header, _ in reversed(found)), key=lambda header: header.iteration, default=None)
    return Headers(storage, raw[_ID] if holds[0] else b"", current, failing)


def _holds(piece: bytes) -> bool:
    if len(piece) < HEADER_SIZE:
        return False
    return int.from_bytes(piece[:CHECKSUM_SIZE], "little") == checksum(piece[CHECKSUM_SIZE:])


def _main_version(piece: bytes) -> int:
    magic, version, flags = _MAIN.unpack_from(piece, CHECKSUM_SIZE)
    if magic != b"DUCK":
        raise SourceError(
            "its main header does not say DUCK", hint="check the path, or restore the file from a snapshot"
        )
    if flags & _ENCRYPTED:
        raise SourceError(
            "the database is encrypted: its blocks cannot be checked without the key, so it is not supported",
            hint="snapshot an unencrypted copy of it",
        )
    if version < _OLDEST_STORAGE:
        raise SourceError(
            f"storage version {version} is older than any that DuckDB 1.0 or later can open",
            hint="EXPORT it with the DuckDB that wrote it and IMPORT it with a current one",
        )
    return int(version)


def _database_header(piece: bytes) -> tuple[DatabaseHeader, int]:
    iteration, _, free_list, block_count, block_size, _, storage = _DATABASE.unpack_from(piece, CHECKSUM_SIZE)
    block_size = block_size or _DEFAULT_BLOCK_SIZE
    if block_size not in _BLOCK_SIZES:
        raise SourceError(
            f"its header layout is not understood (a block size of {block_size} bytes)",
            hint="a newer akosha-snap may know it",
        )
    return DatabaseHeader(iteration, free_list, block_count, block_size), storage
