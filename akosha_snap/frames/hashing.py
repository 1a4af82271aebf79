"""BLAKE3-256, the one hash that names chunks, packs and snapshots."""

from __future__ import annotations

from blake3 import blake3

__all__ = ["HASH_SIZE", "content_hash"]

HASH_SIZE = 32
"""Bytes of a hash."""


def content_hash(data: bytes | bytearray | memoryview) -> bytes:
    """BLAKE3-256 of `data`, 32 bytes. One thread: more are slower on chunks of 64 KiB (measured)."""
    return blake3(data).digest()
