"""The local folder of a push: its lock, its journal and a private place for staged copies."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from akosha_snap.errors import BusyError, SourceError
from akosha_snap.frames import content_hash
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.system import System

__all__ = ["Workspace", "open_workspace"]

_LOCK_TIMEOUT = 60.0
"""Seconds to wait for another push of this system on this machine: two sessions may end at once."""


class Workspace(NamedTuple):
    """`staging` is empty at the start, readable by its owner alone, and gone at the end."""

    staging: Path
    journal: Journal


@contextlib.contextmanager
def open_workspace(state_dir: Path | None, system: System) -> Iterator[Workspace]:
    """Lock and prepare the workspace of this system on this store, below `state_dir`.

    With None nothing outlives the push: a temporary folder, no lock, no journal. The
    lock is the kernel's and dies with the process, so it is never stale. Raises
    BusyError where another push holds it, SourceError where the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            if state_dir is None:
                staging = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="akosha-snap-")))
                journal = Journal(None)
            else:
                folder = state_dir / content_hash(f"{system.store.url}\n{system.id}".encode()).hex()[:16]
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _lock(stack, folder / "lock", system)
                staging = folder / "staging"
                shutil.rmtree(staging, ignore_errors=True)  # of a push that was killed
                staging.mkdir(mode=0o700)
                stack.callback(shutil.rmtree, staging, ignore_errors=True)
                journal = Journal(folder / "pending")
        except OSError as error:
            raise SourceError(
                f"cannot use {error.filename or state_dir} to stage copies: {error.strerror or error}",
                hint="free some space there, or set AKOSHA_SNAP_STATE_DIR to another folder",
            ) from None
        yield Workspace(staging, journal)


def _lock(stack: contextlib.ExitStack, path: Path, system: System) -> None:
    from filelock import FileLock, Timeout

    try:
        stack.enter_context(FileLock(path, timeout=_LOCK_TIMEOUT))
    except Timeout:
        raise BusyError(f"another push of {system.name} is at work here", hint="try again when it is done") from None
