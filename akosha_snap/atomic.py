"""Files that appear under their name whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from akosha_snap.errors import BusyError

__all__ = ["A_DAY", "TEMPORARY_PREFIX", "fsync_directory", "make_private", "publish", "sweep", "temporary_file"]

TEMPORARY_PREFIX = ".tmp-"
"""Names of unfinished files start with this; listings leave them out."""

_OURS = re.compile(re.escape(TEMPORARY_PREFIX) + "[0-9a-f]{16}")
A_DAY = 86_400.0
"""Seconds, after which nobody is still writing a file."""

_A_MOMENT = 10.0
"""Seconds; for that long a file may be ours and not held: just made, or finished and about to get its name."""

_LOCK_NAME = f"{TEMPORARY_PREFIX}lock"
"""Taken where there are no hard links. It stays: removed, two processes could hold a lock on two of them."""

_LOCK_TIMEOUT = 30.0
"""Seconds; the lock is held for one rename."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_NO_FOLDER_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES}
"""What mounts (SMB, FUSE) that cannot fsync a folder answer; a full or failing disk answers something else."""


@contextlib.contextmanager
def temporary_file(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in `directory`, open for reading and writing, readable by its owner alone.

    It is removed on leaving the block unless it was published (renamed away) by then. The block
    may close it, and must before it publishes it: Windows renames no open file.
    """
    path = directory / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        _hold(file)
        try:
            yield path, file
        finally:
            with contextlib.suppress(OSError):  # what is left in its buffer may not fit on a full disk
                file.close()
            path.unlink(missing_ok=True)


def sweep(directory: Path, *, older_than: float | None = None) -> None:
    """Remove unfinished files of ours that a killed process left in `directory`.

    Those are the ones that no process of this machine holds open, and any that is a day old; with
    `older_than` those that were last written so many seconds ago, 0 being for whoever alone may write there.
    """
    for path in directory.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            age = max(0.0, time.time() - status.st_mtime)
            if not _OURS.fullmatch(path.name) or not stat.S_ISREG(status.st_mode):
                continue
            if age >= (A_DAY if older_than is None else older_than) or (older_than is None and _is_left(path, age)):
                path.unlink()


def _hold(file: BinaryIO) -> None:
    """Let others see that somebody is at work on this file: as long as it is open, and no longer."""
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):  # a mount without locks: then its age tells
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_left(path: Path, age: float) -> bool:
    """Whether nobody holds the file, last written `age` seconds ago; False where that cannot be told."""
    if sys.platform == "win32" or age < _A_MOMENT:
        return False
    import fcntl

    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def publish(path: Path, final: Path, *, overwrite: bool) -> None:
    """Give the finished file at `path` its `final` name, in one step, durably.

    The caller has flushed, fsynced and closed the file. Without `overwrite`, raises
    FileExistsError where something already has that name: of two processes that try at once
    exactly one succeeds. Where there are no hard links that takes a lock, `.tmp-lock` beside
    it, which stays; raises BusyError where another process does not give it up. Where there
    are no locks either, `final` is an empty file for a moment, and after a crash in that.
    """
    if overwrite:
        path.replace(final)
    elif os.name == "nt":
        path.rename(final)  # on Windows a rename never replaces
    else:
        _link(path, final)
    fsync_directory(final.parent)


def _link(path: Path, final: Path) -> None:
    try:
        os.link(path, final, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # no hard links on this filesystem (exFAT, some network mounts)
        _rename_under_lock(path, final)
    else:
        path.unlink()


def _rename_under_lock(path: Path, final: Path) -> None:
    import filelock

    lock = filelock.FileLock(final.with_name(_LOCK_NAME), timeout=_LOCK_TIMEOUT, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout:  # an OSError too
        raise BusyError(
            f"{lock.lock_file} was not free for {_LOCK_TIMEOUT:.0f} s",
            hint="run it again; if nothing else is at work there, remove that file",
        ) from None
    except NotImplementedError:  # filelock 3's word for a filesystem without flock
        _rename_over_claim(path, final)
        return
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _rename_over_claim(path, final)
        return
    try:
        if os.path.lexists(final):
            raise FileExistsError(f"{final} exists")
        path.rename(final)
    finally:
        lock.release()


def _rename_over_claim(path: Path, final: Path) -> None:
    """Claim the name with an empty file, which one process alone can make, then put ours over it."""
    os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        path.replace(final)
    except BaseException:
        final.unlink(missing_ok=True)
        raise


def make_private(folder: Path) -> None:
    """Make `folder`, and what is missing above it, for its owner alone, whatever the umask; raises OSError.

    One that exists stays as it is.
    """
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)  # with parents=True those would have the umask's mode


def fsync_directory(directory: Path) -> None:
    """Make the names in `directory` durable, where the filesystem can (Windows and some mounts cannot)."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FSYNC:
            raise
    finally:
        os.close(descriptor)
