"""Choose, for a new chunk, the stored chunks to compress it against."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from akosha_snap.chunking import features
from akosha_snap.frames import MAX_DEPTH, Codec, Frame, content_hash, encode
from akosha_snap.frames.similarity import SimilarityTable
from akosha_snap.snapshot.inventory import Inventory
from akosha_snap.snapshot.staging import copy_changed

__all__ = ["WRITER_DEPTH", "AtHand", "Bases", "Choice", "compress"]

_MAX_BASES = 8
"""Bases of one frame. About 2 are used; more than 8 won nothing (design-notes.md)."""

WRITER_DEPTH = MAX_DEPTH
"""Frames decoded one after another for one chunk, as written. Over 40 sessions chains of 64 cost 2% more
bytes than unbounded ones, chains of 32 half as many more again (design-notes.md)."""

_SHARE = 0.1
"""Of a chunk's features, what a base at the end of a chain must have to be worth its depth; one in the
middle half of it. Without that, bases of little use fill the chains in 20 sessions."""


_NOWHERE = -1


class AtHand(NamedTuple):
    """Where a chunk's raw bytes are on this machine: a file, offset and size in bytes."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """The bytes that are there now; fewer, or none, where the file has gone."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset)
                return file.read(self.size)
        except OSError:
            return b""


class Choice(NamedTuple):
    """A new chunk, and the chunks to compress it against, the most useful last: numbers and names."""

    number: int
    chunk: bytes
    data: bytes
    bases: tuple[tuple[int, bytes, AtHand], ...]


class Bases:
    """The chunks whose raw bytes are at hand; those whose frames are stored, or about to be, may serve as bases.

    Columns by the chunk's number in the inventory: the file it is in (an index in `_paths`, or
    _NOWHERE), its offset there in bytes, how many frames are decoded to get it (0: it has none yet).
    """

    def __init__(self, inventory: Inventory) -> None:
        self.table: SimilarityTable | None = None
        """What the chunks are made of, once `learn` was called."""
        self._inventory = inventory
        self._paths: list[Path] = []
        self._file = array("i")
        self._offset = array("Q")
        self._depth = array("B")

    def offer(self, chunks: Sequence[int], path: Path, offset: int = 0) -> None:
        """These chunks lie in the file at `path` one after another, from `offset` on."""
        file = self._file_number(path)
        if (missing := len(self._inventory) - len(self._file)) > 0:
            self._file.extend([_NOWHERE] * missing)
            self._offset.extend([0] * missing)
            self._depth.extend([0] * missing)
        for i in chunks:
            self._file[i], self._offset[i] = file, offset
            if self._inventory.is_stored(i):
                self._depth[i] = self._inventory.depth_of(i)
            offset += self._inventory.raw_sizes[i]

    def learn(self, load: Callable[[Sequence[bytes], Sequence[int]], SimilarityTable | None]) -> None:
        """Find out what the stored chunks that are at hand are made of, before the first choice.

        `load` returns the table that knows (see `SimilarityTable.load`); those that it has
        forgotten, or all where there is none, are read.
        """
        at_hand = array("I", (i for i, depth in enumerate(self._depth) if depth))
        self.table = load(self._inventory.hashes, at_hand) or SimilarityTable()
        for i in self.table.forgotten(at_hand):
            self.table.add(features(self._at_hand(i).read()), i)

    def choose(self, i: int) -> Choice:
        """Read a new chunk, choose its bases, and let it serve as one for those that follow; after `learn`."""
        if self.table is None:
            raise AssertionError("nothing was learned yet")
        data = self._at_hand(i).read()
        made_of = features(data)
        similar = self.table.similar(made_of)
        chosen = [base for base, shared in similar if self._serves(base, shared / len(made_of))][:_MAX_BASES]
        self.table.add(made_of, i)
        self._depth[i] = 1 + max((self._depth[base] for base in chosen), default=0)
        named = ((base, self._inventory.hashes[base], self._at_hand(base)) for base in reversed(chosen))
        return Choice(i, self._inventory.hashes[i], data, tuple(named))

    def _serves(self, i: int, share: float) -> bool:
        depth = self._depth[i]
        return 0 < depth < WRITER_DEPTH and share >= _SHARE * depth / WRITER_DEPTH

    def _at_hand(self, i: int) -> AtHand:
        return AtHand(self._paths[self._file[i]], self._offset[i], self._inventory.raw_sizes[i])

    def _file_number(self, path: Path) -> int:
        if not self._paths or self._paths[-1] is not path:
            self._paths.append(path)
        return len(self._paths) - 1


def compress(choice: Choice) -> tuple[list[int], Frame]:
    """The frame of a chosen chunk, and the numbers of its bases. Thread-safe.

    A base whose bytes are no longer what they were is left out. Raises SourceError where
    that is so of the chunk itself.
    """
    if content_hash(choice.data) != choice.chunk:
        raise copy_changed()
    bases = [(i, base, raw) for i, base, where in choice.bases if content_hash(raw := where.read()) == base]
    codec, stored = encode(choice.data, [raw for _, _, raw in bases])
    if codec != Codec.ZSTD:
        bases = []
    names = tuple(base for _, base, _ in bases)
    return [i for i, _, _ in bases], Frame(choice.chunk, len(choice.data), codec, stored, names)
