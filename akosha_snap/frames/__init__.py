"""Frames (stored chunks) and packs of them: bytes in, bytes out. Pure: no files, no network."""

from akosha_snap.frames.codec import Codec, StoredFrame, decode, decode_chain, decode_chunk, encode
from akosha_snap.frames.footer import TRAILER_SIZE, Footer, read_footer, read_trailer
from akosha_snap.frames.hashing import HASH_SIZE, content_hash
from akosha_snap.frames.limits import (
    MAX_BASES,
    MAX_CHUNK_SIZE,
    MAX_DEPTH,
    MAX_FILES,
    MAX_LIST_SIZE,
    MAX_LISTED,
    MAX_PACK_SIZE,
    MAX_POINTERS_SIZE,
)
from akosha_snap.frames.pack import Frame, PackBuilder

__all__ = [
    "HASH_SIZE",
    "MAX_BASES",
    "MAX_CHUNK_SIZE",
    "MAX_DEPTH",
    "MAX_FILES",
    "MAX_LISTED",
    "MAX_LIST_SIZE",
    "MAX_PACK_SIZE",
    "MAX_POINTERS_SIZE",
    "TRAILER_SIZE",
    "Codec",
    "Footer",
    "Frame",
    "PackBuilder",
    "StoredFrame",
    "content_hash",
    "decode",
    "decode_chain",
    "decode_chunk",
    "encode",
    "read_footer",
    "read_trailer",
]
