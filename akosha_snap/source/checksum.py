"""DuckDB's block checksum (src/common/checksum.cpp; verified on files of 1.4, 1.5 and 2.0).

5381 XOR, over the 8-byte little-endian words, of word x 0xbf58476d1ce4e5b9 (mod 2**64), XOR,
for the last 1-7 bytes if any, their 64-bit Murmur2A hash. Blocks and headers are whole words;
only WAL entries have a tail.
"""

from __future__ import annotations

__all__ = ["CHECKSUM_SIZE", "checksum", "failing_blocks"]

CHECKSUM_SIZE = 8
"""Bytes: every header and block begins with the checksum of the rest of it."""

_SEED = 5381
_WORD_FACTOR = 0xBF58476D1CE4E5B9
_TAIL_FACTOR = 0xC6A4A7935BD1E995
_TAIL_SEED = 0xE17A1465
_MASK = (1 << 64) - 1


def checksum(data: bytes | memoryview, seed: int = _SEED) -> int:
    """The checksum of `data`.

    To go through data in pieces pass the result for the pieces so far as `seed`; every piece
    but the last must be a multiple of 8 bytes.
    """
    import numpy as np

    words, tail = divmod(len(data), 8)
    result = seed
    if words:
        products = np.frombuffer(data, dtype="<u8", count=words) * np.uint64(_WORD_FACTOR)
        result ^= int(np.bitwise_xor.reduce(products))
    if tail:
        result ^= _tail_hash(bytes(data[words * 8 :]))
    return result


def _tail_hash(tail: bytes) -> int:
    value = _TAIL_SEED ^ (len(tail) * _TAIL_FACTOR & _MASK)
    value = (value ^ int.from_bytes(tail, "little")) * _TAIL_FACTOR & _MASK
    value = (value ^ value >> 47) * _TAIL_FACTOR & _MASK
    return value ^ value >> 47


def failing_blocks(data: memoryview, block_size: int) -> list[int]:
    """Indexes, within `data`, of the whole blocks whose stored checksum is not theirs."""
    import numpy as np

    count = len(data) // block_size
    if not count:
        return []
    blocks = np.frombuffer(data, dtype="<u8", count=count * block_size // 8).reshape(count, block_size // 8)
    products = np.empty(block_size // 8 - 1, dtype=np.uint64)  # one block at a time: it stays in the CPU cache
    failing = []
    for index, block in enumerate(blocks):
        np.multiply(block[1:], np.uint64(_WORD_FACTOR), out=products)
        if int(block[0]) != _SEED ^ int(np.bitwise_xor.reduce(products)):
            failing.append(index)
    return failing
