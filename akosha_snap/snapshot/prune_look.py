"""What a prune sees of a system before it changes anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from akosha_snap.errors import AkoshaSnapError, BusyError, DamageError, NothingThereError
from akosha_snap.manifest.keys import manifest_key, system_marker, upload_object
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.damage import StoredPacks, read_stored_packs
from akosha_snap.snapshot.decoding import pack_ids
from akosha_snap.snapshot.retention import KeepRules, reasons_to_keep
from akosha_snap.snapshot.system import System
from akosha_snap.stores import list_all

__all__ = ["Look", "look"]

_CLOCKS_DIFFER = dt.timedelta(hours=1)


class Look(NamedTuple):
    """`reasons`: why each snapshot is kept, newest first; dropped are those without one.

    `needed` are the packs of those that stay, `released` the others that dropped ones name; `is_blind`:
    one to be dropped cannot be read, so what it names is not known. `sizes` are bytes by pack id.
    `uploads` has the keys and sizes of all that lies in the place of each upload, `strays` the uploads
    there without a manifest.
    """

    reasons: dict[str, list[str]]
    needed: set[bytes]
    released: set[bytes]
    is_blind: bool
    sizes: dict[bytes, int]
    uploads: dict[str, dict[str, int]]

    @property
    def dropped(self) -> list[str]:
        """The snapshots that no rule keeps, newest first."""
        return [upload_id for upload_id, reasons in self.reasons.items() if not reasons]

    @property
    def strays(self) -> list[str]:
        """Uploads that are no snapshot: a push that was interrupted left whole files, or a prune did."""
        return sorted(self.uploads.keys() - self.reasons.keys())


def look(system: System, rules: KeepRules, now: dt.datetime) -> Look:
    """Read every manifest and chunk list, then list the packs.

    Raises NewerFormatError; DamageError where a snapshot that stays cannot be read: nobody knows what it
    needs; BusyError where another prune dropped all that was listed; AkoshaSnapError where the newest
    snapshot is from the future.
    """
    system.check_format()
    uploads = _uploads(system)
    committed = sorted(upload for upload, objects in uploads.items() if manifest_key(system.id, upload) in objects)
    read = {upload_id: _read(system, upload_id) for upload_id in committed}  # a list needs those before it
    there = {upload_id: found for upload_id, found in read.items() if not isinstance(found, NothingThereError)}
    if committed and not there:
        raise BusyError(
            f"every snapshot of {system.name} that was listed is gone: another prune dropped them, for a newer one",
            hint="prune again; nothing was deleted",
        )
    if not there:  # not even where there are packs: they may be all that is left of some
        raise NothingThereError(f"no snapshot of {system.name}", hint="nothing was deleted; check --system-id")
    listing = system.listing()
    reasons = reasons_to_keep(there, rules)
    _keep_a_whole_one(system, reasons, there, read_stored_packs(system, listing))
    needed: set[bytes] = set()
    released: set[bytes] = set()
    is_blind = False
    for upload_id, why in reasons.items():
        found = there[upload_id]
        if isinstance(found, DamageError):
            if why:
                raise DamageError(
                    f"snapshot {upload_id} is to be kept ({', '.join(why)}) and cannot be read, so what it needs "
                    f"is not known, and nothing was deleted: {found.message}",
                    hint=f"see `akosha-snap verify all`; to give it up, delete {manifest_key(system.id, upload_id)}",
                )
            is_blind = True
        else:
            if "newest" in why:
                _check_clock(upload_id, found.uploaded_at, now)
            (needed if why else released).update(found.packs)
    gone = read.keys() - there.keys()
    uploads = {upload_id: objects for upload_id, objects in uploads.items() if upload_id not in gone}
    return Look(reasons, needed, released - needed, is_blind, listing.packs, uploads)


def _uploads(system: System) -> dict[str, dict[str, int]]:
    """Key and size in bytes of every object in the place of an upload, by upload id."""
    uploads: dict[str, dict[str, int]] = {}
    for info in list_all(system.store, system_marker(system.id)):
        if upload_id := upload_object(info.key):
            uploads.setdefault(upload_id, {})[info.key] = info.size
    return uploads


class _Snapshot(NamedTuple):
    """Every pack it names, with its size in bytes, and when its writer's clock says it was pushed."""

    packs: dict[bytes, int]
    uploaded_at: dt.datetime


def _read(system: System, upload_id: str) -> _Snapshot | NothingThereError | DamageError:
    """One snapshot; the error where it is gone since it was listed, or cannot be read."""
    try:
        manifest = system.manifest(upload_id)
        chunk_list = system.chunk_list(manifest)
    except NothingThereError as error:
        return error
    except DamageError as error:
        return error if system.has(upload_id) else NothingThereError(f"snapshot {upload_id} is gone")
    own = manifest.snapshot.list_pack
    packs = dict(zip(pack_ids(chunk_list, own), chunk_list.pack_sizes, strict=True))
    packs |= {bytes.fromhex(frame.pack): frame.pack_size for frame in manifest.snapshot.chunk_list}
    return _Snapshot(packs, manifest.uploaded_at)


def _keep_a_whole_one(
    system: System, reasons: dict[str, list[str]], there: Mapping[str, _Snapshot | DamageError], stored: StoredPacks
) -> None:
    """Where the newest snapshot is known to be damaged, the newest that is not stays too: it can be restored."""
    for upload_id, why in reasons.items():
        found = there[upload_id]
        if not isinstance(found, DamageError) and _is_whole(system, upload_id, found, stored):
            if not why:
                why.append("newest whole")
            return


def _is_whole(system: System, upload_id: str, found: _Snapshot, stored: StoredPacks) -> bool:
    """Whether all its packs are there with their sizes, and no record says that it needs anything damaged."""
    if not all(stored.has_pack(pack, size) for pack, size in found.packs.items()):
        return False
    if stored.damaged.keys().isdisjoint(found.packs):
        return True
    findings = Findings()
    try:
        manifest = system.manifest(upload_id)
        findings.add_snapshot(upload_id, manifest, system.chunk_list(manifest))
    except (DamageError, NothingThereError):
        return False
    return not any(
        stored.is_damaged(pack, frame.hash) for pack, frames in findings.frames.items() for frame in frames.values()
    )


def _check_clock(newest: str, uploaded_at: dt.datetime, now: dt.datetime) -> None:
    """By a clock that runs behind, packs would seem to have waited for longer to the next run."""
    if uploaded_at > now + _CLOCKS_DIFFER:
        raise AkoshaSnapError(
            f"snapshot {newest} was taken at {uploaded_at:%Y-%m-%d %H:%M:%SZ}, later than it is now "
            f"by this machine's clock ({now:%Y-%m-%d %H:%M:%SZ}); nothing was deleted",
            hint="set the clock, here or where that snapshot was taken; then prune again",
        )
