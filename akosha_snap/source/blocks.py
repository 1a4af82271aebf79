"""Copying the blocks of a DuckDB file, and checking those that are in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from akosha_snap.source.checksum import failing_blocks
from akosha_snap.source.clone import try_clone
from akosha_snap.source.files import PIECE, read_piece, write_piece
from akosha_snap.source.freelist import FreeListFault, read_free_blocks
from akosha_snap.source.hashing import Hasher
from akosha_snap.source.header import BLOCKS_START, DatabaseHeader
from akosha_snap.source.settle import Unsettled

__all__ = ["Fault", "Meter", "copy_blocks", "first_fault"]


class Meter:
    """Counts the bytes read from live files."""

    def __init__(self) -> None:
        self.total = 0

    def count(self, data: bytes) -> bytes:
        """`data`, counted."""
        self.total += len(data)
        return data


class Fault(msgspec.Struct, frozen=True):
    """A block in use that is not whole."""

    block: int
    offset: int
    what: str


def copy_blocks(
    path: Path,
    source: BinaryIO,
    copy: Path,
    target: BinaryIO,
    head: bytes,
    block_size: int,
    meter: Meter,
    hasher: Hasher | None,
) -> tuple[int, list[int]]:
    """Copy what follows the headers, writing `head` for those; all of it is handed on to the `hasher`.

    Returns the copy's size in bytes and the numbers of all blocks whose checksum fails, free
    ones too. Raises Unsettled where the file gets shorter meanwhile.
    """
    size = os.fstat(source.fileno()).st_size
    cloned = try_clone(source, target)
    if cloned:
        size = os.fstat(target.fileno()).st_size
        target.seek(0)
        if read_piece(copy, target, BLOCKS_START) != head:
            raise Unsettled("a checkpoint changed its headers")
    else:
        write_piece(copy, target, head)
    if hasher:
        hasher.update(head)
    reader = target if cloned else source
    reader.seek(BLOCKS_START)
    failing: list[int] = []
    step = max(1, PIECE // block_size)
    for first, left in _steps(size, block_size, step):
        piece = read_piece(path, reader, left)
        if len(piece) < left:
            raise Unsettled("it got shorter")
        if hasher:
            hasher.update(piece)
        if not cloned:
            write_piece(copy, target, meter.count(piece))
        failing += [first + index for index in failing_blocks(memoryview(piece), block_size)]
    return size, failing


def _steps(size: int, block_size: int, step: int) -> Iterator[tuple[int, int]]:
    """The number of the first block, and the bytes, of each piece to read."""
    left = size - BLOCKS_START
    first = 0
    while left > 0:
        now = min(left, step * block_size)
        yield first, now
        first += step
        left -= now


def first_fault(
    copy: BinaryIO, header: DatabaseHeader, size: int, failing: list[int], *, row_groups: bool
) -> Fault | None:
    """The first block in use of a copied file that fails its checksum or is cut off, if any.

    With `row_groups` the WAL names blocks that the free list and the block count do not know of,
    so any block may be in use, but for those never written (a file with holes has such).
    A file may end before its last free blocks: DuckDB truncates after it has written the header.
    """
    known = set(failing)
    try:
        free = read_free_blocks(copy, header, known)
    except FreeListFault as fault:
        if fault.block in known:
            return _fault(header, fault.block, "does not match its checksum")
        return _fault(header, fault.block, f"does not hold what it should: {fault}")
    whole, cut = divmod(size - BLOCKS_START, header.block_size)
    for block in failing:
        in_use = block < header.block_count and block not in free
        if in_use or (row_groups and not _is_hole(copy, header, block)):
            return _fault(header, block, "does not match its checksum")
    for block in range(whole, header.block_count):  # ends at the first that is not free: no longer than that list
        if block not in free:
            return _fault(header, block, "is cut off: the file ends before it does")
    if row_groups and cut:
        return _fault(header, whole, "is cut off: the file ends before it does")
    return None


def _fault(header: DatabaseHeader, block: int, what: str) -> Fault:
    return Fault(block, BLOCKS_START + block * header.block_size, what)


def _is_hole(copy: BinaryIO, header: DatabaseHeader, block: int) -> bool:
    copy.seek(BLOCKS_START + block * header.block_size)
    return not copy.read(header.block_size).strip(b"\0")
