"""Which stored chunks a new one resembles: a table of bounded size from feature to chunk.

Each feature has one place, which holds the last two chunks that had it. On real databases that
finds bases within 3% of a greedy cover over complete lists, in a tenth of the time, and needs the
same 16 MB for any file: where there are more features than places, the newest survive, which thins
out every chunk's features rather than whole chunks. Two, because the last one may be gone by the
time it is asked for: a table kept from push to push with one costs up to 20% more bytes. And where
both are gone, `forgotten` says whose features to add again (docs/design-notes.md).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BLOCK", "SimilarityTable"]

_BITS = 20
_FEWEST = 2
"""Features that a chunk must share to count as similar: with 1, chance decides (up to 15 times the bytes)."""

_COUNT = 0xFFFFFFFF
"""In place of a cell, where a table is saved: how many features a chunk has follows, and the first four bytes of
its hash. These come first; a cell names its chunk by their order, which takes a third of the time to load."""

_CELLS = 2 << _BITS
"""The first of each place, then the second of each place."""


_AT_ONCE = 1 << 18

BLOCK = 12 * _AT_ONCE
"""Bytes saved and loaded together: so that takes a few MB of memory, where the whole has up to 24."""


class SimilarityTable:
    """Feature -> the last two chunks that had it, by their numbers.

    A tag may stand for two features: the table gives hints, which cost bytes where they are
    wrong, never correctness.
    """

    def __init__(self) -> None:
        import numpy as np

        self._tags = np.zeros(_CELLS, np.uint32)
        self._chunks = np.zeros(_CELLS, np.uint32)
        self._made_of = array("H")
        """How many features each chunk was added with, by its number."""

    def add(self, features: NDArray[np.uint64], chunk: int) -> None:
        """Remember the chunk, by its number, for each of its features."""
        places, tags = _split(features)
        moving = places[self._chunks[places] != chunk]
        self._tags[moving + (1 << _BITS)], self._chunks[moving + (1 << _BITS)] = (
            self._tags[moving],
            self._chunks[moving],
        )
        self._tags[places], self._chunks[places] = tags, chunk
        self._set_made_of(chunk, len(places))

    def similar(self, features: NDArray[np.uint64]) -> list[tuple[int, int]]:
        """The numbers of chunks that share features, and how many, most shared first."""
        import numpy as np

        cells, tags = _split(features)
        fits = self._tags[cells] == tags
        second = cells[~fits] + (1 << _BITS)
        found = self._chunks[cells[fits]], self._chunks[second[self._tags[second] == tags[~fits]]]
        every = np.sort(np.concatenate(found))  # what follows is np.unique's, which takes 10 ms to import what it needs
        ends = np.flatnonzero(every[1:] != every[:-1]) + 1
        chunks = every[np.concatenate(([0], ends))] if len(every) else every
        shared = np.diff(np.concatenate(([0], ends, [len(every)])))
        order = np.argsort(shared, kind="stable")[::-1]
        return [(int(chunks[i]), int(shared[i])) for i in order if shared[i] >= _FEWEST]

    def forgotten(self, chunks: Sequence[int]) -> list[int]:
        """Those of the chunks that were never added, or of which less than a quarter is still known.

        Where the chunks have more features together than the table has places, nobody's are all
        known, and adding them again would only drive out others: then only the former.
        """
        import numpy as np

        made_of = self._made_of
        never = [i for i in chunks if i >= len(made_of) or not made_of[i]]
        if never or sum(made_of[i] for i in chunks) > 1 << _BITS:
            return never
        known = np.bincount(self._chunks[self._tags != 0], minlength=len(made_of))
        return [i for i in chunks if 4 * known[i] < made_of[i]]

    def dump(self, names: Sequence[bytes]) -> Iterator[bytes]:
        """The table's content in blocks of at most BLOCK bytes, 12 a cell in use. `names` are the hashes of all
        chunks, by number.

        Of each only its first four bytes are kept: two chunks that share those are mistaken for each other.
        """
        import numpy as np

        made_of = np.array(self._made_of, np.uint32)
        added = np.flatnonzero(made_of)
        hints = _hints(names)
        for start in range(0, len(added), _AT_ONCE):
            some = added[start : start + _AT_ONCE]
            yield _rows(np.full(len(some), _COUNT), made_of[some], hints[some])
        order = np.cumsum(made_of != 0) - 1
        for start in range(0, _CELLS, _AT_ONCE):
            cells = np.flatnonzero(self._tags[start : start + _AT_ONCE]) + start
            yield _rows(cells, self._tags[cells], order[self._chunks[cells]])

    @classmethod
    def load(cls, blocks: Iterable[bytes], names: Sequence[bytes], chunks: Sequence[int]) -> SimilarityTable:
        """A table as `dump` saved it, with what it knows of `chunks`, numbers in `names`; the rest is forgotten.

        The blocks may be cut anywhere between two cells. Raises ValueError for what is no such table.
        """
        import numpy as np

        table = cls()
        numbers = np.asarray(chunks, np.uint32)
        known = _hints(names)[numbers]
        order = np.argsort(known)
        numbers, known = numbers[order], known[order]
        named = np.empty(0, np.int64)  # the number of each chunk that the table has, -1 where it is not wanted
        for block in blocks:
            rows = np.frombuffer(block, "<u4").reshape(-1, 3)
            if not len(numbers):
                break
            counts = np.count_nonzero(rows[:, 0] == _COUNT)
            named = np.append(named, table._add_counts(rows[:counts], numbers, known))
            cells, tags, which = rows[counts:].T
            if max(cells.max(initial=0) // _CELLS, which.max(initial=0) // max(1, len(named))):
                raise ValueError("a cell beyond the table's end, or a chunk that it does not have")
            found = named[which]
            if found.min(initial=0) < 0:
                fits = found >= 0
                cells, tags, found = cells[fits], tags[fits], found[fits]
            table._tags[cells], table._chunks[cells] = tags, found
        return table

    def _add_counts(
        self, rows: NDArray[np.uint32], numbers: NDArray[np.uint32], known: NDArray[np.uint32]
    ) -> NDArray[np.int64]:
        """Take over how many features each chunk has; returns their numbers by the hints that are `known`, else -1."""
        import numpy as np

        place = np.searchsorted(known, rows[:, 2]).clip(max=len(known) - 1)
        found = np.where(known[place] == rows[:, 2], numbers[place].astype(np.int64), -1)
        for chunk, count in zip(found, rows[:, 1], strict=True):
            if chunk >= 0:
                self._set_made_of(int(chunk), int(count))
        return found

    def _set_made_of(self, chunk: int, count: int) -> None:
        if (missing := chunk + 1 - len(self._made_of)) > 0:
            self._made_of.extend([0] * missing)
        self._made_of[chunk] = min(count, 0xFFFF)


def _rows(*columns: NDArray[np.signedinteger | np.unsignedinteger]) -> bytes:
    import numpy as np

    return np.stack([column.astype("<u4") for column in columns], axis=1).tobytes()


def _hints(names: Sequence[bytes]) -> NDArray[np.uint32]:
    """The first four bytes of each hash, as a number."""
    import numpy as np

    return np.frombuffer(b"".join(name[:4] for name in names), np.dtype("<u4"))


def _split(features: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Each feature's place, and the part of it that tells it from others at that place. Zero is no tag."""
    import numpy as np

    places = (features & np.uint64((1 << _BITS) - 1)).astype(np.int64)
    return places, (features >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
