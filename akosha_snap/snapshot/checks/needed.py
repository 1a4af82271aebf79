"""The frames that snapshots need, many at once: a verification holds all of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["Location", "NeededFrame", "PackFrames"]

Location = tuple[bytes, int]
"""A frame's place: pack id and offset in bytes. Unlike a chunk hash it is unique where two packs hold one chunk."""


class NeededFrame(NamedTuple):
    """A frame that some snapshot needs, as that snapshot's chunk list describes it. Sizes in bytes."""

    hash: bytes
    stored_size: int
    raw_size: int
    codec: int
    bases: tuple[Location, ...]


_FRAME, _BASE = struct.Struct("<32sIIB"), struct.Struct("<32sI")


class PackFrames(Mapping[int, NeededFrame]):
    """The needed frames of one pack, by offset in bytes; packed, a third of the memory that the tuples take."""

    def __init__(self) -> None:
        self._packed: dict[int, bytes] = {}

    def __getitem__(self, offset: int) -> NeededFrame:
        packed = self._packed[offset]
        bases = tuple(_BASE.iter_unpack(memoryview(packed)[_FRAME.size :]))
        digest, stored_size, raw_size, codec = _FRAME.unpack_from(packed)
        return NeededFrame(digest, stored_size, raw_size, codec, bases)

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def add(self, offset: int, frame: NeededFrame) -> bool:
        """Remember a frame; False where another is known at this place."""
        packed = _FRAME.pack(*frame[:-1]) + b"".join(_BASE.pack(*base) for base in frame.bases)
        return self._packed.setdefault(offset, packed) == packed
