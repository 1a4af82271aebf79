"""What a push will do: the files as they are now, and the snapshot they are compared with."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from akosha_snap.errors import DamageError
from akosha_snap.events import Observer
from akosha_snap.manifest import decode_manifest
from akosha_snap.snapshot.commit import is_out_of_date
from akosha_snap.snapshot.inventory import Inventory
from akosha_snap.snapshot.last_push import KnownSource, LastPush
from akosha_snap.snapshot.packer import new_salt
from akosha_snap.snapshot.parent import Parent, find_parent, is_current, open_last
from akosha_snap.snapshot.staging import StagedFiles, stage_files, stage_rest
from akosha_snap.snapshot.system import System
from akosha_snap.snapshot.workspace import Workspace
from akosha_snap.source import WAL_SUFFIX, space_needed

__all__ = ["Plan", "PushOptions", "make_plan"]

_TRUSTED_FOR = 86_400.0
"""Seconds for which the store is taken to hold what the last push put there. Then all of it is looked at
again: a push costs more requests once a day, and what the store has lost is uploaded again within one."""


class PushOptions(NamedTuple):
    """How to push; see `akosha_snap.push`, which documents each."""

    full_file: bool = False
    dry_run: bool = False
    mirror: bool = True
    recheck: bool = False
    stage_in_child: bool = True
    state_dir: Path | None = None
    salt: Callable[[], bytes] = new_salt


class Plan(NamedTuple):
    """The files of a push and its parent.

    `last` is the last push of this machine, where that is the parent; `looked_at` when the store
    was last asked for all of it (Unix time, seconds). `is_same`: nothing need be read to know
    that the parent is this very snapshot, which Akosha takes as it is; then `parent` has a manifest and nothing else.
    """

    staged: StagedFiles
    parent: Parent
    last: LastPush | None
    looked_at: float
    is_same: bool = False


def make_plan(
    system: System,
    paths: Sequence[Path],
    workspace: Workspace,
    options: PushOptions,
    observer: Observer,
    now: Callable[[], dt.datetime],
) -> Plan:
    """Stage the files and find their parent. Uploads nothing."""
    observer.phase("stage")
    last = workspace.warm.load()
    before = _before(last, workspace, options) if last and not options.full_file else {}
    _make_room(workspace, paths, before, may_drop=not options.dry_run)
    staged = stage_files(paths, workspace.staging, before, in_child=options.stage_in_child)
    observer.phase("compare")
    moment = now()
    plan = _warm(system, workspace, staged, last, moment) if last and not options.recheck else None
    plan = plan or _cold(system, workspace, staged, None if options.recheck else last, moment.timestamp())
    if staged.unchanged and not plan.is_same and (plan.last is None or plan.parent.list_base is None):
        observer.phase("stage")  # what was left out is needed after all
        _make_room(workspace, paths, {}, may_drop=not options.dry_run)
        plan = plan._replace(staged=stage_rest(staged, workspace.staging, in_child=options.stage_in_child))
    return plan


def _before(last: LastPush, workspace: Workspace, options: PushOptions) -> dict[bytes, KnownSource]:
    """The sources that need not be copied again if they are as they were: not those that the mirror lacks."""
    return {known.path: known for known in last.sources if not options.mirror or workspace.warm.has_copies(known.files)}


def _make_room(
    workspace: Workspace, paths: Sequence[Path], before: dict[bytes, KnownSource], *, may_drop: bool
) -> None:
    seen = {os.fsdecode(path): known.seen for path, known in before.items()}
    needed = sum(space_needed(path, seen.get(str(path.absolute()))) for path in set(paths))
    try:
        workspace.make_room(needed, may_drop=may_drop)
    except OSError as error:
        workspace.warnings.append(f"the disk's free space is not known: {error}")


def _warm(system: System, workspace: Workspace, staged: StagedFiles, last: LastPush, now: dt.datetime) -> Plan | None:
    """The plan with the last push as parent, if that is still the newest snapshot: one request."""
    is_known = {name for known in staged.sources for name in known.files if not name.endswith(WAL_SUFFIX)} <= set(
        last.files
    )
    if not is_known or not 0 <= now.timestamp() - last.looked_at < _TRUSTED_FOR:
        return None
    if not is_current(system, workspace.journal, last):
        return None
    try:
        manifest = decode_manifest(last.manifest, "the manifest of the last push")
        if staged.files or set(staged.unchanged) != set(last.files) or is_out_of_date(manifest, now):
            return Plan(staged, open_last(last), last, last.looked_at)
    except DamageError:  # our own state does not hold together
        return None
    parent = Parent(Inventory(), newest=last.upload_id, upload_id=last.upload_id, manifest=manifest)
    return Plan(staged, parent, last, last.looked_at, is_same=True)


def _cold(system: System, workspace: Workspace, staged: StagedFiles, last: LastPush | None, time: float) -> Plan:
    """The plan with whatever snapshot the store says is the newest."""
    names = {name for known in staged.sources for name in known.files}
    parent = find_parent(system, workspace.journal, names)
    is_last = last and parent.list_base and parent.list_base.raw == last.chunk_list
    return Plan(staged, parent, last if is_last else None, time)
