"""Build a pack: frames one after another, then the footer that names them."""

from __future__ import annotations

import msgspec

from akosha_snap.frames.footer import Footer, write_footer
from akosha_snap.frames.hashing import content_hash

__all__ = ["Frame", "PackBuilder"]

_MAX_FRAMES = 16_384
"""Frames of one pack, so that its footer stays near 1 MB however small they are."""


class Frame(msgspec.Struct, frozen=True):
    """A chunk as stored: its hash, raw size in bytes, codec, stored bytes and bases (chunk hashes)."""

    hash: bytes
    raw_size: int
    codec: int
    stored: bytes
    bases: tuple[bytes, ...] = ()


class PackBuilder:
    """Collects frames until `finish` makes one immutable object of them.

    A base of a frame is either in the store already or was added to this pack before.
    """

    def __init__(self, salt: bytes = b"") -> None:
        """`salt`: bytes that no other push has; see Footer."""
        self._salt = salt
        self._body = bytearray()
        self._order: dict[bytes, int] = {}
        self._external: dict[bytes, int] = {}
        self._raw_sizes: list[int] = []
        self._stored_sizes: list[int] = []
        self._codecs: list[int] = []
        self._bases: list[tuple[bytes, ...]] = []
        self._lists: list[int] = []

    def __len__(self) -> int:
        return len(self._order)

    def has_room(self, stored_size: int, target: int) -> bool:
        """Whether a frame of `stored_size` bytes keeps the pack within `target` bytes (an empty pack: always)."""
        fits = len(self._body) + stored_size <= target and len(self) < _MAX_FRAMES
        return fits or not self._order

    def add(self, frame: Frame, *, is_list: bool = False) -> int:
        """Append a frame whose chunk is not in this pack yet; returns its offset in the pack, in bytes."""
        offset, index = len(self._body), len(self)
        if self._order.setdefault(frame.hash, index) != index:
            raise ValueError(f"chunk {frame.hash.hex()} is in this pack already")
        if is_list:
            self._lists.append(index)
        for base in frame.bases:
            if base not in self._order:
                self._external.setdefault(base, len(self._external))
        self._raw_sizes.append(frame.raw_size)
        self._stored_sizes.append(len(frame.stored))
        self._codecs.append(frame.codec)
        self._bases.append(frame.bases)
        self._body += frame.stored
        return offset

    def finish(self) -> tuple[bytes, bytes]:
        """The pack's id (its BLAKE3, 32 bytes) and its bytes. The builder is spent."""
        self._body += write_footer(self._footer())
        data = bytes(self._body)
        self._body.clear()
        return content_hash(data), data

    def _footer(self) -> Footer:
        count = len(self)
        names = self._order | {base: count + i for base, i in self._external.items()}
        return Footer(
            format=1,
            hashes=b"".join(self._order),
            raw_sizes=self._raw_sizes,
            stored_sizes=self._stored_sizes,
            codecs=self._codecs,
            bases=[[names[base] for base in bases] for bases in self._bases],
            external=b"".join(self._external),
            lists=self._lists,
            salt=self._salt,
        )
