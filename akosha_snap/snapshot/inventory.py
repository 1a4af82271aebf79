"""Which chunks the store already has, and where: what a push need not upload again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from akosha_snap.frames import MAX_DEPTH, Footer
from akosha_snap.manifest import ChunkList
from akosha_snap.snapshot.decoding import pack_ids

__all__ = ["Inventory", "PackRef", "PlacedFrame"]


class PackRef:
    """A pack that frames lie in. Its id (32 bytes) is empty until the pack is finished; size in bytes."""

    __slots__ = ("id", "size")

    def __init__(self, pack_id: bytes = b"", size: int = 0) -> None:
        self.id = pack_id
        self.size = size


class PlacedFrame(NamedTuple):
    """A stored chunk: its pack, offset and sizes in bytes, codec, and the hashes of its bases.

    `depth` frames are decoded one after another to get it, itself included.
    """

    pack: PackRef
    offset: int
    stored_size: int
    raw_size: int
    codec: int
    bases: tuple[bytes, ...]
    depth: int


class Inventory:
    """Chunk hash -> where its frame lies. Every base of a frame in it is in it too.

    `packs` keeps them in an order in which bases come before what needs them.
    """

    def __init__(self) -> None:
        self.frames: dict[bytes, PlacedFrame] = {}
        self.packs: list[PackRef] = []

    def has(self, chunk: bytes, raw_size: int) -> bool:
        """Whether the store has a chunk of this hash and size in bytes. One that lies about its size is none."""
        return chunk in self.frames and self.frames[chunk].raw_size == raw_size

    def add(self, chunk: bytes, frame: PlacedFrame) -> None:
        """Record a frame whose pack is already in `packs`."""
        self.frames[chunk] = frame

    def depth(self, bases: tuple[bytes, ...]) -> int:
        """How deep a frame with these bases is."""
        return 1 + max((self.frames[base].depth for base in bases), default=0)

    def new_pack(self, pack_id: bytes = b"", size: int = 0) -> PackRef:
        """Add a pack after all others."""
        self.packs.append(PackRef(pack_id, size))
        return self.packs[-1]

    def add_chunk_list(self, chunk_list: ChunkList, own_pack: PackRef, sizes: dict[bytes, int]) -> list[bytes]:
        """Take over what a snapshot has; `sizes` are the packs the store really holds, by id.

        `own_pack` is the pack that holds the list. Frames in packs that are missing or of
        another size are left out, with all that need them: they count as absent and are
        uploaded again. Returns those packs' ids.
        """
        ids = pack_ids(chunk_list, own_pack.id)
        expected = [*chunk_list.pack_sizes[:-1], own_pack.size]
        refs: dict[int, PackRef] = {}
        lost: set[int] = set()
        for i in sorted(range(len(chunk_list)), key=chunk_list.place):
            number = chunk_list.pack[i]
            if number not in refs and number not in lost:
                if sizes.get(ids[number]) == expected[number]:
                    refs[number] = self.new_pack(ids[number], expected[number])
                else:
                    lost.add(number)
            bases = tuple(chunk_list.hash(base) for base in chunk_list.bases[i])
            if number in refs and self._has_all(bases):
                self.add(
                    chunk_list.hash(i),
                    PlacedFrame(
                        refs[number],
                        chunk_list.offsets[i],
                        chunk_list.stored_sizes[i],
                        chunk_list.raw_sizes[i],
                        chunk_list.codecs[i],
                        bases,
                        self.depth(bases),
                    ),
                )
        return [ids[number] for number in sorted(lost)]

    def add_footer(self, pack_id: bytes, size: int, footer: Footer) -> None:
        """Take over an uploaded pack that no snapshot names yet: the work of an interrupted push."""
        ref = self.new_pack(pack_id, size)
        lists = set(footer.lists)
        for number, entry in enumerate(footer.entries()):
            if number in lists or entry.hash in self.frames or not self._has_all(entry.bases):
                continue
            if self.depth(entry.bases) <= MAX_DEPTH:
                self.add(
                    entry.hash,
                    PlacedFrame(
                        ref,
                        entry.offset,
                        entry.stored_size,
                        entry.raw_size,
                        entry.codec,
                        entry.bases,
                        self.depth(entry.bases),
                    ),
                )

    def _has_all(self, chunks: Iterable[bytes]) -> bool:
        return all(chunk in self.frames for chunk in chunks)
