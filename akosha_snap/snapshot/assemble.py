"""Write a snapshot's files from its frames, in bounded memory."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from akosha_snap.errors import DamageError
from akosha_snap.events import Observer
from akosha_snap.manifest import ChunkList
from akosha_snap.snapshot.decoding import decode_frames, with_bases
from akosha_snap.snapshot.system import System

__all__ = ["assemble"]

_READ = 1024 * 1024


def assemble(
    system: System,
    chunk_list: ChunkList,
    packs: list[bytes],
    outputs: Mapping[int, BinaryIO],
    scratch: Path,
    observer: Observer,
) -> None:
    """Fill `outputs` (index in `chunk_list.files` -> empty file open for reading and writing).

    A chunk that others need as base is read back from the output it was written to;
    one that is in no output goes to a temporary file in the folder `scratch`. So
    memory does not grow with the files. Raises DamageError where a frame or a whole
    file's BLAKE3 is wrong; the outputs are then not to be used.
    """
    places: defaultdict[int, list[tuple[BinaryIO, int]]] = defaultdict(list)
    for number, output in outputs.items():
        position = 0
        for i in chunk_list.files[number].frames:
            places[i].append((output, position))
            position += chunk_list.raw_sizes[i]

    def chunk_of(i: int) -> bytes:
        file, position = places[i][0]
        file.seek(position)
        return file.read(chunk_list.raw_sizes[i])

    frames = with_bases(chunk_list, list(places))
    with tempfile.TemporaryFile(dir=scratch) as spill:
        spilled = 0
        for i, chunk in decode_frames(system, chunk_list, packs, frames, chunk_of):
            if isinstance(chunk, DamageError):
                raise chunk
            observer.advance(len(chunk) * len(places[i]))
            if not places[i]:
                places[i].append((spill, spilled))
                spilled += len(chunk)
            for file, position in places[i]:
                file.seek(position)
                file.write(chunk)
    for number, output in outputs.items():
        _check_whole(output, chunk_list.files[number].blake3, chunk_list.files[number].name)


def _check_whole(output: BinaryIO, expected: bytes, name: str) -> None:
    output.flush()
    output.seek(0)
    hasher = blake3()
    while data := output.read(_READ):
        hasher.update(data)
    if hasher.digest() != expected:
        raise DamageError(f"{name} does not have the BLAKE3 its manifest names")
