"""Level `open`: each snapshot is restored, opened by DuckDB and its records counted."""

from __future__ import annotations

from pathlib import Path

from akosha_snap import source
from akosha_snap.errors import DamageError
from akosha_snap.events import Observer
from akosha_snap.manifest.keys import manifest_key
from akosha_snap.scratch import scratch_folder
from akosha_snap.snapshot.checks.findings import Findings, Opened
from akosha_snap.snapshot.records import add_up
from akosha_snap.snapshot.restore import write_files
from akosha_snap.snapshot.system import System

__all__ = ["check_opening"]


def check_opening(system: System, findings: Findings, observer: Observer) -> None:
    """Restore each snapshot that no problem touches yet into a temporary folder and count."""
    touched = findings.touched()
    for snapshot in findings.opened:
        if snapshot.upload_id not in touched:
            key = manifest_key(system.id, snapshot.upload_id)
            with scratch_folder() as folder:
                try:
                    _open(system, snapshot, folder, findings, key, observer)
                except DamageError as error:
                    findings.problem("open_failed", key, [snapshot.upload_id], error.message)


def _open(system: System, snapshot: Opened, folder: Path, findings: Findings, key: str, observer: Observer) -> None:
    files = snapshot.manifest.snapshot.files
    write_files(system, snapshot.manifest, folder, files, observer, overwrite=False)
    databases = [folder / file.name for file in files if file.kind == "duckdb"]
    try:
        counts = add_up(source.count_records(path) for path in databases)
    except source.UnsupportedStorage as error:
        findings.warnings.append(f"snapshot {snapshot.upload_id} was restored but not opened: {error}")
        return
    named = snapshot.manifest.snapshot.counts
    if named.counted and named != counts:
        findings.problem("counts_differ", key, [snapshot.upload_id], f"DuckDB finds {counts}, the manifest {named}")
