"""The local folder of a push: its lock, its journal and a private place for staged copies."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from akosha_snap.atomic import make_private, sweep
from akosha_snap.errors import BusyError, SourceError
from akosha_snap.frames import content_hash
from akosha_snap.scratch import scratch_folder
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.last_push import WarmState
from akosha_snap.snapshot.system import System

__all__ = ["Workspace", "forget_last_push", "open_workspace"]

_LOCK_TIMEOUT = 60.0
"""Seconds to wait for another push of this system on this machine: two sessions may end at once."""


class Workspace:
    """`staging` is empty at the start, readable by its owner alone, and gone at the end.

    `has_room` is False where it lies apart from the mirror, for want of space there.
    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path | None) -> None:
        self._stack = stack
        self.journal = Journal(folder / "pending" if folder else None)
        self.warm = WarmState(folder)
        self.warnings: list[str] = []
        self.has_room = True
        if folder is None:
            self.staging = self._temporary()
        else:
            self.staging = folder / "staging"
            shutil.rmtree(self.staging, ignore_errors=True)  # of a push that was killed
            self.staging.mkdir(mode=0o700)
            stack.callback(shutil.rmtree, self.staging, ignore_errors=True)

    def make_room(self, needed: int, *, may_drop: bool) -> None:
        """See to it that copies of `needed` bytes have room, if it takes the mirror (where that `may_drop`),
        or another folder for them. Raises OSError."""
        if shutil.disk_usage(self.staging).free > needed:
            return
        if may_drop and self.warm.mirror and self.warm.mirror.exists():
            self.warm.drop_mirror()
            self.warnings.append(f"the copies of the last push in {self.warm.mirror} gave way to new ones: no room")
            if shutil.disk_usage(self.staging).free > needed:
                return
        elsewhere = self._temporary()
        if shutil.disk_usage(elsewhere).free > needed:
            self.warnings.append(
                f"no room for copies in {self.staging.parent}: they go to {elsewhere.parent}, and none are kept"
            )
            self.staging, self.has_room = elsewhere, False

    def _temporary(self) -> Path:
        return self._stack.enter_context(scratch_folder())


@contextlib.contextmanager
def open_workspace(state_dir: Path | None, system: System) -> Iterator[Workspace]:
    """Lock and prepare the workspace of this system on this store, below `state_dir`.

    With None, or where that folder cannot be written (then with a warning), nothing outlives
    the push: a temporary folder, no lock, no journal, no warm state. The lock is the kernel's
    and dies with the process, so it is never stale. Raises BusyError where another push holds
    it, SourceError where there is no folder to write to at all.
    """
    with contextlib.ExitStack() as stack:
        warnings: list[str] = []
        try:
            workspace = None
            if state_dir is not None:
                try:
                    workspace = Workspace(stack, _own_folder(stack, state_dir, system))
                except OSError as error:
                    warnings.append(
                        f"{error.filename or state_dir} cannot be used ({error.strerror or error}): nothing is kept"
                        " there for the next push; set AKOSHA_SNAP_STATE_DIR to another folder"
                    )
            workspace = workspace or Workspace(stack, None)
        except OSError as error:
            raise SourceError(
                f"cannot use {error.filename or state_dir} to stage copies: {error.strerror or error}",
                hint="free some space there, or set TMPDIR to another folder",
            ) from None
        workspace.warnings += warnings
        yield workspace


def forget_last_push(state_dir: Path, system: System) -> None:
    """Have the next push of this system look at all of the store: it is not as the last one left it."""
    with contextlib.suppress(OSError):
        WarmState(_folder_of(state_dir, system)).forget()


def _folder_of(state_dir: Path, system: System) -> Path:
    url = system.store.url
    if url.startswith("file:"):  # a folder has many names
        url = os.path.realpath(unquote(urlsplit(url).path))
    return state_dir / content_hash(f"{url}\n{system.id}".encode()).hex()[:16]


def _own_folder(stack: contextlib.ExitStack, state_dir: Path, system: System) -> Path:
    """The folder of this system on this store, ours alone and locked."""
    folder = _folder_of(state_dir, system)
    make_private(folder)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or (os.name == "posix" and status.st_uid != os.geteuid()):
        raise PermissionError(errno.EPERM, "it is not a folder of your own", str(folder))
    _lock(stack, folder / "lock", system)
    sweep(folder, older_than=0)  # with the lock held nobody else is writing here
    return folder


def _lock(stack: contextlib.ExitStack, path: Path, system: System) -> None:
    from filelock import FileLock, Timeout

    try:
        stack.enter_context(FileLock(path, timeout=_LOCK_TIMEOUT, mode=0o600))
    except Timeout:
        raise BusyError(f"another push of {system.name} is at work here", hint="try again when it is done") from None
