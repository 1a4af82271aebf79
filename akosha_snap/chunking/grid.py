"""Where a DuckDB file must be cut whatever its content: at its headers and its block grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["HEADER_COUNT", "HEADER_SIZE", "Grid"]

HEADER_SIZE = 4096
"""Bytes of one DuckDB header: `Storage::FILE_HEADER_SIZE` (DuckDB, storage_info.hpp)."""

HEADER_COUNT = 3
"""The main header and two database headers that take turns."""


class Grid(NamedTuple):
    """The block grid of a DuckDB file. `block_size` in bytes, as the file's header says."""

    block_size: int

    def sections(self, size: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of each header and block of a file of `size` bytes; the last may be short.

        An unchanged block then gives unchanged chunks, whatever its neighbours do.
        """
        offset = 0
        while offset < size:
            step = HEADER_SIZE if offset < HEADER_COUNT * HEADER_SIZE else self.block_size
            length = min(step, size - offset)
            yield offset, length
            offset += length
