"""Store what a push needs and the store does not have: chunks, then the list of all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from akosha_snap.errors import AkoshaSnapError, DamageError
from akosha_snap.frames import MAX_LIST_SIZE, MAX_POINTERS_SIZE, Codec, Frame, content_hash, encode
from akosha_snap.frames.similarity import SimilarityTable
from akosha_snap.manifest import FrameLocation, decode_chunk_list, encode_chunk_list
from akosha_snap.snapshot.ahead import ahead
from akosha_snap.snapshot.bases import Bases, compress
from akosha_snap.snapshot.chunk_listing import ChunkedFile, ListBase, make_chunk_list
from akosha_snap.snapshot.cutting import CutFile
from akosha_snap.snapshot.inventory import Inventory
from akosha_snap.snapshot.last_push import KnownFile
from akosha_snap.snapshot.packer import Packer

__all__ = ["StoredFiles", "StoredList", "store_chunk_list", "store_files"]

_COMPRESSORS = os.cpu_count() or 1
_AHEAD = 16
"""Chunks compressed before they are packed: at most 4 MiB, enough to keep every core at work."""

_LIST_DEPTH = 32
"""Chunk lists in a chain at most, each against the one before. A restore reads them all."""

_LIST_SHARE = 1.5
"""A chain ends when the lists after its first have cost this many times the first, which stands alone and
costs some 45 bytes a chunk. On a file of 100 MB that is after 8 or so: 2% more bytes than chains of 16
cost, for half of what a restore reads of lists. On one of 10 GB the first costs 7 MB, and lasts for 32."""


class StoredFiles(NamedTuple):
    """Files cut into chunks, how many of each the store did not have, and what to know them by next time."""

    files: list[ChunkedFile]
    new: list[int]
    known: dict[str, KnownFile]


def store_files(
    cut: Sequence[CutFile],
    bases: Bases,
    load_table: Callable[[Sequence[bytes], Sequence[int]], SimilarityTable | None],
    packer: Packer,
) -> StoredFiles:
    """Make a frame of each chunk that the store does not have, against similar ones, and pack it.

    All files were cut before the first chunk is compressed, so every chunk the store has can
    serve as base, wherever it lies.
    """
    if any(file.new for file in cut):
        bases.learn(load_table)
    choices = (bases.choose(i) for file in cut for i in file.new)
    for choice, (chosen, frame) in ahead(compress, choices, threads=_COMPRESSORS, limit=_AHEAD):
        packer.add(choice.number, chosen, frame)
    return StoredFiles(
        [file.file for file in cut], [len(file.new) for file in cut], {file.file.name: file.known for file in cut}
    )


class StoredList(NamedTuple):
    """A chunk list in the store: its raw bytes, and where it lies, after the lists it needs."""

    raw: bytes
    frames: list[FrameLocation]


def store_chunk_list(
    files: list[ChunkedFile], inventory: Inventory, packer: Packer, previous: ListBase | None
) -> StoredList:
    """Store the snapshot's chunk list as the last frame of its last pack, and finish all packs.

    It is compressed against the `previous` one. It names the pack it lies in as "this one", so
    where it does not fit the pack at hand it is made again for a pack of its own.
    """
    base = previous
    while True:
        raw = encode_chunk_list(make_chunk_list(files, inventory, packer.number))
        _check_readable(raw)
        if base and (_is_long(base.chain) or base.needs + len(raw) > MAX_POINTERS_SIZE):
            base = None
        codec, stored = encode(raw, [base.raw] if base else [])
        if packer.has_room(len(stored)):
            break
        packer.flush()
    chain = base.chain if base and codec == Codec.ZSTD else []
    name, ref = content_hash(raw), packer.ref
    frame = Frame(name, len(raw), codec, stored, tuple(bytes.fromhex(known.hash) for known in chain[-1:]))
    offset = packer.add_list(frame)
    packer.finish()
    location = FrameLocation(
        hash=name.hex(),
        pack=ref.id.hex(),
        pack_size=ref.size,
        offset=offset,
        stored_size=len(stored),
        raw_size=len(raw),
        codec=codec,
        bases=[len(chain) - 1] if chain else [],
    )
    return StoredList(raw, [*chain, location])


def _is_long(chain: list[FrameLocation]) -> bool:
    first, *others = (frame.stored_size for frame in chain)
    return len(chain) >= _LIST_DEPTH or sum(others) > _LIST_SHARE * first


def _check_readable(raw: bytes) -> None:
    """What a reader would refuse is never committed. Raises AkoshaSnapError."""
    if len(raw) > MAX_LIST_SIZE:
        raise AkoshaSnapError(
            f"the chunk list of this snapshot has {len(raw)} bytes, more than the {MAX_LIST_SIZE} a reader accepts",
            hint="push some of the files as a different system",
        )
    try:
        decode_chunk_list(raw, "the chunk list of this snapshot")
    except DamageError as error:
        raise AkoshaSnapError(
            f"the snapshot could not be read back, so it was not made: {error.message}",
            hint="run `akosha-snap verify all --level index`: an earlier snapshot may be damaged",
        ) from None
