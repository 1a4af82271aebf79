"""The chunk list: every frame a snapshot needs, and each file as a sequence of them."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from akosha_snap.errors import DamageError
from akosha_snap.frames import HASH_SIZE, MAX_BASES, MAX_CHUNK_SIZE, MAX_DEPTH, MAX_FILES, MAX_LISTED, MAX_PACK_SIZE
from akosha_snap.manifest.store_format import check_format

__all__ = ["ChunkList", "ListedFile", "decode_chunk_list", "encode_chunk_list"]


class ListedFile(msgspec.Struct, frozen=True):
    """One file: its name, size in bytes, BLAKE3, and the indices of its frames in order."""

    name: str
    size: int
    blake3: bytes
    frames: Sequence[int]


class ChunkList(msgspec.Struct, frozen=True, kw_only=True):
    """The list in columns: entry i of each describes frame i.

    `packs` holds pack ids (32 bytes), `pack_sizes` their bytes; the last id is empty
    and stands for the pack that holds this list, whose id cannot be known inside it.
    `pack[i]` is an index into `packs`; `bases[i]` holds indices of frames, the most
    useful last. A base always lies in an earlier pack, or earlier in the same pack:
    one pass in order of `place` decodes everything.
    """

    format: int
    packs: list[bytes]
    pack_sizes: Sequence[int]
    hashes: bytes
    raw_sizes: Sequence[int]
    pack: Sequence[int]
    offsets: Sequence[int]
    stored_sizes: Sequence[int]
    codecs: Sequence[int]
    bases: Sequence[Sequence[int]]
    files: list[ListedFile]

    def __len__(self) -> int:
        return len(self.raw_sizes)

    def hash(self, i: int) -> bytes:
        """The chunk hash of frame i."""
        return self.hashes[HASH_SIZE * i : HASH_SIZE * (i + 1)]

    def place(self, i: int) -> int:
        """Pack index and offset of frame i as one number; bases always have a smaller one."""
        return self.pack[i] << 32 | self.offsets[i]

    def in_order(self) -> list[int]:
        """The frames as one pass decodes them, each after its bases."""
        return sorted(range(len(self)), key=_places(self).__getitem__)

    def depths(self) -> list[int]:
        """Per frame, how many are decoded one after another to get it, itself included."""
        depths = [0] * len(self)
        for i in self.in_order():
            bases = self.bases[i]
            depths[i] = 1 + max(map(depths.__getitem__, bases)) if bases else 1
        return depths


def encode_chunk_list(value: ChunkList) -> bytes:
    """The raw bytes of the frame that holds the list."""
    files = [_StoredFile(f.name, f.size, f.blake3, _raw(list(f.frames))) for f in value.files]
    columns = {name: _raw(list(getattr(value, name))) for name in _COLUMNS}
    bases = _raw([tuple(bases) for bases in value.bases])
    stored = _StoredList(
        format=value.format, packs=value.packs, hashes=value.hashes, bases=bases, files=files, **columns
    )
    return msgspec.msgpack.encode(stored)


def decode_chunk_list(data: bytes, where: str) -> ChunkList:
    """Parse and check a chunk list; `where` names it in errors. Its columns are arrays: 40 bytes a frame, not 400.

    Raises NewerFormatError for a later format, DamageError for anything that cannot be decoded in one pass.
    """
    try:
        check_format(msgspec.msgpack.decode(data, type=_AnyList).format, where)
        value = _unpack(msgspec.msgpack.decode(data, type=_StoredList))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise DamageError(f"{where} does not parse: {error}") from None
    _check(value, where)
    return value


_COLUMNS = {"pack_sizes": "I", "raw_sizes": "I", "pack": "I", "offsets": "I", "stored_sizes": "I", "codecs": "B"}
"""Type codes of the columns of numbers. None is negative, and no pack has 4 GiB."""

# Bounds that msgspec enforces before it builds anything.
_Column = Annotated[list[int], msgspec.Meta(max_length=MAX_LISTED)]
_Lists = Annotated[list[Annotated[list[int], msgspec.Meta(max_length=MAX_BASES)]], msgspec.Meta(max_length=MAX_LISTED)]


class _StoredFile(msgspec.Struct):
    name: str
    size: int
    blake3: bytes
    frames: msgspec.Raw


class _StoredList(msgspec.Struct, kw_only=True):
    """The list as stored (msgpack). Columns are decoded one at a time: all at once they take much memory."""

    format: int
    packs: Annotated[list[bytes], msgspec.Meta(max_length=MAX_LISTED)]
    pack_sizes: msgspec.Raw
    hashes: bytes
    raw_sizes: msgspec.Raw
    pack: msgspec.Raw
    offsets: msgspec.Raw
    stored_sizes: msgspec.Raw
    codecs: msgspec.Raw
    bases: msgspec.Raw
    files: Annotated[list[_StoredFile], msgspec.Meta(max_length=MAX_FILES)]


class _Bases(Sequence[Sequence[int]]):
    """A short list of numbers for each frame, most of them empty, in two arrays."""

    def __init__(self, lists: list[list[int]]) -> None:
        self._ends = array("I", itertools.accumulate(map(len, lists), initial=0))
        self._all = array("I", (base for bases in lists for base in bases))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[Sequence[int]]:
        return (self._all[start:end] for start, end in itertools.pairwise(self._ends))

    def __getitem__(self, i: int) -> Sequence[int]:  # type: ignore[override] # nobody slices it
        return self._all[self._ends[i] : self._ends[i + 1]]


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def _column(code: str, raw: msgspec.Raw) -> array[int]:
    return array(code, msgspec.msgpack.decode(raw, type=_Column))


def _unpack(stored: _StoredList) -> ChunkList:
    """Raises OverflowError for a number that is none of a place in a pack."""
    return ChunkList(
        format=stored.format,
        packs=stored.packs,
        hashes=stored.hashes,
        bases=_Bases(msgspec.msgpack.decode(stored.bases, type=_Lists)),
        files=[ListedFile(f.name, f.size, f.blake3, _column("I", f.frames)) for f in stored.files],
        **{name: _column(code, getattr(stored, name)) for name, code in _COLUMNS.items()},
    )


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
    for i in _impossible(value):
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


def _impossible(value: ChunkList) -> Iterator[int]:
    """Frames that do not lie in their pack, or not after their bases."""
    limits = [*value.pack_sizes[:-1], MAX_PACK_SIZE]
    columns = zip(value.pack, value.offsets, value.stored_sizes, value.raw_sizes, strict=True)
    for i, (pack, offset, stored, raw) in enumerate(columns):
        if not (stored <= raw <= MAX_CHUNK_SIZE and pack < len(limits) and offset + stored <= limits[pack]):
            yield i
    places = _places(value)
    for i, bases in enumerate(value.bases):
        if bases and not (
            len(bases) <= MAX_BASES and max(bases) < len(places) and max(map(places.__getitem__, bases)) < places[i]
        ):
            yield i


def _places(value: ChunkList) -> array[int]:
    """The place of each frame, all at once: `place`, called for each, takes longer than all else that is checked."""
    return array("Q", (pack << 32 | offset for pack, offset in zip(value.pack, value.offsets, strict=True)))


def _has_overlap(value: ChunkList) -> bool:
    """Whether two frames share bytes of a pack: then a small pack could stand for any number of chunks."""
    return any(
        value.pack[i] == value.pack[after] and value.offsets[i] + value.stored_sizes[i] > value.offsets[after]
        for i, after in itertools.pairwise(value.in_order())
    )


class _AnyList(msgspec.Struct):
    """Of a format that may be later than ours only its number can be relied on."""

    format: int
