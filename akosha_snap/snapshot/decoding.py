"""Decode a snapshot's frames, each once, its bases before it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from akosha_snap.errors import DamageError
from akosha_snap.frames import StoredFrame, content_hash, decode_chain, decode_chunk
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
    todo = list(wanted)
    needed = bytearray(len(chunk_list))
    while todo:
        i = todo.pop()
        if not needed[i]:
            needed[i] = 1
            todo += chunk_list.bases[i]
    return [i for i in chunk_list.in_order() if needed[i]]


class _Chain:
    """Frames that are decoded in one go, and their stored bytes; or what is wrong with one of them."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.stored: list[bytes | memoryview] = []
        self.damage: DamageError | None = None

    def add(self, i: int, stored: bytes | memoryview | DamageError) -> None:
        self.frames.append(i)
        if isinstance(stored, DamageError):
            self.damage = self.damage or stored
        else:
            self.stored.append(stored)


def decode_frames(
    system: System,
    chunk_list: ChunkList,
    packs: list[bytes],
    frames: list[int],
    is_link: Sequence[int],
    chunk_of: Callable[[int], bytes],
) -> Iterator[tuple[int, bytes | DamageError]]:
    """Those of `frames` (from `with_bases`) that are no link (from `links`) with their chunk, hash checked, or with
    what is wrong with it.

    `chunk_of` returns a chunk that was yielded before: the caller keeps them wherever it likes, so that this
    needs no memory for bases.

    Decoding runs on every core, ahead of time as far as it does not wait for bases.
    """
    spans = (Span(packs[chunk_list.pack[i]], chunk_list.offsets[i], chunk_list.stored_sizes[i]) for i in frames)
    unfinished: dict[int, _Chain] = {}
    pool = ThreadPoolExecutor(_DECODERS)
    waiting: dict[int, Future[bytes | DamageError]] = {}

    def first() -> tuple[int, bytes | DamageError]:
        i = next(iter(waiting))
        return i, waiting.pop(i).result()

    try:
        for i, stored in zip(frames, fetch(system, spans), strict=True):
            bases = chunk_list.bases[i]
            chain = unfinished.pop(bases[0]) if bases and is_link[bases[0]] else _Chain()
            if is_link[i]:
                chain.add(i, stored if isinstance(stored, DamageError) else bytes(stored))  # the rest of its read goes
                unfinished[i] = chain
                continue
            chain.add(i, stored)
            bases = chunk_list.bases[chain.frames[0]]
            while any(base in waiting for base in bases):
                yield first()
            waiting[i] = pool.submit(_decode, system.packs, chunk_list, packs, chain, list(map(chunk_of, bases)))
            if len(waiting) > _AHEAD:
                yield first()
        while waiting:
            yield first()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C does not wait for what is under way


def _decode(
    reader: PackReader, chunk_list: ChunkList, packs: list[bytes], chain: _Chain, bases: list[bytes]
) -> bytes | DamageError:
    """The chunk of a chain's last frame. Where that does not come out, each on its own, to say which one is damaged."""
    if chain.damage:
        return chain.damage
    if len(chain.frames) > 1:
        stored = [
            StoredFrame(chunk_list.codecs[i], data, chunk_list.raw_sizes[i])
            for i, data in zip(chain.frames, chain.stored, strict=True)
        ]
        with contextlib.suppress(DamageError):
            chunk = decode_chain(stored, bases)
            if content_hash(chunk) == chunk_list.hash(chain.frames[-1]):
                return chunk
    for i, data in zip(chain.frames, chain.stored, strict=True):
        try:
            bases = [_decode_one(reader, chunk_list, packs[chunk_list.pack[i]], i, data, bases)]
        except DamageError as error:
            return error
    return bases[0]


def _decode_one(
    reader: PackReader, chunk_list: ChunkList, pack: bytes, i: int, stored: bytes | memoryview, bases: list[bytes]
) -> bytes:
    def decode(stored: bytes | memoryview) -> bytes:
        return decode_chunk(chunk_list.hash(i), chunk_list.codecs[i], stored, chunk_list.raw_sizes[i], bases)

    try:
        return reader.decoded(pack, chunk_list.offsets[i], stored, decode)
    except DamageError as error:
        where = f"chunk {chunk_list.hash(i).hex()} at byte {chunk_list.offsets[i]} of pack {reader.key(pack)}"
        raise DamageError(f"{where} is damaged: {error.message}") from None
