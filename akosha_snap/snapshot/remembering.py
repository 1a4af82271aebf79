"""Leave on this machine what makes the next push cheap: the warm state, and the copies as its mirror."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from akosha_snap.snapshot.cutting import CutFile
from akosha_snap.snapshot.last_push import KnownSource, LastPush, WarmState
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
    table: Iterable[bytes] | None


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
    warm = workspace.warm
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
    warnings: list[str] = []
    try:
        warm.forget()
        warnings += _keep(warm, plan, mirror=mirror and workspace.has_room)
        if snapshot.chunk_list:
            warm.save(last, snapshot.table)
    except OSError as error:
        warnings.append(_warning("what is known of this push", error))
    return warnings


def _keep(warm: WarmState, plan: Plan, *, mirror: bool) -> list[str]:
    try:
        if not mirror:
            warm.drop_mirror()
        elif warm.mirror:
            kept = {name: warm.mirror / name for name in plan.staged.unchanged if warm.has_copies([name])}
            warm.keep_copies(kept | {file.name: Path(file.path) for file in plan.staged.files})
    except OSError as error:
        return [_warning("the copies of this push" if mirror else "the state without the old copies", error)]
    return []


def _warning(what: str, error: OSError) -> str:
    why = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return (
        f"{what} could not be kept ({why}), so the next push will cost more;"
        " mend that, or set AKOSHA_SNAP_STATE_DIR to another folder"
    )
