"""Cut staged files into chunks, hash them, and find those the store does not have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from akosha_snap.chunking import Grid, chunks
from akosha_snap.events import Observer
from akosha_snap.frames import content_hash
from akosha_snap.snapshot.bases import AtHand, Bases
from akosha_snap.snapshot.chunk_listing import ChunkedFile
from akosha_snap.snapshot.inventory import Inventory
from akosha_snap.source import StagedFile

__all__ = ["CutFile", "cut_file"]


class CutFile(NamedTuple):
    """A file cut into chunks, and where those lie that neither the store nor an earlier file has."""

    file: ChunkedFile
    new: dict[bytes, AtHand]


def cut_file(staged: StagedFile, inventory: Inventory, coming: set[bytes], bases: Bases, observer: Observer) -> CutFile:
    """Read a staged file once. `coming` are chunks of earlier files that will be stored; grows by this file's.

    Chunks that the store has are offered to `bases`.
    """
    b3, sha256 = blake3(), hashlib.sha256()
    names: list[bytes] = []
    new: dict[bytes, AtHand] = {}
    path = Path(staged.path)
    for chunk, data, offset in _chunks(path, staged):
        b3.update(data)
        sha256.update(data)
        names.append(chunk)
        where = AtHand(path, offset, len(data))
        if inventory.has(chunk, len(data)):
            bases.offer(chunk, where, inventory.frames[chunk].depth)
        elif chunk not in coming:
            coming.add(chunk)
            new[chunk] = where
        observer.advance(len(data))
    return CutFile(ChunkedFile(staged.name, staged.size, b3.digest(), sha256.hexdigest(), names), new)


def _chunks(path: Path, staged: StagedFile) -> Iterator[tuple[bytes, memoryview, int]]:
    grid = Grid(staged.block_size) if staged.block_size else None
    with path.open("rb", buffering=0) as source:
        for chunk in chunks(source, staged.size, grid):
            yield content_hash(chunk.data), chunk.data, chunk.offset
