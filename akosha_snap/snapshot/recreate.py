"""Objects that can be made anew from what is left: markers, format.json, whole files beside their manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from akosha_snap.events import Observer
from akosha_snap.manifest import StoreFormat, encode_format
from akosha_snap.scratch import scratch_folder
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.restore import write_files
from akosha_snap.snapshot.results import LostSnapshot, Problem
from akosha_snap.snapshot.system import System
from akosha_snap.stores import put_file

__all__ = ["is_recreatable", "recreate"]

_FORMAT = {"format_missing", "format_damaged"}
_FULL_FILE = {"full_file_missing", "full_file_size", "full_file_damaged"}


def is_recreatable(problem: Problem, lost: Sequence[LostSnapshot]) -> bool:
    """Whether the object can be made anew: a whole file only from a snapshot that has `lost` nothing."""
    if problem.kind in _FULL_FILE:
        return not {one.upload_id for one in lost}.intersection(problem.snapshots)
    return problem.kind in _FORMAT or problem.kind == "marker_missing"


def recreate(system: System, problem: Problem, findings: Findings) -> None:
    """Put the object there again, in place of a damaged one."""
    if problem.kind == "marker_missing":
        system.store.put(problem.object, b"")
    elif problem.kind in _FORMAT:
        system.store.put(problem.object, encode_format(StoreFormat()))
    else:
        _store_full_file(system, problem, findings)


def _store_full_file(system: System, problem: Problem, findings: Findings) -> None:
    """Restore the file, which checks its every byte, and store it whole."""
    manifest = next(one.manifest for one in findings.opened if one.upload_id in problem.snapshots)
    files = [file for file in manifest.snapshot.files if file.full_file.uri == problem.object]
    with scratch_folder() as folder:
        (restored,) = write_files(system, manifest, folder, files, Observer(), overwrite=False)
        put_file(system.store, problem.object, Path(restored.path))
