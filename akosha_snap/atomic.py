"""Files that appear under their name whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["TEMPORARY_PREFIX", "fsync_directory", "publish", "temporary_file"]

TEMPORARY_PREFIX = ".tmp-"
"""Names of unfinished files start with this; listings leave them out."""


@contextlib.contextmanager
def temporary_file(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in `directory`, open for reading and writing, readable by its owner alone.

    It is removed on leaving the block unless it was published (renamed away) by then.
    """
    path = directory / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        try:
            yield path, file
        finally:
            with contextlib.suppress(OSError):  # what is left in its buffer may not fit on a full disk
                file.close()
            path.unlink(missing_ok=True)


def publish(path: Path, final: Path, *, overwrite: bool) -> None:
    """Give the finished file at `path` its `final` name, in one step, durably.

    The caller has flushed and fsynced the file. Without `overwrite`, raises
    FileExistsError where something already has that name: of two processes that
    try at once exactly one succeeds.
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
        from filelock import FileLock

        with FileLock(final.with_name(f"{TEMPORARY_PREFIX}lock")):
            if os.path.lexists(final):
                raise FileExistsError(f"{final} exists") from None
            path.rename(final)
    else:
        path.unlink()


def fsync_directory(directory: Path) -> None:
    """Make the names in `directory` durable (a no-op on Windows, which has no such call)."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
