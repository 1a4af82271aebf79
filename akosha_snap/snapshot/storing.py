"""Cut staged files into chunks and store those that the store does not have."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from akosha_snap.chunking import Grid, Readable, chunks
from akosha_snap.events import Observer
from akosha_snap.frames import Frame, content_hash, encode
from akosha_snap.manifest import FrameLocation, encode_chunk_list
from akosha_snap.snapshot.ahead import ahead
from akosha_snap.snapshot.inventory import Inventory
from akosha_snap.snapshot.listing import ChunkedFile, make_chunk_list
from akosha_snap.snapshot.packer import Packer
from akosha_snap.source import StagedFile

__all__ = ["StoredFiles", "store_chunk_list", "store_files"]


_ENCODERS = os.cpu_count() or 1
_ENCODED_AHEAD = 16
"""Chunks compressed before they are packed: at most 4 MiB, enough to keep every core at work."""


class StoredFiles(NamedTuple):
    """Files cut into chunks, and for each how many of them the store did not have."""

    files: list[ChunkedFile]
    new: list[int]


def store_files(staged: Sequence[StagedFile], inventory: Inventory, packer: Packer, observer: Observer) -> StoredFiles:
    """Chunk every staged file; a chunk not in the inventory becomes a frame."""
    files, new = [], []
    observer.phase("store", total=sum(file.size for file in staged))
    for file in staged:
        before = len(inventory.frames)
        files.append(_store_file(file, inventory, packer, observer))
        new.append(len(inventory.frames) - before)
    return StoredFiles(files, new)


def _store_file(staged: StagedFile, inventory: Inventory, packer: Packer, observer: Observer) -> ChunkedFile:
    grid = Grid(staged.block_size) if staged.block_size else None
    b3, sha256 = blake3(), hashlib.sha256()
    names: list[bytes] = []

    def absent(source: Readable) -> Iterator[tuple[bytes, memoryview]]:
        """The chunks that must be stored, each once. Runs in this thread, a little ahead of the packing."""
        coming: set[bytes] = set()
        for chunk in chunks(source, staged.size, grid):
            name = content_hash(chunk.data)
            b3.update(chunk.data)
            sha256.update(chunk.data)
            names.append(name)
            observer.advance(len(chunk.data))
            if name not in inventory and name not in coming:
                coming.add(name)
                yield name, chunk.data

    with Path(staged.path).open("rb", buffering=0) as source:
        frames = ahead(lambda item: encode(item[1]), absent(source), threads=_ENCODERS, limit=_ENCODED_AHEAD)
        for (name, data), (codec, stored) in frames:
            packer.add(Frame(name, len(data), codec, stored))
    return ChunkedFile(staged.name, staged.size, b3.digest(), sha256.hexdigest(), names)


def store_chunk_list(files: list[ChunkedFile], inventory: Inventory, packer: Packer) -> list[FrameLocation]:
    """Store the snapshot's chunk list as the last frame of its last pack, and finish all packs.

    The list names the pack it lies in as "this one", so where it does not fit the
    pack at hand it is made again for a pack of its own.
    """
    while True:
        raw = encode_chunk_list(make_chunk_list(files, inventory, packer.ref))
        codec, stored = encode(raw)
        if packer.has_room(len(stored)):
            break
        packer.flush()
    ref = packer.ref
    frame = Frame(content_hash(raw), len(raw), codec, stored)
    placed = packer.add(frame, is_list=True)
    packer.finish()
    return [
        FrameLocation(
            hash=frame.hash.hex(),
            pack=ref.id.hex(),
            pack_size=ref.size,
            offset=placed.offset,
            stored_size=placed.stored_size,
            raw_size=placed.raw_size,
            codec=placed.codec,
        )
    ]
