"""Take a snapshot: stage, compare with the store, upload what is absent, commit."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from akosha_snap.errors import AkoshaSnapError, NothingThereError
from akosha_snap.events import Observer
from akosha_snap.manifest import Cost, Counts, encode_manifest
from akosha_snap.manifest.ids import make_upload_id
from akosha_snap.manifest.keys import upload_key
from akosha_snap.manifest.root import snapshot_root
from akosha_snap.snapshot.bases import Bases
from akosha_snap.snapshot.chunk_listing import ChunkedFile
from akosha_snap.snapshot.commit import (
    commit_manifest,
    file_entries,
    has_full_files,
    is_out_of_date,
    make_manifest,
    markers,
    store_format,
    store_full_files,
)
from akosha_snap.snapshot.cutting import CutFile, cut_files
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.packer import Packer
from akosha_snap.snapshot.parent import Parent
from akosha_snap.snapshot.plan import Plan, PushOptions, make_plan
from akosha_snap.snapshot.remembering import Snapshot, remember
from akosha_snap.snapshot.results import PushedFile, PushResult
from akosha_snap.snapshot.staging import counting
from akosha_snap.snapshot.storing import StoredList, store_chunk_list, store_files
from akosha_snap.snapshot.system import System
from akosha_snap.snapshot.time_limit import PUSH_LIMIT, TimeLimit
from akosha_snap.snapshot.workspace import Workspace, open_workspace

__all__ = ["PushOptions", "push_files"]


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
    limit = TimeLimit(PUSH_LIMIT, now)
    system.guard_changes(partial(_refuse_late_commit, limit))
    with open_workspace(options.state_dir, system) as workspace:
        plan = make_plan(system, paths, workspace, options, observer, now)
        if plan.is_same:
            result = _same(system, plan, workspace, options)
        else:
            result = _run(system, plan, workspace, options, observer, limit)
    return msgspec.structs.replace(
        result,
        dry_run=options.dry_run,
        bytes_transferred=system.meter.bytes_sent,
        bytes_received=system.meter.bytes_received,
        requests=system.meter.requests,
        duration_seconds=round(time.monotonic() - started, 3),
        warnings=workspace.warnings + result.warnings,
    )


def _refuse_late_commit(limit: TimeLimit, key: str) -> None:
    """Prune leaves what a push saw alone only for so long: later there may be nothing behind its manifest."""
    if upload_key(key) and limit.passed:
        raise AkoshaSnapError(
            f"this push began {limit.elapsed / 3600:.1f} hours ago, and may commit within {PUSH_LIMIT / 3600:.0f}: "
            "what it builds on may have been pruned since, so no snapshot was made",
            hint="push again: what was uploaded is reused",
        )


def _same(system: System, plan: Plan, workspace: Workspace, options: PushOptions) -> PushResult:
    """The parent is this very snapshot, as its manifest has it."""
    if not options.mirror and not options.dry_run:
        with contextlib.suppress(OSError):  # the next push that copies something says so
            workspace.warm.drop_mirror()
    if plan.parent.manifest is None:
        raise AssertionError("a plan that is the same has a manifest")
    there = plan.parent.manifest.snapshot
    files = [PushedFile(file.name, file.size, file.chunks, 0) for file in there.files]
    result = _describe(system, plan, files, there.counts)
    return msgspec.structs.replace(result, unchanged=True, upload_id=plan.parent.upload_id)


def _run(
    system: System, plan: Plan, workspace: Workspace, options: PushOptions, observer: Observer, limit: TimeLimit
) -> PushResult:
    """Cut the files, and store and commit the snapshot unless it is there (and not too old for Akosha)."""
    parent, bases = plan.parent, Bases(plan.parent.inventory)
    previous = parent.manifest.snapshot.counts if parent.manifest else None
    with counting(plan.staged, previous) as counted:  # DuckDB reads the copies while we do, before anything is uploaded
        cut = cut_files(plan.staged, plan.last, parent, workspace.warm.mirror, bases, observer)
        parent.inventory.close()
        sources, counts, doubts = counted()
    files = [PushedFile(one.file.name, one.file.size, len(one.file.chunks), len(one.new)) for one in cut]
    result = _describe(system, plan, files, counts, parent.warnings + doubts)
    root = snapshot_root((one.file.name, one.file.size, one.file.blake3) for one in cut)
    there = _there(system, parent, root, options)
    if there and not (parent.manifest and is_out_of_date(parent.manifest, limit.now())):
        stored = _Stored(there, [])
        result = msgspec.structs.replace(result, unchanged=True, upload_id=there.upload_id)
    else:
        content = _Content(root, cut, counts)
        stored = _store(system, plan, content, workspace, bases, options, observer, limit, is_there=there is not None)
        uploaded_as = None if options.dry_run else stored.snapshot.upload_id
        result = msgspec.structs.replace(result, upload_id=uploaded_as, files_uploaded=stored.keys)
    if not options.dry_run:
        workspace.journal.clear()
        result.warnings.extend(remember(workspace, plan, sources, cut, stored.snapshot, mirror=options.mirror))
    return result


class _Content(NamedTuple):
    """What a snapshot holds."""

    root: bytes
    files: list[CutFile]
    counts: Counts


class _Stored(NamedTuple):
    """The snapshot that is the newest now, and the keys of what was uploaded for it."""

    snapshot: Snapshot
    keys: list[str]


def _store(
    system: System,
    plan: Plan,
    content: _Content,
    workspace: Workspace,
    bases: Bases,
    options: PushOptions,
    observer: Observer,
    limit: TimeLimit,
    *,
    is_there: bool,
) -> _Stored:
    """Upload what the store does not have, then the manifest. `is_there`: the parent has the same content."""
    parent, now = plan.parent, limit.now()
    upload_id = make_upload_id(content.root, now, parent.newest)
    files = [one.file for one in content.files]
    journal = Journal(None) if options.dry_run else workspace.journal
    with Packer(system, parent.inventory, journal, sum(file.size for file in files), options.salt()) as packer:
        store_files(content.files, bases, partial(workspace.warm.load_table, plan.last), packer)
        for marker in markers(system, upload_id, is_first=parent.newest is None):
            packer.put_beside(marker)
        if is_there and parent.list_base and _are_listed(parent, files):
            packer.finish()
            chunk_list = StoredList(*parent.list_base)
        else:
            chunk_list = store_chunk_list(files, parent.inventory, packer, parent.list_base)
    observer.phase("commit")
    entries = file_entries(system, upload_id, files, stored=options.full_file)
    full_files = store_full_files(system, plan.staged.files, entries) if options.full_file else []
    formats = store_format(system) if parent.is_first else []
    manifest = make_manifest(
        root=content.root,
        parent=parent.upload_id,
        entries=entries,
        chunk_list=chunk_list.frames,
        counts=content.counts,
        cost=Cost(
            bytes_read=plan.staged.bytes_read,
            bytes_uploaded=system.meter.bytes_sent,
            chunks_new=sum(len(one.new) for one in content.files),
            packs_new=packer.packs,
        ),
        now=now,
    )
    committed = commit_manifest(system, upload_id, manifest)
    if limit.passed:
        raise AkoshaSnapError(
            f"snapshot {upload_id} was committed {limit.elapsed / 3600:.1f} hours after its push began: "
            "what it builds on may have been pruned before",
            hint=f"push again, and see `akosha-snap verify {upload_id}`",
        )
    list_there = chunk_list.raw if committed.ours else b""
    table = bases.table.dump(parent.inventory.hashes) if bases.table else None
    snapshot = Snapshot(upload_id, committed.data, len(committed.data), list_there, table)
    return _Stored(snapshot, [*packer.keys, *full_files, *formats, committed.key])


def _are_listed(parent: Parent, files: Sequence[ChunkedFile]) -> bool:
    """Whether the parent's chunk list has just these files, in this order."""
    listed = parent.manifest.snapshot.files if parent.manifest else []
    return [(file.name, file.chunks) for file in listed] == [(file.name, len(file.chunks)) for file in files]


def _there(system: System, parent: Parent, root: bytes, options: PushOptions) -> Snapshot | None:
    """The newest snapshot, where it is this very one already, whole and in the form asked for."""
    if not (parent.manifest and parent.list_base and parent.upload_id) or parent.upload_id != parent.newest:
        return None
    there = parent.manifest.snapshot
    if there.root != root.hex() or (options.full_file and not has_full_files(system, there.files)):
        return None
    data = encode_manifest(parent.manifest)
    return Snapshot(parent.upload_id, data, parent.manifest_size, parent.list_base.raw, None)


def _describe(
    system: System, plan: Plan, files: list[PushedFile], counts: Counts, warnings: Sequence[str] = ()
) -> PushResult:
    return PushResult(
        system_id=system.id,
        store=system.store.url,
        is_first=plan.parent.newest is None,
        files=files,
        counts=counts,
        bytes_read=plan.staged.bytes_read,
        warnings=[*plan.staged.warnings, *warnings],
    )
