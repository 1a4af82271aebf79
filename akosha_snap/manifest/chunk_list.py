"""The chunk list: every frame a snapshot needs, and each file as a sequence of them."""

from __future__ import annotations

import itertools
from typing import Annotated

import msgspec

from akosha_snap.errors import DamageError
from akosha_snap.frames import HASH_SIZE, MAX_BASES, MAX_CHUNK_SIZE, MAX_DEPTH, MAX_FILES, MAX_LISTED, MAX_PACK_SIZE
from akosha_snap.manifest.store_format import check_format

__all__ = ["ChunkList", "ListedFile", "decode_chunk_list", "encode_chunk_list"]


# Bounds that msgspec enforces before it builds anything.
_Column = Annotated[list[int], msgspec.Meta(max_length=MAX_LISTED)]
_Codecs = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=255)]], msgspec.Meta(max_length=MAX_LISTED)]
_Indices = Annotated[list[int], msgspec.Meta(max_length=MAX_BASES)]


class ListedFile(msgspec.Struct, frozen=True):
    """One file: its name, size in bytes, BLAKE3, and the indices of its frames in order."""

    name: str
    size: int
    blake3: bytes
    frames: _Column


class ChunkList(msgspec.Struct, frozen=True, kw_only=True):
    """The list as stored (msgpack), in columns: entry i of each describes frame i.

    `packs` holds pack ids (32 bytes), `pack_sizes` their bytes; the last id is empty
    and stands for the pack that holds this list, whose id cannot be known inside it.
    `pack[i]` is an index into `packs`; `bases[i]` holds indices of frames, the most
    useful last. A base always lies in an earlier pack, or earlier in the same pack:
    one pass in order of (pack, offset) decodes everything.
    """

    format: int
    packs: Annotated[list[bytes], msgspec.Meta(max_length=MAX_LISTED)]
    pack_sizes: _Column
    hashes: bytes
    raw_sizes: _Column
    pack: _Column
    offsets: _Column
    stored_sizes: _Column
    codecs: _Codecs
    bases: Annotated[list[_Indices], msgspec.Meta(max_length=MAX_LISTED)]
    files: Annotated[list[ListedFile], msgspec.Meta(max_length=MAX_FILES)]

    def __len__(self) -> int:
        return len(self.raw_sizes)

    def hash(self, i: int) -> bytes:
        """The chunk hash of frame i."""
        return self.hashes[HASH_SIZE * i : HASH_SIZE * (i + 1)]

    def place(self, i: int) -> tuple[int, int]:
        """(pack index, offset) of frame i; bases always have a smaller one."""
        return self.pack[i], self.offsets[i]

    def depths(self) -> list[int]:
        """Per frame, how many are decoded one after another to get it, itself included."""
        depths = [0] * len(self)
        for i in sorted(range(len(self)), key=self.place):
            depths[i] = 1 + max((depths[base] for base in self.bases[i]), default=0)
        return depths


def encode_chunk_list(value: ChunkList) -> bytes:
    """The raw bytes of the frame that holds the list."""
    return msgspec.msgpack.encode(value)


def decode_chunk_list(data: bytes, where: str) -> ChunkList:
    """Parse and check a chunk list; `where` names it in errors.

    Raises NewerFormatError for a later format, DamageError for anything that cannot be decoded in one pass.
    """
    try:
        check_format(msgspec.msgpack.decode(data, type=_AnyList).format, where)
        value = msgspec.msgpack.decode(data, type=ChunkList)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamageError(f"{where} does not parse: {error}") from None
    _check(value, where)
    return value


def _check(value: ChunkList, where: str) -> None:
    count = len(value)
    columns = (value.pack, value.offsets, value.stored_sizes, value.codecs, value.bases)
    if len(value.hashes) != HASH_SIZE * count or any(len(column) != count for column in columns):
        raise DamageError(f"{where} has columns that differ in length")
    *named, this = value.packs or [b"?"]
    if this != b"" or any(len(pack) != HASH_SIZE for pack in named) or len(value.pack_sizes) != len(value.packs):
        raise DamageError(f"{where} names an impossible pack")
    if any(not 0 <= size <= MAX_PACK_SIZE for size in value.pack_sizes):
        raise DamageError(f"{where} names a pack of an impossible size")
    for i in range(count):
        if not _is_possible(value, i):
            raise DamageError(f"{where} names an impossible place for chunk {value.hash(i).hex()}")
    if _has_overlap(value):
        raise DamageError(f"{where} names two frames of which one lies in the other")
    if max(value.depths(), default=0) > MAX_DEPTH:
        raise DamageError(f"{where} needs more than {MAX_DEPTH} frames one after another for one chunk")
    for file in value.files:
        if any(not 0 <= i < count for i in file.frames):
            raise DamageError(f"{where} names a frame of {file.name!r} that it does not list")
        if sum(value.raw_sizes[i] for i in file.frames) != file.size:
            raise DamageError(f"{where} names chunks of {file.name!r} that do not add up to its size")


def _is_possible(value: ChunkList, i: int) -> bool:
    pack, offset, stored = value.pack[i], value.offsets[i], value.stored_sizes[i]
    return (
        0 <= stored <= value.raw_sizes[i] <= MAX_CHUNK_SIZE
        and 0 <= pack < len(value.packs)
        and 0 <= offset
        and offset + stored <= (MAX_PACK_SIZE if pack == len(value.packs) - 1 else value.pack_sizes[pack])
        and len(value.bases[i]) <= MAX_BASES
        and all(0 <= base < len(value) and value.place(base) < value.place(i) for base in value.bases[i])
    )


def _has_overlap(value: ChunkList) -> bool:
    """Whether two frames share bytes of a pack: then a small pack could stand for any number of chunks."""
    order = sorted(range(len(value)), key=value.place)
    return any(
        value.pack[i] == value.pack[after] and value.offsets[i] + value.stored_sizes[i] > value.offsets[after]
        for i, after in itertools.pairwise(order)
    )


class _AnyList(msgspec.Struct):
    """Of a format that may be later than ours only its number can be relied on."""

    format: int
