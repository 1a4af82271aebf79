"""Bounds a reader enforces before it spends memory on what a store claims (docs/format.md, "Limits")."""

from __future__ import annotations

__all__ = [
    "MAX_BASES",
    "MAX_CHUNK_SIZE",
    "MAX_DEPTH",
    "MAX_FILES",
    "MAX_FOOTER_SIZE",
    "MAX_FRAMES",
    "MAX_LISTED",
    "MAX_LIST_SIZE",
    "MAX_PACK_SIZE",
    "MAX_POINTERS_SIZE",
]

MAX_CHUNK_SIZE = 1024 * 1024
"""Raw bytes of one chunk. Writers of v1 stop at 256 KiB."""

MAX_LIST_SIZE = 64 * 1024 * 1024
"""Raw bytes of one chunk list: enough for a snapshot of some 70 GB."""

MAX_POINTERS_SIZE = 256 * 1024 * 1024
"""Raw bytes of all chunk lists that one manifest's list needs, itself included."""

MAX_LISTED = 2_000_000
"""Frames, or entries of one file, in a chunk list."""

MAX_FILES = 65_536
"""Files of one snapshot."""

MAX_FRAMES = 65_536
"""Frames of one pack. Writers stop at 16,384."""

MAX_PACK_SIZE = 128 * 1024 * 1024
"""Bytes of one pack. Writers stop at 32 MiB, unless a chunk list alone is larger."""

MAX_BASES = 16
"""Bases of one frame."""

MAX_DEPTH = 64
"""Frames to decode one after another to get one chunk, itself included. Writers stop at 32."""

MAX_FOOTER_SIZE = 16 * 1024 * 1024
"""Bytes of one pack's footer."""
