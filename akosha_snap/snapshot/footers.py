"""Read the footer of a stored pack."""

from __future__ import annotations

from akosha_snap.errors import DamageError, NewerFormatError
from akosha_snap.frames import TRAILER_SIZE, Footer, read_footer, read_trailer
from akosha_snap.manifest.keys import pack_key
from akosha_snap.snapshot.system import System
from akosha_snap.snapshot.twice import twice

__all__ = ["fetch_footer"]

_GUESS = 64 * 1024
"""Bytes read from a pack's end at once: the whole footer of some 1,000 frames."""


def fetch_footer(system: System, pack_id: bytes, size: int) -> Footer:
    """The footer of a pack of `size` bytes, in one request or two; what is wrong is read once more.

    Raises ObjectNotFound, DamageError, NewerFormatError.
    """
    key = pack_key(system.id, pack_id)
    if size < TRAILER_SIZE:
        raise DamageError(f"{key} is too short to be a pack")
    return twice(lambda: _read(system, key, size))


def _read(system: System, key: str, size: int) -> Footer:
    tail = system.store.get(key, start=max(0, size - _GUESS), length=min(size, _GUESS))
    try:
        needed = read_trailer(tail[-TRAILER_SIZE:]) + TRAILER_SIZE
        if needed > len(tail) and needed <= size:
            tail = system.store.get(key, start=size - needed, length=needed)
        return read_footer(tail, size)
    except NewerFormatError as error:
        raise NewerFormatError(f"{key}: {error.message}", hint=error.hint) from None
