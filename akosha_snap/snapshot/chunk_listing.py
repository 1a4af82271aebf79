"""Make the chunk list of a new snapshot from the chunks of its files."""

from __future__ import annotations

from typing import NamedTuple

from akosha_snap.manifest import ChunkList, FrameLocation, ListedFile
from akosha_snap.manifest.store_format import FORMAT
from akosha_snap.snapshot.inventory import Inventory, PackRef, PlacedFrame

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
    """A file cut into chunks: its name, size in bytes, BLAKE3, SHA-256 (hex), and its chunk hashes in order."""

    name: str
    size: int
    blake3: bytes
    sha256: str
    chunks: list[bytes]


def make_chunk_list(files: list[ChunkedFile], inventory: Inventory, last: PackRef) -> ChunkList:
    """List every frame the files need, bases included; `last` is the unfinished pack this list will lie in."""
    order: dict[bytes, int] = {}
    for file in files:
        for chunk in file.chunks:
            order.setdefault(chunk, len(order))
    todo = list(order)
    while todo:
        for base in inventory.frames[todo.pop()].bases:
            if base not in order:
                order[base] = len(order)
                todo.append(base)
    frames: list[PlacedFrame] = [inventory.frames[chunk] for chunk in order]
    used = {id(frame.pack) for frame in frames}
    packs = [pack for pack in inventory.packs if id(pack) in used and pack is not last] + [last]
    number = {id(pack): i for i, pack in enumerate(packs)}
    return ChunkList(
        format=FORMAT,
        packs=[pack.id for pack in packs[:-1]] + [b""],
        pack_sizes=[pack.size for pack in packs[:-1]] + [0],
        hashes=b"".join(order),
        raw_sizes=[frame.raw_size for frame in frames],
        pack=[number[id(frame.pack)] for frame in frames],
        offsets=[frame.offset for frame in frames],
        stored_sizes=[frame.stored_size for frame in frames],
        codecs=[int(frame.codec) for frame in frames],
        bases=[[order[base] for base in frame.bases] for frame in frames],
        files=[ListedFile(f.name, f.size, f.blake3, [order[chunk] for chunk in f.chunks]) for f in files],
    )
