"""What is remembered of syncs between processes: the last one, the last good one, and one under way.

Kept in the state folder as `last-sync.json`, for `akosha-snap status`; deleting it forgets, no more.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from akosha_snap.atomic import make_private, publish, sweep, temporary_file
from akosha_snap.errors import BusyError, SourceError
from akosha_snap.failure import Failure
from akosha_snap.sync.results import SyncResult

__all__ = ["SyncRecord", "SyncState", "is_under_way", "note", "note_start", "read_state", "state_path", "under_way"]

_NAME = "last-sync.json"
_LOCK = "sync.lock"

_LOCK_TIMEOUT = 600.0
"""Seconds to wait for another sync: two sessions may end at once, and a first push may take minutes."""


class SyncRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One sync that ended, well (`failure` is None) or not; the times are UTC."""

    started_at: dt.datetime
    finished_at: dt.datetime
    result: SyncResult
    failure: Failure | None = None


class SyncState(msgspec.Struct, frozen=True, kw_only=True):
    """`running_since` is when a sync started that has not said how it ended (it may have been killed)."""

    last: SyncRecord | None = None
    last_success: SyncRecord | None = None
    running_since: dt.datetime | None = None


def state_path(state_dir: Path) -> Path:
    """The file itself."""
    return state_dir / _NAME


def read_state(state_dir: Path) -> SyncState:
    """What is remembered; nothing where there is no file. Raises SourceError where it cannot be read."""
    path = state_path(state_dir)
    try:
        return msgspec.json.decode(path.read_bytes(), type=SyncState)
    except FileNotFoundError:
        return SyncState()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint="correct that, or remove it") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # ValueError: a text that is not UTF-8
        raise SourceError(
            f"{path} is not what a sync wrote: {error}", hint="remove it; the next sync writes it anew"
        ) from None


def note_start(state_dir: Path, now: dt.datetime) -> None:
    """Remember that a sync is under way."""
    _write(state_dir, msgspec.structs.replace(_read_or_forget(state_dir), running_since=now))


def note(state_dir: Path, record: SyncRecord, *, was_noted: bool = False, alone: bool = False) -> None:
    """Remember how a sync ended; `was_noted` where its start was, by note_start. Raises OSError.

    One that worked makes up for one that was killed before it; `alone`: it holds the lock, so that
    nobody else is at work.
    """
    known = _read_or_forget(state_dir)
    worked = record.failure is None and record.result.success
    good = record if worked else known.last_success
    running = None if was_noted or (worked and (alone or _nobody_at_work(state_dir))) else known.running_since
    _write(state_dir, SyncState(last=record, last_success=good, running_since=running))


@contextlib.contextmanager
def under_way(state_dir: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock that says a sync is at work, and that keeps a second one waiting; it dies with the process.

    `on_wait` is called where there is another to wait for. Raises BusyError where that does not end,
    SourceError where there can be no lock.
    """
    from filelock import FileLock, Timeout

    try:
        make_private(state_dir)
        lock = FileLock(state_dir / _LOCK, mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire(timeout=_LOCK_TIMEOUT)
    except Timeout:
        raise BusyError(f"another sync was at work for {_LOCK_TIMEOUT:.0f} s", hint="run it again later") from None
    except NotImplementedError:
        raise _no_locks(state_dir) from None
    except OSError as error:
        raise SourceError(
            f"cannot use {error.filename or state_dir}: {error.strerror or error}",
            hint="free some space there, or set AKOSHA_SNAP_STATE_DIR to another folder",
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_under_way(state_dir: Path) -> bool:
    """Whether some process holds that lock now. Raises SourceError where the disk has no locks."""
    from filelock import FileLock, Timeout

    path = state_dir / _LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except NotImplementedError:
        raise _no_locks(state_dir) from None


def _no_locks(state_dir: Path) -> SourceError:
    return SourceError(
        f"the file system of {state_dir} has no locks", hint="set AKOSHA_SNAP_STATE_DIR to a folder on another"
    )


def _nobody_at_work(state_dir: Path) -> bool:
    try:
        return not is_under_way(state_dir)
    except (OSError, SourceError):
        return False


def _read_or_forget(state_dir: Path) -> SyncState:
    """What is remembered; a file that cannot be read is written anew."""
    try:
        return read_state(state_dir)
    except SourceError:
        return SyncState()


def _write(state_dir: Path, state: SyncState) -> None:
    make_private(state_dir)
    sweep(state_dir)
    with temporary_file(state_dir) as (path, file):
        file.write(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
        file.close()
        publish(path, state_path(state_dir), overwrite=True)
