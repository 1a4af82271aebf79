"""Damage that `repair` has found: a push counts it as absent, and so uploads it again.

It can only subtract from what the store lists: a record that is stale or that lies costs bytes, nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from akosha_snap.errors import DamageError, ObjectNotFound
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


class StoredPacks(NamedTuple):
    """The packs a store lists, by id with their sizes in bytes, and what is known to be damaged of them.

    `newest` is the name of the newest damage record, None where there is none.
    """

    sizes: dict[bytes, int]
    damaged: DamagedChunks = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    newest: str | None = None
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
    """What is listed, less what the newest damage record names; a request where there is one.

    One that cannot be read subtracts nothing, with a warning. Raises NewerFormatError.
    """
    if not listing.damage_records:
        return StoredPacks(listing.packs)
    newest = max(listing.damage_records)
    key = damage_key(system.id, newest)

    def read() -> DamageRecord:
        data = system.store.get(key, length=MAX_MANIFEST_SIZE)
        record = decode_damage(data, key)
        if not newest.endswith(content_hash(data).hex()[:8]):
            raise DamageError(f"{key} is not what its name says")
        return record

    try:
        record = twice(read)
    except (DamageError, ObjectNotFound) as error:
        warning = f"{key} cannot be read ({error.message}): what it says is damaged is not healed; repair again"
        return StoredPacks(listing.packs, {}, newest, [warning])
    damaged = {
        bytes.fromhex(one.pack): None if one.chunks is None else frozenset(map(bytes.fromhex, one.chunks))
        for one in record.packs
    }
    return StoredPacks(listing.packs, damaged, newest)


def record_damage(system: System, damaged: DamagedChunks, newest: str | None, now: dt.datetime) -> str:
    """Store a record of all that is damaged, named so that it comes after the `newest`; returns its key."""
    packs = [
        DamagedPack(pack_id.hex(), None if chunks is None else sorted(chunk.hex() for chunk in chunks))
        for pack_id, chunks in sorted(damaged.items())
    ]
    found_at = now.astimezone(dt.UTC).replace(microsecond=0)
    data = encode_damage(DamageRecord(found_at=found_at, tool=f"akosha-snap {__version__}", packs=packs))
    key = damage_key(system.id, make_upload_id(content_hash(data), now, newest))
    system.store.put(key, data)
    return key
