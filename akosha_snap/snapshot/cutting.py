"""Cut staged files into chunks, hash them, and find those the store does not have."""

from __future__ import annotations

import contextlib
import hashlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from akosha_snap.chunking import V1, Grid, chunks, cut, make_cutter
from akosha_snap.events import Observer
from akosha_snap.frames import HASH_SIZE, content_hash
from akosha_snap.snapshot.bases import Bases
from akosha_snap.snapshot.chunk_listing import ChunkedFile
from akosha_snap.snapshot.inventory import Inventory
from akosha_snap.snapshot.last_push import KnownFile, LastPush
from akosha_snap.snapshot.parent import Parent
from akosha_snap.snapshot.sections import KnownSections
from akosha_snap.snapshot.staging import StagedFiles, copy_changed
from akosha_snap.source import Hashes, StagedFile

__all__ = ["CutFile", "cut_files"]


class CutFile(NamedTuple):
    """A file cut into chunks, those that neither the store nor an earlier file has (numbers, in their
    order in the file), and what to know its sections by next time."""

    file: ChunkedFile
    new: array[int]
    known: KnownFile


def cut_files(
    staged: StagedFiles, last: LastPush | None, parent: Parent, mirror: Path | None, bases: Bases, observer: Observer
) -> list[CutFile]:
    """Cut every file of a push, in the order in which they were named.

    `last` is the last push where that is the parent: its unchanged files are taken over, its
    unchanged sections need not be cut, and its copies in the `mirror` may serve as bases.
    """
    observer.phase("store", total=sum(file.size for file in staged.files))
    known = dict(_known_sections(last, parent)) if last else {}
    if last and mirror:
        for name, chunks in parent.files.items():
            if (mirror / name).is_file():  # a pipe would be waited for
                bases.offer(chunks, mirror / name)
    copies = {file.name: file for file in staged.files}
    cut = []
    for name in (name for one in staged.sources for name in one.files):
        if name in copies:
            cut.append(_cut_file(copies[name], parent.inventory, bases, known.get(name), observer))
        elif last:
            cut.append(CutFile(_taken_over(name, parent), array("I"), last.files[name]))
    return cut


def _known_sections(last: LastPush, parent: Parent) -> Iterator[tuple[str, KnownSections]]:
    sizes = {file.name: file.size for file in parent.manifest.snapshot.files} if parent.manifest else {}
    for name, file in last.files.items():
        if file.block_size and name in sizes:
            grid = Grid(file.block_size)
            with contextlib.suppress(ValueError):  # it does not fit: the file is cut anew
                yield (
                    name,
                    KnownSections(file.digests, grid, sizes[name], parent.files[name], parent.inventory.raw_sizes),
                )


def _taken_over(name: str, parent: Parent) -> ChunkedFile:
    files = parent.manifest.snapshot.files if parent.manifest else []
    entry = next(file for file in files if file.name == name)
    hashes = bytes.fromhex(entry.blake3), entry.full_file.sha256
    return ChunkedFile(name, entry.kind, entry.size, *hashes, parent.files[name])


def _cut_file(
    staged: StagedFile, inventory: Inventory, bases: Bases, known: KnownSections | None, observer: Observer
) -> CutFile:
    """Cut what is not among the `known` sections. Chunks that the store has are offered to `bases`."""
    numbers, new = array("I"), array("I")
    path = Path(staged.path)
    b3, sha256 = blake3(), hashlib.sha256()
    with path.open("rb", buffering=0) as source:
        if staged.hashes:
            runs = _sections(source, staged, staged.hashes.sections, inventory, known)
        else:
            runs = _stream(source, staged, inventory, b3, sha256)
        for run in runs:
            bases.offer(run.chunks, path, run.offset)
            new.extend(i for i in run.chunks if inventory.expect(i))
            numbers.extend(run.chunks)
            observer.advance(run.size)
    hashes = staged.hashes or Hashes(b3.digest(), sha256.hexdigest(), b"")
    file = ChunkedFile(staged.name, staged.kind, staged.size, hashes.blake3, hashes.sha256, numbers)
    return CutFile(file, new, KnownFile(staged.block_size, hashes.sections))


class _Run(NamedTuple):
    """Bytes of a file: their offset in it, how many, and the chunks they consist of."""

    offset: int
    size: int
    chunks: array[int]


def _stream(
    source: BinaryIO, staged: StagedFile, inventory: Inventory, b3: blake3, sha256: hashlib._Hash
) -> Iterator[_Run]:
    """A file without a grid, read and hashed whole."""
    for chunk in chunks(source, staged.size):
        b3.update(chunk.data)
        sha256.update(chunk.data)
        number = inventory.number(content_hash(chunk.data), len(chunk.data))
        yield _Run(chunk.offset, len(chunk.data), array("I", [number]))


def _sections(
    source: BinaryIO, staged: StagedFile, digests: bytes, inventory: Inventory, known: KnownSections | None
) -> Iterator[_Run]:
    """A DuckDB file, of which only the sections are read that are not `known` by their `digests`."""
    cutter = make_cutter(V1)
    for place, (offset, size) in enumerate(Grid(staged.block_size).sections(staged.size)):
        digest = digests[HASH_SIZE * place : HASH_SIZE * (place + 1)]
        found = known.chunks(place, digest) if known else None
        if found is None:
            source.seek(offset)
            data = source.read(size)
            if content_hash(data) != digest:
                raise copy_changed()
            pieces = cut(cutter, data, offset)
            found = array("I", [inventory.number(content_hash(piece.data), len(piece.data)) for piece in pieces])
        yield _Run(offset, size, found)
