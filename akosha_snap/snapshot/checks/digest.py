"""The hash of an object as the store has it, read in pieces."""

from __future__ import annotations

from blake3 import blake3

from akosha_snap.snapshot.system import System

__all__ = ["stored_digest"]

_READ = 8 * 1024 * 1024
"""Bytes of one read."""


def stored_digest(system: System, key: str, size: int) -> bytes:
    """The BLAKE3 of the first `size` bytes of an object, or of all it has. Raises ObjectNotFound."""
    hasher, position = blake3(), 0
    while position < size and (data := system.store.get(key, start=position, length=_READ)):
        hasher.update(data)
        position += len(data)
    return hasher.digest()
