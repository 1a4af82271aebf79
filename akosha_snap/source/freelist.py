"""Which blocks of a DuckDB file hold nothing (metadata_manager.cpp, LoadFreeList).

A metadata block is cut into 64 pieces of (block size - 8) / 64 bytes, rounded down to a multiple
of 8, after its checksum. A pointer to a piece is a u64: the block in the low 56 bits, the piece in
the high 8; all ones is no pointer. A piece begins with the pointer to the next of its chain. The
free list is such a chain: a u64 count, then that many i64 block numbers (what follows is not needed).
Compared with PRAGMA database_size on files of 1.4.4, 1.5.6 and 2.0.0: the same counts.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator
from typing import BinaryIO

from akosha_snap.source.checksum import CHECKSUM_SIZE
from akosha_snap.source.header import BLOCKS_START, DatabaseHeader

__all__ = ["FreeListFault", "read_free_blocks"]

_PIECES = 64
_NO_POINTER = (1 << 64) - 1
_BLOCK_BITS = 56


class FreeListFault(Exception):
    """The free list cannot be read; `block` is where it breaks."""

    def __init__(self, block: int, message: str) -> None:
        super().__init__(message)
        self.block = block


def read_free_blocks(file: BinaryIO, header: DatabaseHeader, failing: Container[int]) -> frozenset[int]:
    """The numbers of the free blocks, read from a copy of the file.

    Blocks in `failing` failed their checksum: a list that passes through one is not believed.
    Raises FreeListFault. Memory is bounded by the file's size, whatever the file says.
    """
    if header.free_list == _NO_POINTER:
        return frozenset()
    data = bytearray()
    block = 0
    for block, piece in _chain(file, header, failing):  # noqa: B007
        data += piece
        count = int.from_bytes(data[:8], "little")
        if len(data) >= 8 + 8 * count:
            return frozenset(struct.unpack_from(f"<{count}Q", data, 8))
    raise FreeListFault(block, "the free list ends too early")


def _chain(file: BinaryIO, header: DatabaseHeader, failing: Container[int]) -> Iterator[tuple[int, bytes]]:
    """The block and the content of each piece of the chain that begins at the header's pointer."""
    size = (header.block_size - CHECKSUM_SIZE) // _PIECES // 8 * 8
    pointer = header.free_list
    seen = set()
    while pointer != _NO_POINTER:
        block, piece = pointer & ((1 << _BLOCK_BITS) - 1), pointer >> _BLOCK_BITS
        if pointer in seen or piece >= _PIECES or block >= header.block_count:
            raise FreeListFault(block, "the free list points nowhere")
        if block in failing:
            raise FreeListFault(block, "the free list lies in a block that fails its checksum")
        seen.add(pointer)
        try:
            file.seek(BLOCKS_START + block * header.block_size + CHECKSUM_SIZE + piece * size)
        except (OverflowError, OSError):  # a block number no file can hold
            raise FreeListFault(block, "the free list points past the end of the file") from None
        content = file.read(size)
        if len(content) < size:
            raise FreeListFault(block, "the free list points past the end of the file")
        yield block, content[8:]
        pointer = int.from_bytes(content[:8], "little")
