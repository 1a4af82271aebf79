"""What an error of the file system means for a store in a folder, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from akosha_snap.errors import StoreError, TransientStoreError

__all__ = ["translate"]

_HINTS = {
    errno.ENOSPC: "free some space there or choose another store",
    errno.EDQUOT: "your quota there is used up: free some space or choose another store",
    errno.EFBIG: "this file system takes no file that large: choose another store",
    errno.EACCES: "check who owns that path and may use it",
    errno.EPERM: "check who owns that path and may use it",
    errno.EROFS: "choose a store on a file system that can be written",
    errno.ENOTDIR: "a file stands where a folder should be: choose another path or move it away",
    errno.EISDIR: "a folder stands where a file should be: choose another path or move it away",
    errno.ENAMETOOLONG: "choose a store with a shorter path",
    errno.EIO: "the disk fails: copy what you can and check it",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ELOOP: "symbolic links there lead in a circle: choose another path",
}

_TRANSIENT = {errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.EINTR}
"""Errors of network and busy file systems that a moment can mend."""


def translate(error: OSError, doing: str, path: Path) -> StoreError:
    """The StoreError to raise where `doing` (read, write, list, delete) met `error` at `path`."""
    number = error.errno or _implied(error)
    reason = os.strerror(number).lower() if number else str(error) or type(error).__name__
    message = f"cannot {doing} {path}: {reason}"
    if number in _TRANSIENT:
        return TransientStoreError(message, hint="run it again in a moment")
    return StoreError(message, hint=_HINTS.get(number, "check that path, or choose another store"))


def _implied(error: OSError) -> int:
    """The number of an error that we raised ourselves, bare."""
    if isinstance(error, NotADirectoryError):
        return errno.ENOTDIR
    if isinstance(error, IsADirectoryError):
        return errno.EISDIR
    return errno.ENOENT if isinstance(error, FileNotFoundError) else 0
