"""Level `manifest`: the markers by which Akosha finds the system and each of its uploads are there."""

from __future__ import annotations

from akosha_snap.errors import ObjectNotFound
from akosha_snap.manifest.keys import system_marker, upload_marker
from akosha_snap.snapshot.ahead import in_threads
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.system import System

__all__ = ["check_markers"]


def check_markers(system: System, findings: Findings) -> None:
    """Ask for each marker: a request for every snapshot that could be read, and one more."""
    users = {upload_marker(system.id, one.upload_id): [one.upload_id] for one in findings.opened}
    users[system_marker(system.id)] = [one.upload_id for one in findings.opened]

    def is_there(key: str) -> bool:
        try:
            system.store.head(key)
        except ObjectNotFound:
            return False
        return True

    for key, found in zip(users, in_threads(is_there, users), strict=True):
        if not found:
            detail = "no such marker in the store: Akosha does not see what it marks"
            findings.problem("marker_missing", key, users[key], detail)
