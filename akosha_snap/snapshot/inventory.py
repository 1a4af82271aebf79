"""Which chunks the store already has, and where: what a push need not upload again."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from akosha_snap.frames import HASH_SIZE, MAX_DEPTH, Footer
from akosha_snap.manifest import ChunkList
from akosha_snap.snapshot.damage import StoredPacks
from akosha_snap.snapshot.decoding import pack_ids

__all__ = ["Inventory", "PackRef"]

_ABSENT, _COMING = -1, -2
"""In place of a pack's number."""


class PackRef:
    """A pack that frames lie in. Its id (32 bytes) is empty until the pack is finished; size in bytes."""

    __slots__ = ("id", "size")

    def __init__(self, pack_id: bytes = b"", size: int = 0) -> None:
        self.id = pack_id
        self.size = size


class Inventory:
    """Every chunk a push meets or the store has, each by its number; columns, 25 bytes a chunk and its hash.

    `pack` holds numbers of `packs`, with offsets and sizes in bytes; those of a chunk mean something
    once it is stored. Every base of a stored chunk is stored too, and comes before it: in the same pack, or
    in one that is before its own in `order`, which has the numbers of all packs.
    """

    def __init__(self) -> None:
        self.packs: list[PackRef] = []
        self.order: list[int] = []
        self.hashes: list[bytes] = []
        self.raw_sizes = array("I")
        self._numbers: dict[bytes, int] = {}
        self.pack = array("i")
        self.offsets = array("I")
        self.stored_sizes = array("I")
        self.codecs = array("B")
        self._depth = array("B")
        self._bases: dict[int, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.hashes)

    def number(self, chunk: bytes, raw_size: int) -> int:
        """The number of a chunk, a new one where it was not known. What lies about its size in bytes is not stored."""
        i = self._numbers.setdefault(chunk, len(self.hashes))
        if i == len(self.hashes):
            self.hashes.append(chunk)
            self.raw_sizes.append(raw_size)
            self.pack.append(_ABSENT)
            self.offsets.append(0)
            self.stored_sizes.append(0)
            self.codecs.append(0)
            self._depth.append(0)
        elif self.raw_sizes[i] != raw_size:
            self.raw_sizes[i], self.pack[i] = raw_size, _ABSENT
        return i

    def close(self) -> None:
        """No chunk will be looked up by its hash any more: 90 bytes of memory a chunk are given back."""
        self._numbers = {}

    def is_stored(self, i: int) -> bool:
        """Whether the store has the chunk."""
        return self.pack[i] >= 0

    def expect(self, i: int) -> bool:
        """An absent chunk is about to be stored; False where that is known already, or it is stored."""
        if self.pack[i] != _ABSENT:
            return False
        self.pack[i] = _COMING
        return True

    def store(self, i: int, pack: int, offset: int, stored_size: int, codec: int, bases: Sequence[int]) -> None:
        """Record where a chunk's frame lies: number of its pack, offset and size in bytes, codec, its bases."""
        self.pack[i], self.offsets[i], self.stored_sizes[i] = pack, offset, stored_size
        self.codecs[i], self._depth[i] = codec, self.depth(bases)
        if bases:
            self._bases[i] = tuple(bases)
        else:
            self._bases.pop(i, None)

    def depth(self, bases: Sequence[int]) -> int:
        """How many frames are decoded one after another for a chunk with these bases, its own included."""
        return 1 + max((self._depth[base] for base in bases), default=0)

    def depth_of(self, i: int) -> int:
        """The same for a stored chunk."""
        return self._depth[i]

    def bases_of(self, i: int) -> tuple[int, ...]:
        """The bases of a stored chunk's frame, the most useful last."""
        return self._bases.get(i, ())

    def stored_number(self, chunk: bytes) -> int | None:
        """The number of a chunk that is stored, None of any other."""
        i = self._numbers.get(chunk)
        return i if i is not None and self.pack[i] >= 0 else None

    def new_pack(self, pack: PackRef) -> int:
        """Add a pack after all others; returns its number."""
        self.packs.append(pack)
        self.order.append(len(self.packs) - 1)
        return self.order[-1]

    def add_chunk_list(
        self, chunk_list: ChunkList, own_pack: PackRef, there: StoredPacks | None
    ) -> tuple[array[int], list[bytes]]:
        """Take over what a snapshot has; `there` is what the store really holds (None: all of it).

        `own_pack` is the pack that holds the list. Damaged frames, and those in packs that are
        missing or of another size, are left out, with all that need them: they count as absent and
        are uploaded again. So are those whose bases, which may lie elsewhere than in this list, would
        make a chain of more than MAX_DEPTH frames or not come before them. Returns the number of each
        frame's chunk, and the ids of those packs.
        """
        ids = pack_ids(chunk_list, own_pack.id)
        expected = [*chunk_list.pack_sizes[:-1], own_pack.size]
        lost = {i for i, pack in enumerate(ids) if there is not None and not there.has_pack(pack, expected[i])}
        refs = self._take_packs({i: PackRef(ids[i], expected[i]) for i in range(len(ids)) if i not in lost})
        rank = {pack: place for place, pack in enumerate(self.order)}
        numbers = array("I", bytes(array("I").itemsize * len(chunk_list)))
        hashes, raw_sizes = chunk_list.hashes, chunk_list.raw_sizes
        for i in chunk_list.in_order():
            numbers[i] = self.number(hashes[HASH_SIZE * i : HASH_SIZE * (i + 1)], raw_sizes[i])
            bases = [numbers[base] for base in chunk_list.bases[i]]
            pack = refs.get(chunk_list.pack[i])
            if pack is not None and there and there.is_damaged(self.packs[pack].id, self.hashes[numbers[i]]):
                lost.add(chunk_list.pack[i])
                continue
            if pack is None or self.is_stored(numbers[i]) or not all(map(self.is_stored, bases)):
                continue
            offset = chunk_list.offsets[i]
            is_after = all((rank[self.pack[base]], self.offsets[base]) < (rank[pack], offset) for base in bases)
            if is_after and self.depth(bases) <= MAX_DEPTH:
                self.store(numbers[i], pack, offset, chunk_list.stored_sizes[i], chunk_list.codecs[i], bases)
        return numbers, [ids[i] for i in sorted(lost)]

    def _take_packs(self, packs: dict[int, PackRef]) -> dict[int, int]:
        """The number of each of these packs, of which each may need those before it.

        New ones come into `order` just before the next that was known. An earlier list that needs some of these
        packs only may have them in another order: then there need be none for both.
        """
        known = {pack.id: number for number, pack in enumerate(self.packs)}
        numbers, place = {}, len(self.order)
        for i, pack in reversed(packs.items()):
            if pack.id in known:
                numbers[i] = known[pack.id]
                place = self.order.index(numbers[i])
            else:
                numbers[i] = len(self.packs)
                self.packs.append(pack)
                self.order.insert(place, numbers[i])
        return numbers

    def add_footer(self, pack_id: bytes, size: int, footer: Footer) -> None:
        """Take over an uploaded pack that no snapshot names yet: the work of an interrupted push."""
        pack = self.new_pack(PackRef(pack_id, size))
        lists = set(footer.lists)
        for place, entry in enumerate(footer.entries()):
            bases = [self.stored_number(base) for base in entry.bases]
            known = [base for base in bases if base is not None]
            if place in lists or self.stored_number(entry.hash) is not None or len(known) < len(bases):
                continue
            if self.depth(known) <= MAX_DEPTH:
                i = self.number(entry.hash, entry.raw_size)
                self.store(i, pack, entry.offset, entry.stored_size, entry.codec, known)
