"""The snapshot a push is compared with, and what the store really holds of it."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from akosha_snap.errors import (
    BusyError,
    DamageError,
    NewerFormatError,
    NothingThereError,
    ObjectNotFound,
    StoreNotCreated,
)
from akosha_snap.manifest import ChunkList, FrameLocation, Manifest, decode_chunk_list, decode_manifest
from akosha_snap.snapshot.chunk_listing import ListBase
from akosha_snap.snapshot.damage import StoredPacks, read_stored_packs
from akosha_snap.snapshot.footers import fetch_footer
from akosha_snap.snapshot.inventory import Inventory, PackRef
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.last_push import LastPush
from akosha_snap.snapshot.list_reader import check_chunk_list
from akosha_snap.snapshot.mark_reader import read_marks
from akosha_snap.snapshot.system import System

__all__ = ["Parent", "find_parent", "is_current", "open_last"]


class Parent(NamedTuple):
    """Where a push starts from.

    `newest` is the newest upload id, readable or not; `upload_id`, `manifest` and its size in
    bytes the newest readable one; `files` the chunks of each of its files, by their numbers in
    the inventory. `list_base` is its chunk list; None also where not every pack that the
    parent names is there with its size and undamaged: then nothing may come to depend on it.
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
    """Whether the last push of this machine is still the newest snapshot. One request, as a rule.

    False also where an interrupted push has left packs: they are found by listing all.
    """
    try:
        return not journal.pending() and system.is_newest(last.upload_id, last.manifest, last.manifest_size)
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


_LOOK_BACK = 16
"""Snapshots looked at for a file that the newest one does not have."""


def find_parent(system: System, journal: Journal, names: set[str]) -> Parent:
    """The newest readable snapshot and every chunk that need not be uploaded again.

    Files of these `names` that it does not have are looked for in those before it.
    Raises NewerFormatError where a later akosha-snap has written to this system.
    """
    try:
        is_first = not system.check_format()
    except StoreNotCreated:
        return Parent(Inventory(), is_first=True)
    uploads = system.uploads()
    pending = _pending(system, journal)
    there = read_stored_packs(system, system.listing())
    warnings = list(there.warnings)
    parent = Parent(Inventory(), newest=uploads[0] if uploads else None)
    for upload_id in uploads:
        try:
            manifest, size = system.sized_manifest(upload_id)
            raw = system.raw_chunk_list(manifest)
            found = parent._replace(upload_id=upload_id, manifest_size=size)
            parent = _with_snapshot(found, manifest, raw, check_chunk_list(raw, manifest), there)
            break
        except (DamageError, NothingThereError) as error:
            warnings.append(f"snapshot {upload_id} cannot be read ({error.message}); `akosha-snap verify` says more")
    older = [upload_id for upload_id in uploads if parent.upload_id and upload_id < parent.upload_id]
    _add_older(system, older[:_LOOK_BACK], names - parent.files.keys(), there, parent.inventory)
    _add_pending(system, pending, there, parent.inventory)
    return parent._replace(is_first=is_first, warnings=warnings + parent.warnings)


def _with_snapshot(
    parent: Parent, manifest: Manifest, raw_list: bytes, chunk_list: ChunkList, there: StoredPacks | None
) -> Parent:
    """`parent` with what this snapshot has, as far as the store still has it."""
    pointers = manifest.snapshot.chunk_list
    own_pack = PackRef(manifest.snapshot.list_pack, pointers[-1].pack_size)
    inventory = Inventory()
    numbers, lost = inventory.add_chunk_list(chunk_list, own_pack, there)
    if there is not None:
        lost += [bytes.fromhex(pointer.pack) for pointer in pointers if not _is_whole(pointer, there)]
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


def _is_whole(frame: FrameLocation, there: StoredPacks) -> bool:
    pack_id = bytes.fromhex(frame.pack)
    return there.has_pack(pack_id, frame.pack_size) and not there.is_damaged(pack_id, bytes.fromhex(frame.hash))


def _add_older(system: System, uploads: list[str], names: set[str], there: StoredPacks, inventory: Inventory) -> None:
    """Take over the chunks of the newest of these snapshots that has the files of these names."""
    for upload_id in uploads:
        if not names:
            return
        try:
            manifest = system.manifest(upload_id)
            found = names & {file.name for file in manifest.snapshot.files}
            if found:
                own_pack = PackRef(manifest.snapshot.list_pack, manifest.snapshot.chunk_list[-1].pack_size)
                inventory.add_chunk_list(system.chunk_list(manifest), own_pack, there)
                names = names - found
        except (DamageError, NothingThereError):
            continue  # it would only have saved bytes


def _pending(system: System, journal: Journal) -> list[bytes]:
    """The packs of an interrupted push that this one may rely on: no snapshot needs them, so prune may have
    marked them, and then may delete them at any time. To be asked before the packs are listed."""
    if not (pending := list(dict.fromkeys(journal.pending()))):
        return []
    try:
        marks = read_marks(system).values()
    except (BusyError, NewerFormatError):
        return []
    return [pack for pack in pending if all(mark and pack.hex() not in mark.since for mark in marks)]


def _add_pending(system: System, pending: list[bytes], there: StoredPacks, inventory: Inventory) -> None:
    known = {pack.id for pack in inventory.packs}
    for pack_id in pending:
        if pack_id in there.sizes and pack_id not in known and pack_id not in there.damaged:
            try:
                size = there.sizes[pack_id]
                inventory.add_footer(pack_id, size, fetch_footer(system, pack_id, size))
            except (DamageError, ObjectNotFound):
                continue  # a hint that does not hold costs bytes, nothing else
