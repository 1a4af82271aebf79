"""Decode a snapshot's frames, each once, its bases before it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from akosha_snap.errors import DamageError
from akosha_snap.frames import decode_chunk
from akosha_snap.manifest import ChunkList
from akosha_snap.snapshot.fetch import Span, fetch
from akosha_snap.snapshot.pack_reader import PackReader
from akosha_snap.snapshot.system import System

__all__ = ["decode_frames", "pack_ids", "with_bases"]

_DECODERS = os.cpu_count() or 1
_AHEAD = 16
"""Chunks decoded before they are wanted: at most 4 MiB, enough to keep every core at work."""


def pack_ids(chunk_list: ChunkList, own_pack: bytes) -> list[bytes]:
    """The list's packs with the id of the pack that holds it (`own_pack`) in its place."""
    return [pack or own_pack for pack in chunk_list.packs]


def with_bases(chunk_list: ChunkList, wanted: Iterable[int]) -> list[int]:
    """The wanted frames and all they need, in the order that decodes each after its bases."""
    needed = set(wanted)
    todo = list(needed)
    while todo:
        for base in chunk_list.bases[todo.pop()]:
            if base not in needed:
                needed.add(base)
                todo.append(base)
    return sorted(needed, key=chunk_list.place)


def decode_frames(
    system: System,
    chunk_list: ChunkList,
    packs: list[bytes],
    frames: list[int],
    chunk_of: Callable[[int], bytes],
) -> Iterator[tuple[int, bytes | DamageError]]:
    """Each of `frames` (from `with_bases`) with its chunk, hash checked, or with what is wrong with it.

    `chunk_of` returns a chunk that was yielded before: the caller keeps them wherever
    it likes, so that this needs no memory for bases. It may raise DamageError.

    Frames without bases, most of the bytes of any snapshot, are decoded on every core ahead of time.
    """
    spans = (Span(packs[chunk_list.pack[i]], chunk_list.offsets[i], chunk_list.stored_sizes[i]) for i in frames)

    def decode(i: int, stored: memoryview | DamageError) -> bytes | DamageError:
        if isinstance(stored, DamageError):
            return stored
        return _decode(system.packs, chunk_list, i, packs[chunk_list.pack[i]], stored, chunk_of)

    pool = ThreadPoolExecutor(_DECODERS)
    waiting: deque[tuple[int, Callable[[], bytes | DamageError]]] = deque()
    try:
        for i, stored in zip(frames, fetch(system, spans), strict=True):
            wait = partial(decode, i, stored) if chunk_list.bases[i] else pool.submit(decode, i, stored).result
            waiting.append((i, wait))
            if len(waiting) > _AHEAD:
                first, chunk = waiting.popleft()
                yield first, chunk()
        for first, chunk in waiting:
            yield first, chunk()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C does not wait for what is under way


def _decode(
    reader: PackReader,
    chunk_list: ChunkList,
    i: int,
    pack: bytes,
    stored: memoryview,
    chunk_of: Callable[[int], bytes],
) -> bytes | DamageError:
    try:
        bases = [chunk_of(base) for base in chunk_list.bases[i]]  # once: it may be the last time that one is kept

        def decode(stored: bytes | memoryview) -> bytes:
            return decode_chunk(chunk_list.hash(i), chunk_list.codecs[i], stored, chunk_list.raw_sizes[i], bases)

        return reader.decoded(pack, chunk_list.offsets[i], stored, decode)
    except DamageError as error:
        where = f"chunk {chunk_list.hash(i).hex()} at byte {chunk_list.offsets[i]} of pack {reader.key(pack)}"
        return DamageError(f"{where} is damaged: {error.message}")
