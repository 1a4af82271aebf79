"""Bounds a reader enforces before it spends memory on what a store claims (docs/format.md, "Limits")."""

from __future__ import annotations

__all__ = ["MAX_BASES", "MAX_CHUNK_SIZE", "MAX_DEPTH", "MAX_FOOTER_SIZE", "MAX_LIST_SIZE"]

MAX_CHUNK_SIZE = 1024 * 1024
"""Raw bytes of one chunk. Writers of v1 stop at 256 KiB."""

MAX_LIST_SIZE = 64 * 1024 * 1024
"""Raw bytes of one chunk list: enough for a snapshot of some 70 GB."""

MAX_BASES = 16
"""Bases of one frame."""

MAX_DEPTH = 64
"""Frames to decode one after another to get one chunk, itself included. Writers stop at 32."""

MAX_FOOTER_SIZE = 16 * 1024 * 1024
"""Bytes of one pack's footer."""
