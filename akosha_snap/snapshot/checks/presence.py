"""Level `manifest`: manifests and chunk lists parse, every pack is there with its size."""

from __future__ import annotations

from akosha_snap.errors import DamageError, NothingThereError, ObjectNotFound
from akosha_snap.manifest.keys import format_key, manifest_key, pack_key
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.checks.markers import check_markers
from akosha_snap.snapshot.list_reader import ListDamage
from akosha_snap.snapshot.system import System

__all__ = ["check_presence"]


def check_presence(system: System, uploads: list[str], findings: Findings) -> None:
    """Read every manifest and chunk list, then compare the packs they name with those the store lists.

    Raises NewerFormatError: what a later version wrote is not for this one to judge.
    """
    _check_format(system, uploads, findings)
    for upload_id in sorted(uploads):  # the oldest first: a chunk list needs those before it
        _open(system, upload_id, findings)
    _check_parents(uploads, findings)
    _check_packs(system, findings)
    check_markers(system, findings)
    _check_full_files(system, findings)


def _check_format(system: System, uploads: list[str], findings: Findings) -> None:
    findings.objects += 1
    key = format_key(system.id)
    try:
        if not system.check_format():
            findings.problem("format_missing", key, uploads, "format.json is missing; the next push writes it again")
    except DamageError as error:
        findings.problem("format_damaged", key, uploads, error.message)


def _open(system: System, upload_id: str, findings: Findings) -> None:
    findings.objects += 1
    key = manifest_key(system.id, upload_id)
    try:
        manifest = system.manifest(upload_id)
    except NothingThereError:
        findings.problem("manifest_missing", key, [upload_id], "the manifest is gone since it was listed")
        return
    except DamageError as error:
        findings.problem("manifest_damaged", key, [upload_id], error.message)
        return
    try:
        chunk_list = system.chunk_list(manifest)
    except DamageError as error:
        own_pack = pack_key(system.id, manifest.snapshot.list_pack)
        key = error.key if isinstance(error, ListDamage) else own_pack
        findings.problem("chunk_list_damaged", key, [upload_id], error.message)
        return
    findings.add_snapshot(upload_id, manifest, chunk_list)


def _check_parents(uploads: list[str], findings: Findings) -> None:
    """A snapshot that another names as its parent and that is gone was pruned, or its manifest was lost."""
    oldest = min(uploads)
    for snapshot in findings.opened:
        parent = snapshot.manifest.snapshot.parent
        if len(uploads) > 1 and parent and parent > oldest and parent not in uploads:
            findings.warnings.append(f"{parent}, the parent of {snapshot.upload_id}, is gone: pruned, or lost")


def _check_packs(system: System, findings: Findings) -> None:
    sizes = findings.stored = system.listing().packs
    expected: dict[bytes, set[int]] = {}
    for snapshot in findings.opened:
        for pack_id, size in snapshot.pack_sizes.items():
            expected.setdefault(pack_id, set()).add(size)
    findings.objects += len(expected)
    for pack_id, named in expected.items():
        key, there = pack_key(system.id, pack_id), sizes.get(pack_id)
        if there is None:
            findings.problem("pack_missing", key, findings.users(pack_id), "no such object in the store")
        elif named != {there}:
            wanted = " or ".join(str(n) for n in sorted(named - {there}))
            findings.problem("pack_size", key, findings.users(pack_id), f"{there} bytes where {wanted} are named")


def _check_full_files(system: System, findings: Findings) -> None:
    for snapshot in findings.opened:
        for file in snapshot.manifest.snapshot.files:
            if not file.full_file.stored:
                continue
            findings.objects += 1
            key = file.full_file.uri
            try:
                there = system.store.head(key).size
            except ObjectNotFound:
                findings.problem("full_file_missing", key, [snapshot.upload_id], "no such object in the store")
                continue
            if there != file.full_file.size:
                detail = f"{there} bytes where {file.full_file.size} are named"
                findings.problem("full_file_size", key, [snapshot.upload_id], detail)
