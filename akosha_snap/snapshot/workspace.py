"""The local folder of a push: its lock, its journal and a private place for staged copies."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from akosha_snap.atomic import sweep
from akosha_snap.errors import BusyError, SourceError
from akosha_snap.frames import content_hash
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.last_push import WarmState
from akosha_snap.snapshot.system import System
from akosha_snap.source import wal_places

__all__ = ["Workspace", "open_workspace"]

_LOCK_TIMEOUT = 60.0
"""Seconds to wait for another push of this system on this machine: two sessions may end at once."""


class Workspace(NamedTuple):
    """`staging` is empty at the start, readable by its owner alone, and gone at the end."""

    staging: Path
    journal: Journal
    warm: WarmState
    warnings: list[str]


@contextlib.contextmanager
def open_workspace(state_dir: Path | None, system: System, paths: Sequence[Path]) -> Iterator[Workspace]:
    """Lock and prepare the workspace of this system on this store, below `state_dir`, for copies of `paths`.

    With None, or where that folder cannot be written (then with a warning), nothing outlives
    the push: a temporary folder, no lock, no journal, no warm state. The lock is the kernel's
    and dies with the process, so it is never stale. Where there is no room for the copies,
    the mirror gives way to them. Raises BusyError where another push holds the lock,
    SourceError where there is no folder to write to at all.
    """
    with contextlib.ExitStack() as stack:
        warnings: list[str] = []
        folder = None
        try:
            if state_dir is not None:
                try:
                    folder = _own_folder(stack, state_dir, system)
                except OSError as error:
                    warnings.append(
                        f"{error.filename or state_dir} cannot be used ({error.strerror or error}): nothing is kept"
                        " there for the next push; set AKOSHA_SNAP_STATE_DIR to another folder"
                    )
            warm = WarmState(folder)
            if folder and not _has_room(folder, paths) and warm.mirror and warm.mirror.exists():
                warm.drop_mirror()
                warnings.append(f"the copies of the last push in {warm.mirror} gave way to new ones: the disk is full")
            staging = _staging(stack, folder)
        except OSError as error:
            raise SourceError(
                f"cannot use {error.filename or state_dir} to stage copies: {error.strerror or error}",
                hint="free some space there, or set TMPDIR to another folder",
            ) from None
        yield Workspace(staging, Journal(folder / "pending" if folder else None), warm, warnings)


def _own_folder(stack: contextlib.ExitStack, state_dir: Path, system: System) -> Path:
    """The folder of this system on this store, locked."""
    folder = state_dir / content_hash(f"{system.store.url}\n{system.id}".encode()).hex()[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _lock(stack, folder / "lock", system)
    sweep(folder)
    staging = folder / "staging"
    shutil.rmtree(staging, ignore_errors=True)  # of a push that was killed
    staging.mkdir(mode=0o700)
    return folder


def _staging(stack: contextlib.ExitStack, folder: Path | None) -> Path:
    if folder is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="akosha-snap-")))
    staging = folder / "staging"
    stack.callback(shutil.rmtree, staging, ignore_errors=True)
    return staging


def _has_room(folder: Path, paths: Sequence[Path]) -> bool:
    needed = 0
    for path in paths:
        for place in (path, *wal_places(path)):
            with contextlib.suppress(OSError, ValueError):
                needed += place.stat().st_size
    return shutil.disk_usage(folder).free > needed


def _lock(stack: contextlib.ExitStack, path: Path, system: System) -> None:
    from filelock import FileLock, Timeout

    try:
        stack.enter_context(FileLock(path, timeout=_LOCK_TIMEOUT, mode=0o600))
    except Timeout:
        raise BusyError(f"another push of {system.name} is at work here", hint="try again when it is done") from None
