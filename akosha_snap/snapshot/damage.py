"""Damage that `repair` has found: a push counts it as absent, and so uploads it again.

It can only subtract from what the store lists: a record that is stale or that lies costs bytes, nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from akosha_snap.errors import ConflictError, DamageError, ObjectNotFound
from akosha_snap.frames import content_hash
from akosha_snap.manifest import DamagedPack, DamageRecord, decode_damage, encode_damage
from akosha_snap.manifest.codec import MAX_MANIFEST_SIZE
from akosha_snap.manifest.ids import make_upload_id
from akosha_snap.manifest.keys import damage_key
from akosha_snap.snapshot.system import Listing, System
from akosha_snap.snapshot.twice import twice
from akosha_snap.version import __version__

__all__ = ["DamagedChunks", "StoredPacks", "read_stored_packs", "record_damage"]

DamagedChunks = Mapping[bytes, frozenset[bytes] | None]
"""By pack id, the chunks whose frames in it are damaged; None for all of them."""


_MOST_READ = 16
"""Records looked at for one that can be read."""


class StoredPacks(NamedTuple):
    """The packs a store lists, by id with their sizes in bytes, and what is known to be damaged of them.

    `newest` is the name of the newest damage record, `read` that of the newest that can be read.
    """

    sizes: dict[bytes, int]
    damaged: DamagedChunks = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    newest: str | None = None
    read: str | None = None
    warnings: list[str] = []  # noqa: RUF012

    def has_pack(self, pack_id: bytes, size: int) -> bool:
        """Whether the pack is there with this size in bytes, and not damaged as a whole."""
        return self.sizes.get(pack_id) == size and self.damaged.get(pack_id, frozenset()) is not None

    def is_damaged(self, pack_id: bytes, chunk: bytes) -> bool:
        """Whether this chunk's frame in this pack is."""
        if pack_id not in self.damaged:
            return False
        chunks = self.damaged[pack_id]
        return chunks is None or chunk in chunks


def read_stored_packs(system: System, listing: Listing) -> StoredPacks:
    """What is listed, less what the newest damage record names that can be read; a request where there is one.

    One that cannot be read subtracts nothing, with a warning. Raises NewerFormatError.
    """
    warnings: list[str] = []
    for name in sorted(listing.damage_records, reverse=True)[:_MOST_READ]:
        key = damage_key(system.id, name)
        try:
            record = twice(partial(_read, system, key, name))
        except (DamageError, ObjectNotFound) as error:
            warnings.append(
                f"{key} cannot be read ({error.message}): what it says is damaged is not healed; repair again"
            )
            continue
        damaged = {
            bytes.fromhex(one.pack): None if one.chunks is None else frozenset(map(bytes.fromhex, one.chunks))
            for one in record.packs
        }
        return StoredPacks(listing.packs, damaged, max(listing.damage_records), name, warnings)
    return StoredPacks(listing.packs, {}, max(listing.damage_records, default=None), None, warnings)


def _read(system: System, key: str, name: str) -> DamageRecord:
    data = system.store.get(key, length=MAX_MANIFEST_SIZE)
    record = decode_damage(data, key)
    if not name.endswith(content_hash(data).hex()[:8]):
        raise DamageError(f"{key} is not what its name says")
    return record


def record_damage(system: System, damaged: DamagedChunks, known: StoredPacks, now: dt.datetime) -> str:
    """Store a record of all that is damaged, named so that it comes after those `known`; returns its key."""
    packs = [
        DamagedPack(pack_id.hex(), None if chunks is None else sorted(chunk.hex() for chunk in chunks))
        for pack_id, chunks in sorted(damaged.items())
    ]
    found_at = now.astimezone(dt.UTC).replace(microsecond=0)
    data = encode_damage(DamageRecord(found_at=found_at, tool=f"akosha-snap {__version__}", packs=packs))
    key = damage_key(system.id, _name_after(known, content_hash(data), now))
    system.store.put(key, data)
    return key


def _name_after(known: StoredPacks, hashed: bytes, now: dt.datetime) -> str:
    """After the newest; where that is of the last second there is and says nothing, after the newest that does."""
    for newest in (known.newest, known.read):
        try:
            return make_upload_id(hashed, now, newest)
        except ConflictError:
            continue
    raise ConflictError(
        f"damage record {known.read} is of the last second there is", hint="delete it, and repair again"
    )
