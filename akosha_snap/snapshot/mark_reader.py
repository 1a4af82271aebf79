"""Read the marks that runs of prune left in the store."""

from __future__ import annotations

from akosha_snap.errors import BusyError, DamageError, ObjectNotFound
from akosha_snap.manifest.keys import prune_prefix
from akosha_snap.manifest.prune_mark import MAX_MARK_SIZE, PruneMark, decode_mark
from akosha_snap.snapshot.system import System
from akosha_snap.stores import list_all

__all__ = ["read_marks"]

_TRIES = 20


def read_marks(system: System) -> dict[str, PruneMark | None]:
    """Every mark by its key; None for one that cannot be read. Raises NewerFormatError, BusyError.

    Marks are replaced by other runs meanwhile, the new one before the old. So two listings in
    a row must agree, and every mark listed must still be there: then none was missed.
    """
    keys = _keys(system)
    for _ in range(_TRIES):
        try:
            marks = {key: _read(system, key) for key in keys}
        except ObjectNotFound:
            keys = _keys(system)
            continue
        listed, keys = keys, _keys(system)
        if keys == listed:
            return marks
    raise BusyError(f"other runs of prune are at work on {system.name}", hint="try again when they are done")


def _keys(system: System) -> list[str]:
    return sorted(info.key for info in list_all(system.store, prune_prefix(system.id)))


def _read(system: System, key: str) -> PruneMark | None:
    try:
        return decode_mark(system.store.get(key, length=MAX_MARK_SIZE + 1), key)
    except DamageError:
        return None
