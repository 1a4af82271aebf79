"""The snapshot a push is compared with, and what the store really holds of it."""

from __future__ import annotations

from typing import NamedTuple

from akosha_snap.errors import DamageError, NothingThereError, ObjectNotFound, StoreNotCreated
from akosha_snap.manifest import Manifest
from akosha_snap.manifest.keys import pack_id_of, packs_prefix
from akosha_snap.snapshot.footers import fetch_footer
from akosha_snap.snapshot.inventory import Inventory, PackRef
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.system import System
from akosha_snap.stores import list_all

__all__ = ["Parent", "find_parent"]


class Parent(NamedTuple):
    """Where a push starts from. `newest` is the newest upload id, readable or not.

    `is_whole`: every pack the parent names is there with its size.
    """

    newest: str | None
    upload_id: str | None
    manifest: Manifest | None
    inventory: Inventory
    is_first: bool
    is_whole: bool
    warnings: list[str]


def find_parent(system: System, journal: Journal) -> Parent:
    """The newest readable snapshot and every chunk that need not be uploaded again.

    Raises NewerFormatError where a later akosha-snap has written to this system.
    """
    inventory = Inventory()
    warnings: list[str] = []
    try:
        is_first = not system.check_format()
    except StoreNotCreated:
        return Parent(None, None, None, inventory, is_first=True, is_whole=False, warnings=warnings)
    uploads = system.uploads()
    sizes = _stored_packs(system)
    for upload_id in uploads:
        try:
            manifest = system.manifest(upload_id)
            chunk_list = system.chunk_list(manifest)
        except (DamageError, NothingThereError) as error:
            warnings.append(f"snapshot {upload_id} cannot be read ({error.message}); `akosha-snap verify` says more")
            continue
        pointers = manifest.snapshot.chunk_list
        own_pack = PackRef(bytes.fromhex(pointers[-1].pack), pointers[-1].pack_size)
        lost = inventory.add_chunk_list(chunk_list, own_pack, sizes)
        lost += [pack for pointer in pointers if sizes.get(pack := bytes.fromhex(pointer.pack)) != pointer.pack_size]
        warnings += [
            f"pack {pack.hex()} is missing or damaged: what this push needs of it is uploaded again"
            for pack in dict.fromkeys(lost)
        ]
        _add_pending(system, journal, sizes, inventory)
        return Parent(uploads[0], upload_id, manifest, inventory, is_first, not lost, warnings)
    _add_pending(system, journal, sizes, inventory)
    return Parent(uploads[0] if uploads else None, None, None, inventory, is_first, False, warnings)


def _stored_packs(system: System) -> dict[bytes, int]:
    """Id and size in bytes of each pack the store lists."""
    found = ((pack_id_of(info.key), info.size) for info in list_all(system.store, packs_prefix(system.id)))
    return {pack_id: size for pack_id, size in found if pack_id}


def _add_pending(system: System, journal: Journal, sizes: dict[bytes, int], inventory: Inventory) -> None:
    known = {pack.id for pack in inventory.packs}
    for pack_id in dict.fromkeys(journal.pending()):
        if pack_id in sizes and pack_id not in known:
            try:
                inventory.add_footer(pack_id, sizes[pack_id], fetch_footer(system, pack_id, sizes[pack_id]))
            except (DamageError, ObjectNotFound):
                continue  # a hint that does not hold costs bytes, nothing else
