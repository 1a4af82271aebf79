"""One chunk to one frame and back."""

from __future__ import annotations

import enum
import threading
from collections.abc import Sequence
from typing import NamedTuple

import zstandard

from akosha_snap.errors import AkoshaSnapError, DamageError
from akosha_snap.frames.hashing import content_hash
from akosha_snap.frames.zstd_frames import raw_frame, size_of

__all__ = ["Codec", "StoredFrame", "decode", "decode_chain", "decode_chunk", "encode"]

_LEVEL = 3
_BASED_LEVEL = 6
"""With bases level 6 wins 2 to 5% over 3; without, it is not worth the time of a first push (design-notes.md)."""

_LONG = 9 * 256 * 1024
"""Bytes: no chunk of v1 with its eight bases has more, only a chunk list has."""

_MAX_WINDOW = 2**28
"""Bytes. A frame's window never needs to exceed its largest content, a chunk list."""

_local = threading.local()


class Codec(enum.IntEnum):
    """How a frame holds its chunk."""

    RAW = 0
    """The chunk's own bytes."""
    ZSTD = 1
    """One zstd frame (RFC 8878) with content size and checksum; its bases, if any, are its raw prefix."""


def encode(chunk: bytes | memoryview, bases: Sequence[bytes] = ()) -> tuple[Codec, bytes]:
    """Compress a chunk, against `bases` (raw bytes, the most useful last) where given.

    Returns the codec and the stored bytes; what does not shrink is kept raw, without
    bases. The result is decoded and compared before it is returned, so that a frame
    that cannot be read back is never stored.
    """
    stored = _compressor(bases, len(chunk)).compress(chunk)
    if len(stored) >= len(chunk):
        return Codec.RAW, bytes(chunk)
    if decode(Codec.ZSTD, stored, len(chunk), bases) != chunk:
        raise AkoshaSnapError(
            "zstd compressed a chunk into a frame that does not decode to it",
            hint="nothing was uploaded; check this machine's memory and the installed zstandard",
        )
    return Codec.ZSTD, stored


class StoredFrame(NamedTuple):
    """A frame as it is stored, and the bytes of its chunk; the caller has bounded them."""

    codec: int
    stored: bytes | memoryview
    raw_size: int


def decode(codec: int, stored: bytes | memoryview, raw_size: int, bases: Sequence[bytes] = ()) -> bytes:
    """The chunk that a frame holds; the caller has bounded `raw_size` and compares the hash.

    Raises DamageError for a frame that is not exactly one whole chunk of `raw_size` bytes.
    """
    if codec == Codec.RAW:
        if len(stored) != raw_size or bases:
            raise DamageError(f"a raw frame of {len(stored)} bytes stands for a chunk of {raw_size}")
        return bytes(stored)
    if bases:
        return decode_chain([StoredFrame(codec, stored, raw_size)], bases)
    try:
        _check_header(codec, stored, raw_size)
        chunk = _decompressor().decompress(stored, max_output_size=raw_size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DamageError(f"a frame does not decode: {error}") from None
    if len(chunk) != raw_size:
        raise DamageError(f"a frame holds {len(chunk)} bytes where {raw_size} are named")
    return chunk


def decode_chain(frames: Sequence[StoredFrame], bases: Sequence[bytes] = ()) -> bytes:
    """The chunk of the last of `frames`, each of which is the only base of the next; `bases` are those of the first.

    zstd walks through all of them in one call, without the GIL and in tables it has: a fraction of the time
    that one by one would take (design-notes.md). Checksums are compared on the way; the caller compares
    the hash of the last. Raises DamageError.
    """
    if not bases:
        first, *frames = frames
        bases = [decode(*first)]
        if not frames:
            return bases[0]
    stored = [bytes(frame.stored) for frame in frames]
    try:
        for frame, data in zip(frames, stored, strict=True):
            _check_header(frame.codec, data, frame.raw_size)
            if size_of(data) != len(data):
                raise DamageError("a frame is cut short, or goes on after its end")
        return _decompressor().decompress_content_dict_chain([raw_frame(bases), *stored])
    except zstandard.ZstdError as error:
        raise DamageError(f"a frame does not decode: {error}") from None


def decode_chunk(
    name: bytes, codec: int, stored: bytes | memoryview, raw_size: int, bases: Sequence[bytes] = ()
) -> bytes:
    """The chunk that a frame holds, its hash compared with its `name`. Raises DamageError."""
    chunk = decode(codec, stored, raw_size, bases)
    if content_hash(chunk) != name:
        raise DamageError("its hash does not match")
    return chunk


def _check_header(codec: int, stored: bytes | memoryview, raw_size: int) -> None:
    """The header's own size is checked first: zstandard would allocate whatever it declares."""
    if codec != Codec.ZSTD:
        raise DamageError(f"unknown frame codec {codec}, or one that knows no bases")
    header = zstandard.get_frame_parameters(stored)
    if header.content_size != raw_size:
        raise DamageError(f"a frame declares {header.content_size} bytes where {raw_size} are named")
    if header.window_size > _MAX_WINDOW:
        raise DamageError(f"a frame asks for a window of {header.window_size} bytes")
    if not header.has_checksum or header.dict_id:
        raise DamageError("a frame lacks its checksum or names a dictionary")


def _compressor(bases: Sequence[bytes], size: int) -> zstandard.ZstdCompressor:
    """One per thread: threads that share one crash the process (seen in 19 of 20 runs)."""
    if bases:
        return zstandard.ZstdCompressor(
            dict_data=_prefix(bases), compression_params=_based(sum(map(len, bases)) + size)
        )
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(_LEVEL, write_checksum=True, write_dict_id=False)
    compressor: zstandard.ZstdCompressor = _local.compressor
    return compressor


def _based(size: int) -> zstandard.ZstdCompressionParameters:
    """How to compress `size` bytes of chunk and bases together.

    Smaller tables (zstd's own choice) ignore most of a long prefix, larger ones win nothing.
    The chunk lists of files beyond some 2 GB want the quickest search over a large table: of two lists
    of 8 MB that differ in 400 chunks it makes 27 KB, the other way 6,860 (design-notes.md).
    """
    level, window, table, chain = _BASED_LEVEL, 23, 19, 19
    if size > _LONG:
        level, window, table, chain = 1, size.bit_length(), max(21, size.bit_length() - 3), 16
    return zstandard.ZstdCompressionParameters.from_level(
        level, window_log=window, hash_log=table, chain_log=chain, write_checksum=True, write_dict_id=False
    )


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    decompressor: zstandard.ZstdDecompressor = _local.decompressor
    return decompressor


def _prefix(bases: Sequence[bytes]) -> zstandard.ZstdCompressionDict:
    joined = bases[0] if len(bases) == 1 else b"".join(bases)  # no second copy of a chunk list of 8 MB
    return zstandard.ZstdCompressionDict(joined, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
