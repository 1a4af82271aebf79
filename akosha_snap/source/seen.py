"""What a database was when it was copied: enough to tell later, without reading it all, that nothing has changed."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from blake3 import blake3

from akosha_snap.errors import AkoshaSnapError
from akosha_snap.source.beside import checkpoint_files, find_wal
from akosha_snap.source.files import PIECE, Moment, moment, open_regular
from akosha_snap.source.header import BLOCKS_START

__all__ = ["NO_WAL", "Seen", "is_as_seen", "seen"]

NO_WAL = b""
"""Stands for the BLAKE3 of a write-ahead log that is not there, or empty."""


class Seen(msgspec.Struct, frozen=True):
    """A database file at one moment.

    Whatever DuckDB commits goes to the log or, by a checkpoint, changes a header: with both
    as they were, in the same file of the same size and time, there is nothing new in it.
    """

    device: int
    inode: int
    size: int
    modified_ns: int
    head: bytes
    """BLAKE3 of the bytes before the first block."""
    wal: bytes
    """BLAKE3 of the write-ahead log as it lay there, or NO_WAL."""


def seen(at: Moment, head: bytes, wal: bytes) -> Seen:
    """A database that was `at` this moment before its `head` and the log with the BLAKE3 `wal` were read."""
    return Seen(at.device, at.inode, at.size, at.modified_ns, blake3(head).digest(), wal)


def is_as_seen(path: Path, before: Seen) -> bool:
    """Whether the database at `path` is what it was, by its headers and its log alone.

    The headers are read before the log and again after it: a checkpoint in between, which
    empties the log, changes them. Whatever cannot be read counts as changed.
    """
    try:
        with open_regular(path) as file:
            return all(
                (
                    _main(file.fileno(), file.read(BLOCKS_START), before),
                    not checkpoint_files(path),
                    _wal(path) == before.wal,
                    file.seek(0) == 0 and _main(file.fileno(), file.read(BLOCKS_START), before),
                    moment(path.stat()).identity == (before.device, before.inode),
                )
            )
    except (AkoshaSnapError, OSError):
        return False


def _main(descriptor: int, head: bytes, before: Seen) -> bool:
    now = moment(os.fstat(descriptor))
    same = (now.device, now.inode, now.size, now.modified_ns) == (
        before.device,
        before.inode,
        before.size,
        before.modified_ns,
    )
    return same and blake3(head).digest() == before.head


def _wal(path: Path) -> bytes:
    place = find_wal(path)
    if place is None:
        return NO_WAL
    digest = blake3()
    with open_regular(place) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.digest()
