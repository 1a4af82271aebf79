"""What the last push knew of a file, section by section: the chunks that an unchanged one consists of."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from akosha_snap.chunking import Grid
from akosha_snap.frames import HASH_SIZE

__all__ = ["KnownSections"]


class KnownSections:
    """The sections of a DuckDB file as it was pushed last: the BLAKE3 of each, and its chunks.

    A section's bytes alone decide where it is cut (docs/format.md), so one with the same BLAKE3
    has the same chunks and need not be cut and hashed again.
    """

    def __init__(self, digests: bytes, grid: Grid, size: int, chunks: array[int], raw_sizes: Sequence[int]) -> None:
        """`chunks` are the file's, in order, each an index into `raw_sizes`; all sizes in bytes.

        Raises ValueError where they do not fit together.
        """
        self._digests = digests
        self._chunks = chunks
        self._starts = array("I", [0])
        at = 0
        for _, length in grid.sections(size):
            while length > 0 and at < len(chunks):
                length -= raw_sizes[chunks[at]]
                at += 1
            if length:
                raise ValueError("the chunks do not end where the sections do")
            self._starts.append(at)
        if at != len(chunks) or HASH_SIZE * (len(self._starts) - 1) != len(digests):
            raise ValueError("more chunks or fewer digests than sections")

    def chunks(self, place: int, digest: bytes) -> array[int] | None:
        """The chunks of the section in this place, if it has this BLAKE3."""
        if digest != self._digests[HASH_SIZE * place : HASH_SIZE * (place + 1)]:
            return None
        return self._chunks[self._starts[place] : self._starts[place + 1]]
