"""Take a snapshot: stage, compare with the store, upload what is absent, commit."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from akosha_snap.errors import NothingThereError
from akosha_snap.events import Observer
from akosha_snap.manifest import Cost, Counts
from akosha_snap.manifest.ids import make_upload_id
from akosha_snap.manifest.root import snapshot_root
from akosha_snap.snapshot.bases import Bases
from akosha_snap.snapshot.commit import (
    commit_manifest,
    file_entries,
    has_full_files,
    make_manifest,
    markers,
    store_format,
    store_full_files,
)
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.packer import Packer
from akosha_snap.snapshot.parent import Parent, find_parent
from akosha_snap.snapshot.results import PushedFile, PushResult
from akosha_snap.snapshot.staging import StagedFiles, count, stage_files
from akosha_snap.snapshot.storing import StoredFiles, store_chunk_list, store_files
from akosha_snap.snapshot.system import System
from akosha_snap.snapshot.workspace import Workspace, open_workspace

__all__ = ["PushOptions", "push_files"]


class PushOptions(NamedTuple):
    """How to push; see `akosha_snap.push`, which documents each."""

    full_file: bool = False
    dry_run: bool = False
    stage_in_child: bool = True
    state_dir: Path | None = None


class _Plan(NamedTuple):
    staged: StagedFiles
    parent: Parent
    counts: Counts
    warnings: list[str]


def push_files(
    system: System,
    paths: Sequence[Path],
    options: PushOptions,
    observer: Observer,
    now: Callable[[], dt.datetime],
) -> PushResult:
    """Snapshot `paths` as one snapshot of `system`."""
    if not paths:
        raise NothingThereError("no file to push", hint="name at least one")
    started = time.monotonic()
    with open_workspace(options.state_dir, system) as workspace:
        plan = _plan(system, paths, workspace, options, observer)
        result = _run(system, plan, workspace, options, observer, now())
    return msgspec.structs.replace(
        result,
        dry_run=options.dry_run,
        bytes_transferred=system.meter.bytes_sent,
        bytes_received=system.meter.bytes_received,
        requests=system.meter.requests,
        duration_seconds=round(time.monotonic() - started, 3),
    )


def _plan(
    system: System, paths: Sequence[Path], workspace: Workspace, options: PushOptions, observer: Observer
) -> _Plan:
    """Everything that can fail before a byte is uploaded."""
    observer.phase("stage")
    staged = stage_files(paths, workspace.staging, in_child=options.stage_in_child)
    observer.phase("compare")
    parent = find_parent(system, workspace.journal)
    previous = parent.manifest.snapshot.counts if parent.manifest else None
    counts, doubts = count(staged.files, previous)
    return _Plan(staged, parent, counts, staged.warnings + parent.warnings + doubts)


def _run(
    system: System, plan: _Plan, workspace: Workspace, options: PushOptions, observer: Observer, now: dt.datetime
) -> PushResult:
    parent = plan.parent
    journal = Journal(None) if options.dry_run else workspace.journal
    with Packer(system, parent.inventory, journal) as packer:
        stored = store_files(plan.staged.files, parent.inventory, Bases(), packer, observer)
        root = snapshot_root((file.name, file.size, file.blake3) for file in stored.files)
        result = _describe(system, plan, stored)
        if _is_unchanged(system, parent, root, stored, options):
            return msgspec.structs.replace(result, unchanged=True, upload_id=parent.upload_id)
        upload_id = make_upload_id(root, now, parent.newest)
        for marker in markers(system, upload_id, is_first=parent.newest is None):
            packer.put_beside(marker)
        chunk_list = store_chunk_list(stored.files, parent.inventory, packer, parent.list_base)
    observer.phase("commit")
    entries = file_entries(system, upload_id, plan.staged.files, stored.files, stored=options.full_file)
    full_files = store_full_files(system, plan.staged.files, entries) if options.full_file else []
    formats = store_format(system) if parent.is_first else []
    manifest = make_manifest(
        root=root,
        parent=parent.upload_id,
        entries=entries,
        chunk_list=chunk_list,
        counts=plan.counts,
        cost=Cost(plan.staged.bytes_read, system.meter.bytes_sent, sum(stored.new), packer.packs),
        now=now,
    )
    committed = commit_manifest(system, upload_id, manifest)
    journal.clear()
    return msgspec.structs.replace(
        result,
        upload_id=None if options.dry_run else upload_id,
        files_uploaded=[*packer.keys, *full_files, *formats, committed],
    )


def _is_unchanged(system: System, parent: Parent, root: bytes, stored: StoredFiles, options: PushOptions) -> bool:
    """Whether the newest snapshot is this very one already, whole and in the form asked for."""
    if parent.manifest is None or parent.list_base is None or parent.upload_id != parent.newest or any(stored.new):
        return False
    there = parent.manifest.snapshot
    if there.root != root.hex():
        return False
    return not options.full_file or has_full_files(system, there.files)


def _describe(system: System, plan: _Plan, stored: StoredFiles) -> PushResult:
    return PushResult(
        system_id=system.id,
        store=system.store.url,
        is_first=plan.parent.newest is None,
        files=[
            PushedFile(file.name, file.size, len(file.chunks), new)
            for file, new in zip(stored.files, stored.new, strict=True)
        ],
        counts=plan.counts,
        bytes_read=plan.staged.bytes_read,
        warnings=plan.warnings,
    )
