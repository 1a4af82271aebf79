"""Level `data`, for files stored whole beside their manifest: their bytes hash to what it names."""

from __future__ import annotations

from blake3 import blake3

from akosha_snap.errors import ObjectNotFound
from akosha_snap.manifest import FullFile
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.system import System

__all__ = ["check_full_files"]

_READ = 8 * 1024 * 1024
"""Bytes of one read."""


def check_full_files(system: System, findings: Findings) -> None:
    """Hash every whole file that was stored beside its manifest."""
    seen = {problem.object for problem in findings.problems}
    for snapshot in findings.opened:
        for file in snapshot.manifest.snapshot.files:
            pointer = file.full_file
            if not pointer.stored or pointer.uri in seen:
                continue
            try:
                is_damaged = all(_digest(system, pointer) != pointer.blake3 for _ in range(2))  # it may be on its way
            except ObjectNotFound:  # it was there a moment ago: pruned meanwhile, with its snapshot
                findings.problem("full_file_missing", pointer.uri, [snapshot.upload_id], "no such object in the store")
                continue
            if is_damaged:
                detail = "its bytes do not hash to what the manifest names"
                findings.problem("full_file_damaged", pointer.uri, [snapshot.upload_id], detail)


def _digest(system: System, pointer: FullFile) -> str:
    hasher, position = blake3(), 0
    while position < pointer.size and (data := system.store.get(pointer.uri, start=position, length=_READ)):
        hasher.update(data)
        position += len(data)
    return hasher.hexdigest()
