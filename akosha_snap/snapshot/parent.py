"""The snapshot a push is compared with, and what the store really holds of it."""

from __future__ import annotations

from typing import NamedTuple

from akosha_snap.errors import DamageError, NothingThereError, ObjectNotFound, StoreNotCreated
from akosha_snap.manifest import Manifest
from akosha_snap.snapshot.chunk_listing import ListBase
from akosha_snap.snapshot.footers import fetch_footer
from akosha_snap.snapshot.inventory import Inventory, PackRef
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.system import System, check_chunk_list

__all__ = ["Parent", "find_parent"]


class Parent(NamedTuple):
    """Where a push starts from.

    `newest` is the newest upload id, readable or not; `upload_id` and `manifest` the newest
    readable one. `list_base` is its chunk list; None also where not every pack that the
    parent names is there with its size: then nothing may come to depend on it.
    """

    inventory: Inventory
    newest: str | None = None
    upload_id: str | None = None
    manifest: Manifest | None = None
    list_base: ListBase | None = None
    is_first: bool = False
    warnings: list[str] = []  # noqa: RUF012 - a NamedTuple's default, never changed


def find_parent(system: System, journal: Journal) -> Parent:
    """The newest readable snapshot and every chunk that need not be uploaded again.

    Raises NewerFormatError where a later akosha-snap has written to this system.
    """
    try:
        is_first = not system.check_format()
    except StoreNotCreated:
        return Parent(Inventory(), is_first=True)
    uploads = system.uploads()
    sizes = system.stored_packs()
    warnings: list[str] = []
    parent = Parent(Inventory(), newest=uploads[0] if uploads else None)
    for upload_id in uploads:
        try:
            manifest = system.manifest(upload_id)
            parent = _open(parent, upload_id, manifest, system.raw_chunk_list(manifest), sizes)
            break
        except (DamageError, NothingThereError) as error:
            warnings.append(f"snapshot {upload_id} cannot be read ({error.message}); `akosha-snap verify` says more")
    _add_pending(system, journal, sizes, parent.inventory)
    return parent._replace(is_first=is_first, warnings=warnings + parent.warnings)


def _open(parent: Parent, upload_id: str, manifest: Manifest, raw_list: bytes, sizes: dict[bytes, int]) -> Parent:
    """`parent` with what this snapshot has, as far as the store still has it. Raises DamageError."""
    pointers = manifest.snapshot.chunk_list
    own_pack = PackRef(manifest.snapshot.list_pack, pointers[-1].pack_size)
    inventory = Inventory()
    lost = inventory.add_chunk_list(check_chunk_list(raw_list, manifest), own_pack, sizes)
    lost += [pack for pointer in pointers if sizes.get(pack := bytes.fromhex(pointer.pack)) != pointer.pack_size]
    return parent._replace(
        inventory=inventory,
        upload_id=upload_id,
        manifest=manifest,
        list_base=None if lost else ListBase(raw_list, pointers),
        warnings=[
            f"pack {pack.hex()} is missing or damaged: what this push needs of it is uploaded again"
            for pack in dict.fromkeys(lost)
        ],
    )


def _add_pending(system: System, journal: Journal, sizes: dict[bytes, int], inventory: Inventory) -> None:
    known = {pack.id for pack in inventory.packs}
    for pack_id in dict.fromkeys(journal.pending()):
        if pack_id in sizes and pack_id not in known:
            try:
                inventory.add_footer(pack_id, sizes[pack_id], fetch_footer(system, pack_id, sizes[pack_id]))
            except (DamageError, ObjectNotFound):
                continue  # a hint that does not hold costs bytes, nothing else
