"""DuckDB's write-ahead log (write_ahead_log.cpp, wal_replay.cpp; read off files of 1.4, 1.5 and 2.0).

It begins with an unframed version entry, in DuckDB's binary serialization (u16 field, LEB128 value,
0xffff ends an object): field 100 type 98, field 101 version. With storage version 67 and later also
field 102, the 16 bytes of the database's id, and field 103, the checkpoint iteration it belongs to.
In version 2 entries follow, each u64 size, u64 checksum, payload; a payload begins with field 100,
its type. Version 1 (before DuckDB 0.10) has no frames, version 3 is encrypted: neither can be walked.

A commit ends with a flush entry. What follows the last one was never committed.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec

from akosha_snap.source.checksum import checksum
from akosha_snap.source.files import PIECE

__all__ = ["WalScan", "scan_wal"]

_WALKABLE = 2  # WAL_VERSION_NUMBER of 0.10 to 2.0
_TYPE_FIELD = b"\x64\x00"
_ROW_GROUP_DATA, _VERSION, _CHECKPOINT, _FLUSH = 29, 98, 99, 100
_FLUSH_ENTRY = bytes.fromhex("0500000000000000 e7fe7d722fed3d5e 640064ffff")  # always these bytes
_FRAME = struct.Struct("<QQ")
_VERSION_ENTRY_MAX = 256  # bytes; the longest seen is 50


class WalScan(msgspec.Struct, frozen=True):
    """What a WAL holds, as far as its entries can be believed."""

    size: int
    """Bytes scanned."""
    committed: int = 0
    """Bytes up to and with the last flush; 0 when nothing was ever committed."""
    walkable: bool = True
    """False: its version is not one we can walk; then `committed` is the whole of it."""
    identifier: bytes | None = None
    """The id of the database it belongs to, where it says so."""
    iteration: int | None = None
    """The checkpoint it continues from, where it says so."""
    row_groups: bool = False
    """It commits row groups that lie in the database file, outside any checkpoint."""
    checkpointing: bool = False
    """It ends with a checkpoint's mark: one was under way, or was interrupted."""
    failing: int | None = None
    """Byte offset of an entry that is not what it claims to be, so that what follows is lost."""


class _Entry(msgspec.Struct, frozen=True):
    start: int
    end: int
    kind: int


class _Torn(Exception):
    """The log ends inside what should come next."""


class _Bad(Exception):
    """The bytes here are no entry."""


def scan_wal(file: BinaryIO) -> WalScan:
    """Walk a WAL (a copy of it: it must not change meanwhile). Raises nothing but OSError."""
    size = file.seek(0, 2)
    file.seek(0)
    try:
        identifier, iteration, start = _version_entry(file.read(_VERSION_ENTRY_MAX))
    except _Torn:
        return WalScan(size)
    except _Bad:
        return WalScan(size, committed=size, walkable=False)

    committed, row_groups, checkpointing, failing = 0, False, False, None
    pending_row_groups = False
    position = start
    file.seek(start)
    try:
        while position < size:
            entry = _next_entry(file, position, size)
            position = entry.end
            if entry.kind == _FLUSH:
                committed = position
                row_groups |= pending_row_groups
                continue
            checkpointing = entry.kind == _CHECKPOINT
            pending_row_groups |= entry.kind == _ROW_GROUP_DATA
    except _Torn:
        # A commit being written, or one that a crash cut off. But no whole flush can follow there:
        # if one does, it is a size that lies, and DuckDB would silently lose commits.
        failing = position if _flush_follows(file, position) else None
    except _Bad:
        failing = position
    return WalScan(size, committed, True, identifier, iteration, row_groups, checkpointing, failing)


def _next_entry(file: BinaryIO, start: int, size: int) -> _Entry:
    head = file.read(len(_FLUSH_ENTRY))
    if head == _FLUSH_ENTRY:
        return _Entry(start, start + len(_FLUSH_ENTRY), _FLUSH)
    if len(head) < _FRAME.size:
        raise _Torn
    length, expected = _FRAME.unpack_from(head)
    first = start + _FRAME.size
    if not length and not expected:
        # Space a crash left unwritten; DuckDB 2.0 takes it for the end, 1.x refuses the file
        raise _Torn if _only_zeros_follow(file, start) else _Bad
    if first + length > size:
        raise _Torn
    file.seek(first)
    computed, left, kind = 0, length, b""
    while left:
        piece = file.read(min(left, PIECE))
        if not piece:
            raise _Torn
        computed = checksum(piece, computed) if kind else checksum(piece)
        kind = kind or piece[:3]
        left -= len(piece)
    if computed != expected or kind[:2] != _TYPE_FIELD or len(kind) < 3:
        raise _Bad
    return _Entry(start, first + length, kind[2])


def _flush_follows(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    kept = b""
    while piece := file.read(PIECE):
        if _FLUSH_ENTRY in kept + piece:
            return True
        kept = piece[-len(_FLUSH_ENTRY) :]
    return False


def _only_zeros_follow(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    while piece := file.read(PIECE):
        if piece.strip(b"\0"):
            return False
    return True


def _version_entry(head: bytes) -> tuple[bytes | None, int | None, int]:
    """The database id, the checkpoint iteration and the entry's length in bytes."""
    reader = _Reader(head)
    reader.expect(_TYPE_FIELD + bytes([_VERSION]) + b"\x65\x00")
    if reader.varint() != _WALKABLE:
        raise _Bad
    identifier = iteration = None
    while (field := reader.take(2)) != b"\xff\xff":
        if field == b"\x66\x00" and identifier is None:
            count = reader.varint()
            if count != 16:
                raise _Bad
            values = [reader.varint() for _ in range(count)]
            if max(values) > 255:
                raise _Bad
            identifier = bytes(values)
        elif field == b"\x67\x00" and iteration is None:
            iteration = reader.varint()
        else:
            raise _Bad
    return identifier, iteration, reader.position


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.position : self.position + count]
        if len(taken) < count:
            raise _Torn if len(self.data) < _VERSION_ENTRY_MAX else _Bad
        self.position += count
        return taken

    def expect(self, expected: bytes) -> None:
        have = self.data[: len(expected)]
        if have != expected[: len(have)]:
            raise _Bad
        self.take(len(expected))

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise _Bad
