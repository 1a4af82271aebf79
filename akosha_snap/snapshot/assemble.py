"""Write a snapshot's files from its frames, in bounded memory."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from akosha_snap.errors import DamageError
from akosha_snap.events import Observer
from akosha_snap.manifest import ChunkList, ListedFile
from akosha_snap.snapshot.chains import links
from akosha_snap.snapshot.decoding import decode_frames, with_bases
from akosha_snap.snapshot.kept_chunks import KeptChunks
from akosha_snap.snapshot.system import System

__all__ = ["assemble"]

_READ = 1024 * 1024
_FINISHERS = 4


def assemble(
    system: System,
    chunk_list: ChunkList,
    packs: list[bytes],
    outputs: Mapping[int, BinaryIO],
    scratch: Path,
    observer: Observer,
) -> None:
    """Fill `outputs` (index in `chunk_list.files` -> empty file open for reading and writing), durably.

    A chunk that others need as base is kept in memory for a while, and then read back from the
    output it was written to; one that is in no output goes to a temporary file in the folder
    `scratch`. So memory does not grow with the files. Raises DamageError where a frame or a
    whole file's BLAKE3 is wrong; the outputs are then not to be used.
    """
    with tempfile.TemporaryFile(dir=scratch) as spill:
        targets = _Targets(chunk_list, outputs)
        frames = with_bases(chunk_list, targets.frames())
        targets.kept = KeptChunks(frames, chunk_list.bases, spill)
        is_link = links(chunk_list, frames, targets.has)
        for i, chunk in decode_frames(system, chunk_list, packs, frames, is_link, targets.read):
            if isinstance(chunk, DamageError):
                raise chunk
            observer.advance(targets.write(i, chunk))
    _finish([(chunk_list.files[number], output) for number, output in outputs.items()])


class _Targets:
    """Where each frame's chunk goes: (file, position in bytes), in 16 bytes a frame.

    `_file` holds one more than an index in `_files`; 0 is for chunks that are only bases. `kept` has
    those that are needed again.
    """

    kept: KeptChunks

    def __init__(self, chunk_list: ChunkList, outputs: Mapping[int, BinaryIO]) -> None:
        self._sizes = chunk_list.raw_sizes
        self._files = list(outputs.values())
        self._file = array("q", bytes(8 * len(chunk_list)))
        self._position = array("q", bytes(8 * len(chunk_list)))
        self._again: defaultdict[int, list[tuple[BinaryIO, int]]] = defaultdict(list)
        for index, number in enumerate(outputs, start=1):
            position = 0
            for i in chunk_list.files[number].frames:
                if self._file[i]:
                    self._again[i].append((self._files[index - 1], position))
                else:
                    self._file[i], self._position[i] = index, position
                position += self._sizes[i]

    def frames(self) -> Iterator[int]:
        """The frames that the outputs consist of."""
        return (i for i, index in enumerate(self._file) if index)

    def has(self, i: int) -> bool:
        """Whether a frame's chunk is part of an output."""
        return bool(self._file[i])

    def write(self, i: int, chunk: bytes) -> int:
        """Put a chunk wherever it goes; returns the bytes of outputs that are done by that."""
        self.kept.put(i, chunk, is_elsewhere=bool(self._file[i]))
        if not self._file[i]:
            return 0
        places = [(self._files[self._file[i] - 1], self._position[i]), *self._again.get(i, [])]
        for file, position in places:
            file.seek(position)
            file.write(chunk)
        return len(chunk) * len(places)

    def read(self, i: int) -> bytes:
        """A chunk that was written, for one that needs it."""
        kept = self.kept.take(i, self._sizes[i])
        if kept is not None:
            return kept
        file = self._files[self._file[i] - 1]
        file.seek(self._position[i])
        return file.read(self._sizes[i])


def _finish(outputs: list[tuple[ListedFile, BinaryIO]]) -> None:
    """Make the files durable and compare their BLAKE3; the disk writes while the processor hashes."""
    pool = ThreadPoolExecutor(_FINISHERS)
    try:
        for _, output in outputs:
            output.flush()
        durable = [pool.submit(os.fsync, output.fileno()) for _, output in outputs]
        hashed = [pool.submit(_check_whole, file, output) for file, output in outputs]
        for step in (*hashed, *durable):
            step.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C does not wait for what is under way


def _check_whole(file: ListedFile, output: BinaryIO) -> None:
    output.seek(0)
    hasher, buffer = blake3(), memoryview(bytearray(_READ))
    while size := output.readinto(buffer):  # type: ignore[attr-defined] # every file has it, BinaryIO does not say so
        hasher.update(buffer[:size])
    if hasher.digest() != file.blake3:
        raise DamageError(f"{file.name} does not have the BLAKE3 its manifest names")
