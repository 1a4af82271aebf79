"""Where a frame lies on the store."""

from __future__ import annotations

import msgspec

__all__ = ["FrameLocation"]


class FrameLocation(msgspec.Struct, frozen=True):
    """One frame, found without any footer: enough to fetch it with one ranged read and decode it.

    `hash` and `pack` are lowercase hex; sizes and offset are bytes; `bases` are
    indices of earlier entries of the same list, the most useful last.
    """

    hash: str
    pack: str
    pack_size: int
    offset: int
    stored_size: int
    raw_size: int
    codec: int
    bases: list[int] = []
