"""Read chunk lists, each of which may need others, older ones, as its base."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from akosha_snap.errors import DamageError, ObjectNotFound
from akosha_snap.frames import decode_chunk
from akosha_snap.manifest import ChunkList, FrameLocation, Manifest, decode_chunk_list
from akosha_snap.snapshot.ahead import in_threads
from akosha_snap.snapshot.pack_reader import PackReader

__all__ = ["ListDamage", "ListReader", "check_chunk_list"]


_KEPT = 8 * 1024 * 1024
"""Bytes of lists kept: whoever reads the snapshots of a system one after another reads each list once."""


class ListDamage(DamageError):
    """A chunk list cannot be read; `key` is the pack that is missing or damaged."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class ListReader:
    """Reads the raw bytes of chunk lists from packs."""

    def __init__(self, packs: PackReader) -> None:
        self._packs = packs
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def read(self, frames: list[FrameLocation]) -> bytes:
        """The list that the last of `frames` holds, hash checked; those before it are its bases. Raises ListDamage."""
        decoded = {i: raw for i, frame in enumerate(frames) if (raw := self._kept.get(_place(frame))) is not None}
        needed = _needed(frames, set(decoded))
        stored = dict(zip(needed, in_threads(self._stored, [frames[i] for i in needed]), strict=True))
        last_use = {base: i for i in needed for base in frames[i].bases}
        for i in needed:
            decoded[i] = self._decode(frames[i], stored.pop(i), [decoded[base] for base in frames[i].bases])
            for base in {base for base in frames[i].bases if last_use[base] == i}:
                del decoded[base]
        raw = decoded[len(frames) - 1]
        self._keep(frames[-1], raw)
        return raw

    def _keep(self, frame: FrameLocation, raw: bytes) -> None:
        self._kept[_place(frame)] = raw
        while self._kept and sum(map(len, self._kept.values())) > _KEPT:
            self._kept.popitem(last=False)

    def _stored(self, frame: FrameLocation) -> bytes:
        pack = bytes.fromhex(frame.pack)
        try:
            stored = self._packs.read(pack, frame.offset, frame.stored_size)
        except ObjectNotFound:
            key = self._packs.key(pack)
            raise ListDamage(f"pack {key} is missing: it holds a chunk list", key) from None
        if len(stored) != frame.stored_size:
            key = self._packs.key(pack)
            raise ListDamage(f"pack {key} is cut short: it holds a chunk list", key)
        return stored

    def _decode(self, frame: FrameLocation, stored: bytes, bases: list[bytes]) -> bytes:
        pack = bytes.fromhex(frame.pack)

        def decode(stored: bytes | memoryview) -> bytes:
            return decode_chunk(bytes.fromhex(frame.hash), frame.codec, stored, frame.raw_size, bases)

        try:
            return self._packs.decoded(pack, frame.offset, stored, decode)
        except DamageError as error:
            key = self._packs.key(pack)
            raise ListDamage(f"the chunk list in pack {key} cannot be read: {error.message}", key) from None


def _place(frame: FrameLocation) -> bytes:
    """All that says where the frame lies and what it holds, but not by which other frames."""
    return msgspec.msgpack.encode(msgspec.structs.replace(frame, bases=[]))


def _needed(frames: list[FrameLocation], known: set[int]) -> list[int]:
    """The frames to decode for the last one, those that are known left out, bases first."""
    needed: set[int] = set()
    todo = [len(frames) - 1]
    while todo:
        i = todo.pop()
        if i not in known and i not in needed:
            needed.add(i)
            todo += frames[i].bases
    return sorted(needed)


def check_chunk_list(raw: bytes, manifest: Manifest) -> ChunkList:
    """Parse a chunk list and compare it with its manifest. Raises DamageError, NewerFormatError."""
    where = f"the chunk list in pack {manifest.snapshot.chunk_list[-1].pack}"
    chunk_list = decode_chunk_list(raw, where)
    listed = [(file.name, file.size, file.blake3.hex(), len(file.frames)) for file in chunk_list.files]
    if listed != [(file.name, file.size, file.blake3, file.chunks) for file in manifest.snapshot.files]:
        raise DamageError(f"{where} names other files than its manifest")
    own = len(chunk_list.packs) - 1
    size = manifest.snapshot.chunk_list[-1].pack_size
    for i in range(len(chunk_list)):
        if chunk_list.pack[i] == own and chunk_list.offsets[i] + chunk_list.stored_sizes[i] > size:
            raise DamageError(f"{where} names a frame beyond the end of its pack")
    return chunk_list
