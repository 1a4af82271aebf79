"""Level `data`, for files stored whole beside their manifest: their bytes hash to what it names."""

from __future__ import annotations

from blake3 import blake3

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
            hasher, position = blake3(), 0
            while position < pointer.size and (data := system.store.get(pointer.uri, start=position, length=_READ)):
                hasher.update(data)
                position += len(data)
            if hasher.hexdigest() != pointer.blake3:
                detail = "its bytes do not hash to what the manifest names"
                findings.problem("full_file_damaged", pointer.uri, [snapshot.upload_id], detail)
