"""Leave on this machine what makes the next push cheap: the warm state, and the copies as its mirror."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from akosha_snap.snapshot.cutting import CutFile
from akosha_snap.snapshot.last_push import KnownSource, LastPush
from akosha_snap.snapshot.plan import Plan
from akosha_snap.snapshot.workspace import Workspace

__all__ = ["Snapshot", "remember"]


class Snapshot(NamedTuple):
    """The snapshot that is the newest now: its upload id, its manifest as bytes and that one's size
    on the store in bytes, its chunk list (empty where another process made it at the same moment,
    from packs of its own), and the table that knows its chunks (None: no new ones)."""

    upload_id: str
    manifest: bytes
    manifest_size: int
    chunk_list: bytes
    table: memoryview | None


def remember(
    workspace: Workspace,
    plan: Plan,
    sources: list[KnownSource],
    cut: Sequence[CutFile],
    snapshot: Snapshot,
    *,
    mirror: bool,
) -> list[str]:
    """Save what was pushed, with the copies where `mirror` is set. A failure costs the next push
    bytes and time, so it comes back as a warning."""
    last = LastPush(
        upload_id=snapshot.upload_id,
        manifest=snapshot.manifest,
        manifest_size=snapshot.manifest_size,
        chunk_list=snapshot.chunk_list,
        looked_at=plan.looked_at,
        sources=sources,
        files={one.file.name: one.known for one in cut},
        table=plan.last.table if plan.last else b"",
    )
    folder = workspace.warm.mirror
    copies = None
    if mirror and folder:
        copies = {name: folder / name for name in plan.staged.unchanged}
        copies |= {file.name: Path(file.path) for file in plan.staged.files}
    try:
        if not snapshot.chunk_list:
            workspace.warm.forget()
            return []
        workspace.warm.save(last, snapshot.table, copies)
    except OSError as error:
        return [
            f"the next push will cost more: {error.filename or folder} could not be kept ({error.strerror or error});"
            " free some space there, or set AKOSHA_SNAP_STATE_DIR to another folder"
        ]
    return []
