"""Which stored chunks a new one resembles: a table of bounded size from feature to chunk.

Each feature has one place, which holds the last two chunks that had it. On real databases that
finds bases within 3% of a greedy cover over complete lists, in a tenth of the time, and needs the
same 16 MB for any file: where there are more features than places, the newest survive, which thins
out every chunk's features rather than whole chunks. Two, because the last one may be gone by the
time it is asked for: a table kept from push to push with one costs up to 20% more bytes
(docs/design-notes.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SimilarityTable"]

_BITS = 20
_FEWEST = 2
"""Features that a chunk must share to count as similar: with 1, chance decides (up to 15 times the bytes)."""

_CELLS = 2 << _BITS
"""The first of each place, then the second of each place."""


_AT_ONCE = 1 << 18
"""Cells looked at together: what that takes stays in a few MB."""


class SimilarityTable:
    """Feature -> the last two chunks that had it, by their numbers.

    A tag may stand for two features: the table gives hints, which cost bytes where they are
    wrong, never correctness.
    """

    def __init__(self) -> None:
        import numpy as np

        self._tags = np.zeros(_CELLS, np.uint32)
        self._chunks = np.zeros(_CELLS, np.uint32)

    def add(self, features: NDArray[np.uint64], chunk: int) -> None:
        """Remember the chunk, by its number, for each of its features."""
        places, tags = _split(features)
        moving = places[self._chunks[places] != chunk]
        self._tags[moving + (1 << _BITS)], self._chunks[moving + (1 << _BITS)] = (
            self._tags[moving],
            self._chunks[moving],
        )
        self._tags[places], self._chunks[places] = tags, chunk

    def similar(self, features: NDArray[np.uint64]) -> list[tuple[int, int]]:
        """The numbers of chunks that share features, and how many, most shared first."""
        import numpy as np

        cells, tags = _split(features)
        fits = self._tags[cells] == tags
        second = cells[~fits] + (1 << _BITS)
        found = self._chunks[cells[fits]], self._chunks[second[self._tags[second] == tags[~fits]]]
        chunks, shared = np.unique(np.concatenate(found), return_counts=True)
        order = np.argsort(shared, kind="stable")[::-1]
        return [(int(chunks[i]), int(shared[i])) for i in order if shared[i] >= _FEWEST]

    def dump(self, names: Sequence[bytes]) -> memoryview:
        """The table's content, 12 bytes a cell in use, at most 24 MB. `names` are the hashes of all chunks, by number.

        Of each only its first four bytes are kept: two chunks that share those are mistaken for each other.
        """
        import numpy as np

        cells = np.flatnonzero(self._tags).astype(np.uint32)
        columns = np.empty((3, len(cells)), "<u4")
        columns[0], columns[1] = cells, self._tags[cells]
        columns[2] = _hints(names)[self._chunks[cells]]
        return columns.data.cast("B") if len(cells) else memoryview(b"")

    @classmethod
    def load(cls, saved: bytes, names: Sequence[bytes], chunks: Sequence[int]) -> SimilarityTable:
        """A table as `dump` saved it, with what it knows of `chunks`, numbers in `names`; the rest is forgotten.

        Raises ValueError for what is no such table.
        """
        import numpy as np

        columns = np.frombuffer(saved, "<u4").reshape(3, -1)
        table = cls()
        if columns[0].max(initial=0) >= _CELLS:
            raise ValueError("a cell beyond the table's end")
        if not len(chunks):
            return table
        numbers = np.asarray(chunks, np.uint32)
        known = _hints(names)[numbers]
        order = np.argsort(known)
        numbers, known = numbers[order], known[order]
        for start in range(0, columns.shape[1], _AT_ONCE):
            cells, tags, hints = columns[:, start : start + _AT_ONCE]
            place = np.searchsorted(known, hints).clip(max=len(known) - 1)
            fits = known[place] == hints
            table._tags[cells[fits]], table._chunks[cells[fits]] = tags[fits], numbers[place[fits]]
        return table


def _hints(names: Sequence[bytes]) -> NDArray[np.uint32]:
    """The first four bytes of each hash, as a number."""
    import numpy as np

    return np.frombuffer(b"".join(name[:4] for name in names), np.dtype("<u4"))


def _split(features: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Each feature's place, and the part of it that tells it from others at that place. Zero is no tag."""
    import numpy as np

    places = (features & np.uint64((1 << _BITS) - 1)).astype(np.int64)
    return places, (features >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
