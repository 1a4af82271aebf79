"""The end of a pack: a footer that names its frames, and a trailer of fixed size that finds the footer."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from typing import Annotated

import msgspec

from akosha_snap.errors import DamageError, NewerFormatError
from akosha_snap.frames.hashing import HASH_SIZE, content_hash
from akosha_snap.frames.limits import MAX_BASES, MAX_CHUNK_SIZE, MAX_FOOTER_SIZE, MAX_FRAMES, MAX_LIST_SIZE

__all__ = ["TRAILER_SIZE", "Footer", "FrameEntry", "read_footer", "read_trailer", "write_footer"]

_MAGIC = b"AKSNAP\x00"
_VERSION = 1
_TRAILER = struct.Struct("<I32s7sB")

_UPGRADE = "upgrade akosha-snap"

TRAILER_SIZE = _TRAILER.size
"""Bytes of the trailer: footer size (u32, little-endian), footer BLAKE3, magic, version."""


_Column = Annotated[list[int], msgspec.Meta(max_length=MAX_FRAMES)]
_Codecs = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=255)]], msgspec.Meta(max_length=MAX_FRAMES)]
_Indices = Annotated[list[int], msgspec.Meta(max_length=MAX_BASES)]


class FrameEntry(msgspec.Struct, frozen=True):
    """One frame as its pack's footer describes it. `offset` and sizes in bytes; `bases` are chunk hashes."""

    hash: bytes
    offset: int
    stored_size: int
    raw_size: int
    codec: int
    bases: tuple[bytes, ...]


class Footer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The footer as stored, in columns: entry i of each column describes frame i of the pack.

    Frames lie one after another from byte 0, so offsets are sums of `stored_sizes`.
    `bases[i]` holds indices, the most useful base last: below the number of frames, a
    frame of this pack; from there on, an entry of `external` (32-byte hashes).
    `lists` are the frames that hold chunk lists. `salt` means nothing but that no other push has it:
    a pack that was deleted never comes back under its id. Packs of before there was one have none.
    """

    format: int
    hashes: bytes
    raw_sizes: _Column
    stored_sizes: _Column
    codecs: _Codecs
    bases: Annotated[list[_Indices], msgspec.Meta(max_length=MAX_FRAMES)]
    external: bytes
    lists: _Column
    salt: bytes = b""

    def entries(self) -> Iterator[FrameEntry]:
        """Each frame of the pack, in order."""
        count = len(self.raw_sizes)
        names = [_nth(self.hashes, i) for i in range(count)]
        names += [_nth(self.external, i) for i in range(len(self.external) // HASH_SIZE)]
        offsets = itertools.accumulate(self.stored_sizes, initial=0)
        for i, offset in zip(range(count), offsets, strict=False):
            bases = tuple(names[base] for base in self.bases[i])
            yield FrameEntry(names[i], offset, self.stored_sizes[i], self.raw_sizes[i], self.codecs[i], bases)


def write_footer(footer: Footer) -> bytes:
    """The bytes that end a pack: footer and trailer."""
    body = msgspec.msgpack.encode(footer)
    return body + _TRAILER.pack(len(body), content_hash(body), _MAGIC, _VERSION)


def read_trailer(tail: bytes) -> int:
    """The footer's size in bytes, from the last TRAILER_SIZE bytes of a pack.

    Raises DamageError for what is not a trailer, NewerFormatError for a later version's.
    """
    return _parse_trailer(tail)[0]


def read_footer(tail: bytes, pack_size: int) -> Footer:
    """Parse `tail`, the end of a pack of `pack_size` bytes that holds at least footer and trailer.

    Raises DamageError where hash, structure or sizes disagree, NewerFormatError for a later version.
    """
    size, expected = _parse_trailer(tail[-TRAILER_SIZE:])
    end = len(tail) - TRAILER_SIZE
    if size > end:
        raise DamageError(f"the footer claims {size} bytes where the pack has {end}")
    body = tail[end - size : end]
    if content_hash(body) != expected:
        raise DamageError("the footer's hash does not match")
    try:
        version = msgspec.msgpack.decode(body, type=_AnyFooter).format
        if version > _VERSION:
            raise NewerFormatError(f"the footer has format {version}, newer than {_VERSION}", hint=_UPGRADE)
        footer = msgspec.msgpack.decode(body, type=Footer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DamageError(f"the footer does not parse: {error}") from None
    _check(footer, pack_size - size - TRAILER_SIZE)
    return footer


def _parse_trailer(tail: bytes) -> tuple[int, bytes]:
    if len(tail) != TRAILER_SIZE:
        raise DamageError(f"too short to be a pack: {len(tail)} bytes where the trailer alone has {TRAILER_SIZE}")
    size, digest, magic, version = _TRAILER.unpack(tail)
    if magic != _MAGIC:
        raise DamageError("not a pack: its trailer lacks the magic")
    if version > _VERSION:
        raise NewerFormatError(f"the pack has format {version}, newer than {_VERSION}", hint=_UPGRADE)
    if version != _VERSION or size > MAX_FOOTER_SIZE:
        raise DamageError(f"the trailer claims version {version} and a footer of {size} bytes")
    return size, digest


def _check(footer: Footer, frame_bytes: int) -> None:
    count = len(footer.raw_sizes)
    columns = (footer.stored_sizes, footer.codecs, footer.bases)
    if len(footer.hashes) != HASH_SIZE * count or any(len(column) != count for column in columns):
        raise DamageError("the footer's columns differ in length")
    if len(footer.external) % HASH_SIZE:
        raise DamageError("the footer's external hashes are cut short")
    if any(size < 0 for size in footer.stored_sizes) or sum(footer.stored_sizes) != frame_bytes:
        raise DamageError(f"the footer's frames do not fill the pack's {frame_bytes} bytes before it")
    lists = set(footer.lists)
    for i, raw_size in enumerate(footer.raw_sizes):
        most = MAX_LIST_SIZE if i in lists else MAX_CHUNK_SIZE
        if not footer.stored_sizes[i] <= raw_size <= most:
            raise DamageError(f"the footer names a frame of {raw_size} raw bytes, stored in {footer.stored_sizes[i]}")
    names = count + len(footer.external) // HASH_SIZE
    for i, bases in enumerate(footer.bases):
        # Within a pack a base stands before what needs it, so one pass in order decodes everything.
        if len(bases) > MAX_BASES or any(not (0 <= base < i or count <= base < names) for base in bases):
            raise DamageError(f"the footer names impossible bases for frame {i}")
    if any(not 0 <= i < count for i in footer.lists):
        raise DamageError("the footer names a chunk list that is not there")


class _AnyFooter(msgspec.Struct):
    """Of a format that may be later than ours only its number can be relied on."""

    format: int


def _nth(hashes: bytes, i: int) -> bytes:
    return hashes[HASH_SIZE * i : HASH_SIZE * (i + 1)]
