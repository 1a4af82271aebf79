"""Choose, for a new chunk, the stored chunks to compress it against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from akosha_snap.chunking import features
from akosha_snap.frames import Codec, Frame, content_hash, encode
from akosha_snap.frames.similarity import SimilarityTable, hint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["WRITER_DEPTH", "AtHand", "Bases", "Choice", "compress"]

_MAX_BASES = 8
"""Bases of one frame. About 2 are used; more than 8 won nothing (design-notes.md)."""

WRITER_DEPTH = 32
"""Frames decoded one after another for one chunk, as written: restores stay quick, and over 64
sessions chains of 32 cost 15 to 20% more bytes than unbounded ones, chains of 8 twice as many."""


class AtHand(NamedTuple):
    """Where a chunk's raw bytes are on this machine: a file, offset and size in bytes."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """The bytes that are there now."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            return file.read(self.size)


class Choice(NamedTuple):
    """A new chunk, and the chunks to compress it against, the most useful last."""

    chunk: bytes
    data: bytes
    bases: tuple[tuple[bytes, AtHand], ...]


class Bases:
    """The chunks whose frames are stored, or about to be, and whose raw bytes are at hand."""

    def __init__(self) -> None:
        self._table = SimilarityTable()
        self._at_hand: dict[int, tuple[bytes, AtHand, int]] = {}

    def offer(self, chunk: bytes, where: AtHand, depth: int) -> None:
        """A chunk may serve as base: `depth` frames are decoded to get it."""
        if depth < WRITER_DEPTH:
            self._at_hand[hint(chunk)] = (chunk, where, depth)

    def learn(self) -> None:
        """Read what was offered, to know what each chunk is made of."""
        for chunk, where, _ in self._at_hand.values():
            self._table.add(features(where.read()), chunk)

    def choose(self, chunk: bytes, where: AtHand) -> Choice:
        """Read a new chunk, choose its bases, and let it serve as one for those that follow."""
        data = where.read()
        made_of = features(data)
        chosen = self._similar(made_of)
        self._table.add(made_of, chunk)
        self.offer(chunk, where, 1 + max((depth for _, _, depth in chosen), default=0))
        return Choice(chunk, data, tuple((base, place) for base, place, _ in reversed(chosen)))

    def _similar(self, made_of: NDArray[np.uint64]) -> list[tuple[bytes, AtHand, int]]:
        hints = (self._at_hand.get(found) for found in self._table.similar(made_of))
        return [known for known in hints if known][:_MAX_BASES]


def compress(choice: Choice) -> Frame:
    """The frame of a chosen chunk. A base whose bytes are no longer what they were is left out. Thread-safe."""
    bases = [(base, raw) for base, where in choice.bases if content_hash(raw := where.read()) == base]
    codec, stored = encode(choice.data, [raw for _, raw in bases])
    names = tuple(base for base, _ in bases) if codec == Codec.ZSTD else ()
    return Frame(choice.chunk, len(choice.data), codec, stored, names)
