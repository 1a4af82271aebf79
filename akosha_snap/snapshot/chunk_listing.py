"""Make the chunk list of a new snapshot from the chunks of its files."""

from __future__ import annotations

from array import array
from typing import Literal, NamedTuple

from akosha_snap.manifest import ChunkList, FrameLocation, ListedFile
from akosha_snap.manifest.store_format import FORMAT
from akosha_snap.snapshot.inventory import Inventory

__all__ = ["ChunkedFile", "ListBase", "make_chunk_list"]


class ListBase(NamedTuple):
    """A chunk list to compress the next one against: its raw bytes, and where it lies, after the lists it needs."""

    raw: bytes
    chain: list[FrameLocation]

    @property
    def needs(self) -> int:
        """Raw bytes of all lists of the chain."""
        return sum(frame.raw_size for frame in self.chain)


class ChunkedFile(NamedTuple):
    """A file cut into chunks: name, kind, size in bytes, BLAKE3, SHA-256 (hex), its chunks' numbers in order."""

    name: str
    kind: Literal["duckdb", "wal", "plain"]
    size: int
    blake3: bytes
    sha256: str
    chunks: array[int]


def make_chunk_list(files: list[ChunkedFile], inventory: Inventory, last: int | None) -> ChunkList:
    """List every frame the files need, bases included.

    `last` is the number of the unfinished pack this list will lie in; None where that has no chunk yet.
    """
    order, place = _order(files, inventory)
    used = {inventory.pack[i] for i in order}
    packs = [pack for pack in inventory.order if pack in used and pack != last]
    number = {pack: i for i, pack in enumerate(packs)} | {last: len(packs)}
    return ChunkList(
        format=FORMAT,
        packs=[inventory.packs[pack].id for pack in packs] + [b""],
        pack_sizes=[inventory.packs[pack].size for pack in packs] + [0],
        hashes=b"".join(inventory.hashes[i] for i in order),
        raw_sizes=array("I", (inventory.raw_sizes[i] for i in order)),
        pack=array("I", (number[inventory.pack[i]] for i in order)),
        offsets=array("I", (inventory.offsets[i] for i in order)),
        stored_sizes=array("I", (inventory.stored_sizes[i] for i in order)),
        codecs=array("B", (inventory.codecs[i] for i in order)),
        bases=[tuple(place[base] for base in inventory.bases_of(i)) for i in order],
        files=[ListedFile(f.name, f.size, f.blake3, array("I", (place[i] for i in f.chunks))) for f in files],
    )


def _order(files: list[ChunkedFile], inventory: Inventory) -> tuple[array[int], array[int]]:
    """The chunks to list, in the order of the files and bases last; and the place there of each chunk."""
    order, place = array("I"), array("i", [-1]) * len(inventory)

    def take(i: int) -> None:
        if place[i] < 0:
            place[i] = len(order)
            order.append(i)

    for file in files:
        for i in file.chunks:
            take(i)
    todo = list(order)
    while todo:
        for base in inventory.bases_of(todo.pop()):
            if place[base] < 0:
                take(base)
                todo.append(base)
    return order, place
