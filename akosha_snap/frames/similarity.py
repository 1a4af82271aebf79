"""Which stored chunks a new one resembles: a table of bounded size from feature to chunk.

Each feature has one place, which holds the last two chunks that had it. On real databases that
finds bases within 3% of a greedy cover over complete lists, in a tenth of the time, and needs the
same 16 MB for any file: where there are more features than places, the newest survive, which thins
out every chunk's features rather than whole chunks. Two, because the last one may be gone by the
time it is asked for: a table kept from push to push with one costs up to 20% more bytes
(docs/design-notes.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SimilarityTable", "hint"]

_BITS = 20
_FEWEST = 2
"""Features that a chunk must share to count as similar: with 1, chance decides (up to 15 times the bytes)."""

_CELLS = 2 << _BITS
"""The first of each place, then the second of each place."""


class SimilarityTable:
    """Feature -> first 4 bytes of the hash of the last two chunks that had it.

    Four bytes may stand for two chunks, and a tag for two features: the table gives hints,
    which cost bytes where they are wrong, never correctness.
    """

    def __init__(self) -> None:
        import numpy as np

        self._tags = np.zeros(_CELLS, np.uint32)
        self._chunks = np.zeros(_CELLS, np.uint32)
        self._at_hand = np.zeros(1 << _BITS, np.bool_)

    @classmethod
    def load(cls, saved: bytes) -> SimilarityTable:
        """A table as `dump` saved it. Raises ValueError for anything else."""
        import numpy as np

        cells, tags, chunks = np.frombuffer(saved, np.dtype("<u4")).reshape(3, -1)
        table = cls()
        if cells.size and cells.max() >= _CELLS:
            raise ValueError("a cell beyond the table's end")
        table._tags[cells], table._chunks[cells] = tags, chunks
        return table

    def dump(self) -> bytes:
        """The table's content, 12 bytes a cell in use, at most 24 MB."""
        import numpy as np

        cells = np.flatnonzero(self._tags)
        return b"".join(column.astype("<u4").tobytes() for column in (cells, self._tags[cells], self._chunks[cells]))

    def add(self, features: NDArray[np.uint64], chunk: bytes) -> None:
        """Remember the chunk (by its hash) for each of its features."""
        places, tags = _split(features)
        moving = places[self._chunks[places] != hint(chunk)]
        self._tags[moving + (1 << _BITS)], self._chunks[moving + (1 << _BITS)] = (
            self._tags[moving],
            self._chunks[moving],
        )
        self._tags[places], self._chunks[places] = tags, hint(chunk)

    def offer(self, chunk: bytes) -> None:
        """The chunk can be had: only what was offered is found, or looks as if it were (one in a million)."""
        self._at_hand[hint(chunk) >> (32 - _BITS)] = True

    def similar(self, features: NDArray[np.uint64]) -> list[int]:
        """Hints of offered chunks that share features, most shared first."""
        import numpy as np

        cells, tags = _split(features)
        last, fits = self._look_up(cells, tags)
        second, fits_too = self._look_up(cells[~fits] + (1 << _BITS), tags[~fits])
        hints, shared = np.unique(np.concatenate([last[fits], second[fits_too]]), return_counts=True)
        order = np.argsort(shared, kind="stable")[::-1]
        return [int(hints[i]) for i in order if shared[i] >= _FEWEST]

    def _look_up(
        self, cells: NDArray[np.int64], tags: NDArray[np.uint32]
    ) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """The chunks in these cells, and which of them have the tag asked for and can be had."""
        chunks = self._chunks[cells]
        return chunks, (self._tags[cells] == tags) & self._at_hand[chunks >> (32 - _BITS)]


def hint(chunk: bytes) -> int:
    """What the table keeps of a chunk's hash."""
    return int.from_bytes(chunk[:4], "little")


def _split(features: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Each feature's place, and the part of it that tells it from others at that place. Zero is no tag."""
    import numpy as np

    places = (features & np.uint64((1 << _BITS) - 1)).astype(np.int64)
    return places, (features >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
