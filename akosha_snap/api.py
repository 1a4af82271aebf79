"""The library: take, list, show, verify, repair, restore and prune snapshots.

Nothing here prints or reads the environment. Progress goes to an observer; what goes
wrong is raised as an `akosha_snap.errors.AkoshaSnapError`.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from akosha_snap.errors import ConfigError
from akosha_snap.events import Observer
from akosha_snap.snapshot.catalog import list_snapshots, show_snapshot
from akosha_snap.snapshot.packer import new_salt
from akosha_snap.snapshot.prune import PruneOptions, prune_system
from akosha_snap.snapshot.push import PushOptions, push_files
from akosha_snap.snapshot.repair import repair_store
from akosha_snap.snapshot.restore import restore_snapshot
from akosha_snap.snapshot.results import (
    Level,
    ListResult,
    PruneResult,
    PushResult,
    RepairResult,
    RestoreResult,
    ShowResult,
    VerifyResult,
)
from akosha_snap.snapshot.retention import KeepRules
from akosha_snap.snapshot.system import LATEST, System
from akosha_snap.snapshot.time_limit import SHORTEST_GRACE
from akosha_snap.snapshot.verify import verify_snapshots
from akosha_snap.snapshot.workspace import forget_last_push
from akosha_snap.stores import DryRunStore, Store, open_store

__all__ = ["prune", "push", "repair", "restore", "show", "snapshots", "verify"]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _new_token() -> str:
    return secrets.token_hex(4)


def push(
    files: Sequence[str | PathLike[str]],
    store: Store | str,
    *,
    system_id: str,
    full_file: bool = False,
    dry_run: bool = False,
    mirror: bool = True,
    recheck: bool = False,
    state_dir: str | PathLike[str] | None = None,
    stage_in_child: bool = True,
    observer: Observer | None = None,
    now: Callable[[], dt.datetime] = _utc_now,
    salt: Callable[[], bytes] = new_salt,
) -> PushResult:
    """Take one snapshot of `files` and upload what `store` does not have of it.

    A DuckDB file is copied consistently while it is in use, with its WAL; any other
    file as it is. `store` is a URL (see `open_store`) or a store. With `full_file`
    each file is also stored whole; with `dry_run` nothing is stored at all.

    `state_dir` keeps a lock, the journal of an interrupted push, and what makes the next push
    cheap: what is known of this one and, as the `mirror`, its copies (as much disk space as
    the files themselves). With None a temporary folder serves and nothing is remembered.

    For a day after a push has looked at all of the store, the next ones take it to hold what was
    put there, which saves most requests; `recheck` looks again now.

    `stage_in_child` copies in a child process. Leave it on unless this process will
    never have any of `files` open: closing a second descriptor in the process that
    has a database open drops the lock that keeps other writers out.

    `now` is the clock, `salt` makes bytes that no other push has; both are for tests.

    Raises ConfigError, SourceError, DamageError, BusyError, ConflictError,
    NewerFormatError or a StoreError; then no snapshot was made and none was harmed.
    """
    if isinstance(files, str | bytes | PathLike):
        raise ConfigError(f"files is {files!r}, one path", hint="pass a list of paths")
    opened = _open(store)
    options = PushOptions(
        full_file=full_file,
        dry_run=dry_run,
        mirror=mirror,
        recheck=recheck,
        stage_in_child=stage_in_child,
        state_dir=Path(state_dir) if state_dir is not None else None,
        salt=salt,
    )
    with System(DryRunStore(opened) if dry_run else opened, system_id) as system:
        return push_files(system, [Path(file) for file in files], options, observer or Observer(), now)


def snapshots(store: Store | str, *, system_id: str) -> ListResult:
    """The snapshots of a system, newest first."""
    with System(_open(store), system_id) as system:
        return list_snapshots(system)


def show(store: Store | str, upload_id: str = LATEST, *, system_id: str, chunks: bool = False) -> ShowResult:
    """One snapshot in full; with `chunks`, every chunk hash of each file."""
    with System(_open(store), system_id) as system:
        return show_snapshot(system, upload_id, with_chunks=chunks)


def restore(
    store: Store | str,
    upload_id: str = LATEST,
    *,
    system_id: str,
    to: str | PathLike[str],
    file: str | None = None,
    force: bool = False,
    observer: Observer | None = None,
) -> RestoreResult:
    """Put a snapshot's files, or one of them with its WAL, into the folder `to`, bit for bit.

    Nothing is replaced without `force`, and nothing half done appears under its final name.
    """
    with System(_open(store), system_id) as system:
        return restore_snapshot(system, Path(to), upload_id, name=file, force=force, observer=observer or Observer())


def verify(
    store: Store | str,
    upload_id: str = LATEST,
    *,
    system_id: str,
    level: Level = "index",
    sample: float = 100.0,
    state_dir: str | PathLike[str] | None = None,
    observer: Observer | None = None,
) -> VerifyResult:
    """Check one snapshot, `latest` or `all` of them.

    Levels, each with those before it: `manifest` (manifests and chunk lists parse, every
    pack is there with its size), `index` (packs' footers agree), `data` (every byte read,
    decoded and hashed; `sample` percent of the chunks where that is under 100), `open`
    (restored and opened by DuckDB, records counted). Damage is returned, not raised; where there
    is some, the next push with this `state_dir` looks at all of the store.
    """
    with System(_open(store), system_id) as system:
        result = verify_snapshots(system, upload_id, level, sample, observer or Observer())
        if state_dir is not None and not result.ok:
            forget_last_push(Path(state_dir), system)
        return result


def repair(
    store: Store | str,
    *,
    system_id: str,
    dry_run: bool = False,
    state_dir: str | PathLike[str] | None = None,
    observer: Observer | None = None,
    now: Callable[[], dt.datetime] = _utc_now,
) -> RepairResult:
    """Check all of a system at level `data`, say what is lost, and have the next push heal it.

    Markers, format.json and whole files are made anew at once. What is damaged in packs is written
    down in the store: a push that looks at all of it (with `recheck`, with this `state_dir`, and from
    anywhere within a day) counts that as absent and uploads again what it needs of it. Nothing is
    deleted, so it takes no more rights than a push. With `dry_run` nothing is written. Lost
    snapshots are returned, not raised.
    """
    opened = _open(store)
    with System(DryRunStore(opened) if dry_run else opened, system_id) as system:
        result = repair_store(system, dry_run=dry_run, observer=observer or Observer(), now=now)
        if state_dir is not None and not dry_run and result.problems:
            forget_last_push(Path(state_dir), system)
        return result


def prune(
    store: Store | str,
    *,
    system_id: str,
    keep_last: int = 0,
    keep_daily: int = 0,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    keep_within: float = 0.0,
    grace: float = SHORTEST_GRACE,
    no_push_running: bool = False,
    dry_run: bool = False,
    observer: Observer | None = None,
    now: Callable[[], dt.datetime] = _utc_now,
    token: Callable[[], str] = _new_token,
) -> PruneResult:
    """Drop the snapshots of a system that no rule keeps, and delete packs that none has needed for `grace` seconds.

    Kept are the newest `keep_last` snapshots, the newest one of each of the last `keep_daily` days,
    `keep_weekly` ISO weeks and `keep_monthly` months that have one (in UTC, by the upload id), all within
    `keep_within` seconds of the newest, and always the newest. Packs go in two steps: a run marks them, and one
    of `grace` seconds later deletes those that are still not needed. So pushes and other prunes may run
    meanwhile; only where `no_push_running` says that no push is, on any machine, may `grace` be under 24 hours.

    The one operation that needs a store that can delete. Whatever stops it, every snapshot left is whole.
    `now` is the clock, `token` makes 8 hex digits at random; both are for tests.

    Raises ConfigError (no rule, too short a grace period), NothingThereError, NewerFormatError, DamageError
    where a snapshot to be kept cannot be read, CapabilityError or another StoreError.
    """
    try:
        within, waits = dt.timedelta(seconds=keep_within), dt.timedelta(seconds=grace)
    except (OverflowError, ValueError):
        raise ConfigError(f"keep_within={keep_within} or grace={grace} is no time", hint="give seconds") from None
    rules = KeepRules(keep_last, keep_daily, keep_weekly, keep_monthly, within)
    options = PruneOptions(rules, waits, no_push_running, token, dry_run)
    opened = _open(store)
    with System(DryRunStore(opened) if dry_run else opened, system_id) as system:
        return prune_system(system, options, observer or Observer(), now)


def _open(store: Store | str) -> Store:
    return open_store(store) if isinstance(store, str) else store
