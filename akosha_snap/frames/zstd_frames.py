"""What zstd's own frames look like (RFC 8878, section 3.1.1): as much of it as decoding against bases needs."""

from __future__ import annotations

from collections.abc import Sequence

import zstandard

__all__ = ["raw_frame", "size_of"]

_BLOCK = 128 * 1024
"""Bytes of the largest block."""

_BLOCK_HEADER, _CHECKSUM = 3, 4
_RAW, _RLE = 0, 1

_HEADER = zstandard.MAGIC_NUMBER.to_bytes(4, "little") + b"\xa0"
"""One segment, its size in the 4 bytes that follow, no checksum, no dictionary."""


def raw_frame(contents: Sequence[bytes]) -> bytes:
    """A frame that holds `contents`, one after another and as they are."""
    pieces: list[bytes | memoryview] = [_HEADER, sum(map(len, contents)).to_bytes(4, "little")]
    for content in contents:
        for start in range(0, len(content), _BLOCK):
            block = memoryview(content)[start : start + _BLOCK]
            pieces += [_block_header(len(block)), block]
    return b"".join([*pieces, _block_header(0, is_last=True)])


def _block_header(size: int, *, is_last: bool = False) -> bytes:
    return (size << 3 | _RAW << 1 | is_last).to_bytes(_BLOCK_HEADER, "little")


def size_of(frame: bytes) -> int:
    """Bytes of the frame that `frame` begins with, checksum included; anything beyond its length where it is cut short.

    Raises ZstdError where the header is none.
    """
    end, is_last = zstandard.frame_header_size(frame), False
    while not is_last and end < len(frame):
        header = int.from_bytes(frame[end : end + _BLOCK_HEADER], "little")
        is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        end += _BLOCK_HEADER + (1 if kind == _RLE else size)
    return end + _CHECKSUM
