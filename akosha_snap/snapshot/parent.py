"""The snapshot a push is compared with, and what the store really holds of it."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from akosha_snap.errors import DamageError, NothingThereError, ObjectNotFound, StoreNotCreated
from akosha_snap.manifest import ChunkList, Manifest, decode_chunk_list, decode_manifest
from akosha_snap.snapshot.chunk_listing import ListBase
from akosha_snap.snapshot.footers import fetch_footer
from akosha_snap.snapshot.inventory import Inventory, PackRef
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.last_push import LastPush
from akosha_snap.snapshot.list_reader import check_chunk_list
from akosha_snap.snapshot.system import System

__all__ = ["Parent", "find_parent", "is_current", "open_last"]


class Parent(NamedTuple):
    """Where a push starts from.

    `newest` is the newest upload id, readable or not; `upload_id`, `manifest` and its size in
    bytes the newest readable one; `files` the chunks of each of its files, by their numbers in
    the inventory. `list_base` is its chunk list; None also where not every pack that the
    parent names is there with its size: then nothing may come to depend on it.
    """

    inventory: Inventory
    newest: str | None = None
    upload_id: str | None = None
    manifest: Manifest | None = None
    manifest_size: int = 0
    list_base: ListBase | None = None
    files: dict[str, array[int]] = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    is_first: bool = False
    warnings: list[str] = []  # noqa: RUF012


def is_current(system: System, journal: Journal, last: LastPush) -> bool:
    """Whether the last push of this machine is still the newest snapshot. One request.

    False also where an interrupted push has left packs: they are found by listing all.
    """
    try:
        return not journal.pending() and system.is_newest(last.upload_id, last.manifest_size)
    except StoreNotCreated:
        return False


def open_last(last: LastPush) -> Parent:
    """The last push as parent, all its packs taken to be in the store. Raises DamageError."""
    manifest = decode_manifest(last.manifest, "the manifest of the last push")
    chunk_list = decode_chunk_list(last.chunk_list, "the chunk list of the last push")
    return _with_snapshot(
        Parent(Inventory(), newest=last.upload_id, upload_id=last.upload_id, manifest_size=last.manifest_size),
        manifest,
        last.chunk_list,
        chunk_list,
        None,
    )


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
            manifest, size = system.sized_manifest(upload_id)
            raw = system.raw_chunk_list(manifest)
            found = parent._replace(upload_id=upload_id, manifest_size=size)
            parent = _with_snapshot(found, manifest, raw, check_chunk_list(raw, manifest), sizes)
            break
        except (DamageError, NothingThereError) as error:
            warnings.append(f"snapshot {upload_id} cannot be read ({error.message}); `akosha-snap verify` says more")
    _add_pending(system, journal, sizes, parent.inventory)
    return parent._replace(is_first=is_first, warnings=warnings + parent.warnings)


def _with_snapshot(
    parent: Parent, manifest: Manifest, raw_list: bytes, chunk_list: ChunkList, sizes: dict[bytes, int] | None
) -> Parent:
    """`parent` with what this snapshot has, as far as the store still has it."""
    pointers = manifest.snapshot.chunk_list
    own_pack = PackRef(manifest.snapshot.list_pack, pointers[-1].pack_size)
    inventory = Inventory()
    numbers, lost = inventory.add_chunk_list(chunk_list, own_pack, sizes)
    if sizes is not None:
        lost += [pack for pointer in pointers if sizes.get(pack := bytes.fromhex(pointer.pack)) != pointer.pack_size]
    return parent._replace(
        inventory=inventory,
        manifest=manifest,
        list_base=None if lost else ListBase(raw_list, pointers),
        files={file.name: array("I", [numbers[frame] for frame in file.frames]) for file in chunk_list.files},
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
