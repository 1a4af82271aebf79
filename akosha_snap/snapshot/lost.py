"""Which files of which snapshots cannot be restored any more."""

from __future__ import annotations

from akosha_snap.errors import DamageError, NothingThereError
from akosha_snap.snapshot.checks.findings import Findings, Opened
from akosha_snap.snapshot.checks.needed import Location
from akosha_snap.snapshot.decoding import pack_ids
from akosha_snap.snapshot.results import LostFile, LostSnapshot
from akosha_snap.snapshot.system import System

__all__ = ["lost_snapshots"]


def lost_snapshots(system: System, uploads: list[str], findings: Findings) -> list[LostSnapshot]:
    """The snapshots of `uploads` that have lost a file, in that order; `findings` are those of level `data`."""
    opened = {snapshot.upload_id: snapshot for snapshot in findings.opened}
    touched, unreadable = findings.touched(), findings.unreadable()
    lost = []
    for upload_id in uploads:
        if upload_id not in opened:
            lost.append(_without_list(system, upload_id))
        elif upload_id in touched and (files := _lost_files(system, opened[upload_id], unreadable)):
            lost.append(LostSnapshot(upload_id, files))
    return lost


def _without_list(system: System, upload_id: str) -> LostSnapshot:
    """All of a snapshot is lost with its chunk list; with its manifest even the names are."""
    try:
        files = system.manifest(upload_id).snapshot.files
    except (DamageError, NothingThereError):
        return LostSnapshot(upload_id, [])
    return LostSnapshot(upload_id, [LostFile(file.name, file.size) for file in files])


def _lost_files(system: System, snapshot: Opened, unreadable: set[Location]) -> list[LostFile]:
    chunk_list = system.chunk_list(snapshot.manifest)
    packs = pack_ids(chunk_list, snapshot.manifest.snapshot.list_pack)
    bad = {i for i in range(len(chunk_list)) if (packs[chunk_list.pack[i]], chunk_list.offsets[i]) in unreadable}
    return [LostFile(file.name, file.size) for file in chunk_list.files if not bad.isdisjoint(file.frames)]
