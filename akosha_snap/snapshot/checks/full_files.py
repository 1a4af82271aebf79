"""Level `data`, for files stored whole beside their manifest: their bytes hash to what it names."""

from __future__ import annotations

from akosha_snap.errors import ObjectNotFound
from akosha_snap.snapshot.checks.digest import stored_digest
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.system import System

__all__ = ["check_full_files"]


def check_full_files(system: System, findings: Findings) -> None:
    """Hash every whole file that was stored beside its manifest."""
    seen = {problem.object for problem in findings.problems}
    for snapshot in findings.opened:
        for file in snapshot.manifest.snapshot.files:
            pointer = file.full_file
            if not pointer.stored or pointer.uri in seen:
                continue
            try:
                digests = (stored_digest(system, pointer.uri, pointer.size).hex() for _ in range(2))
                is_damaged = all(digest != pointer.blake3 for digest in digests)  # one may be damaged on its way
            except ObjectNotFound:  # it was there a moment ago: pruned meanwhile, with its snapshot
                findings.problem("full_file_missing", pointer.uri, [snapshot.upload_id], "no such object in the store")
                continue
            if is_damaged:
                detail = "its bytes do not hash to what the manifest names"
                findings.problem("full_file_damaged", pointer.uri, [snapshot.upload_id], detail)
