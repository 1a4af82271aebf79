"""Private folders for copies of memories, for the time of a job; none outlives a killed process for long."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["scratch_folder"]

_PREFIX = "akosha-snap-"

_MARKER = ".akosha-snap-scratch"
"""The file by which we know a folder of ours again, and whose lock its process holds."""
_FILES = "files"

_A_MOMENT = 10.0
"""Seconds from making the marker to holding its lock; it takes a millisecond."""


@contextlib.contextmanager
def scratch_folder(parent: Path | None = None, *, prefix: str = _PREFIX) -> Iterator[Path]:
    """An empty folder below `parent` (None: the system's temporary folder), its owner's alone and gone at the end.

    First removes those that processes which were killed left there. Raises OSError.
    """
    from filelock import FileLock

    where = Path(parent or tempfile.gettempdir())
    _sweep(where, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where) as name, contextlib.ExitStack() as held:
        with contextlib.suppress(NotImplementedError):  # a disk without locks: then nobody sweeps it
            held.enter_context(FileLock(Path(name) / _MARKER, timeout=0, mode=0o600, thread_local=False))
        folder = Path(name) / _FILES
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # the marker goes last: killed meanwhile, it is still known


def _sweep(where: Path, prefix: str) -> None:
    from filelock import FileLock

    for folder in where.glob(f"{prefix}*"):
        with contextlib.suppress(OSError, NotImplementedError):  # filelock's Timeout is an OSError: it is in use
            marker = folder / _MARKER
            is_marked = os.path.lexists(marker)
            if not _is_ours(folder) or time.time() - (marker if is_marked else folder).lstat().st_mtime < _A_MOMENT:
                continue
            if not is_marked:
                folder.rmdir()  # killed before the marker was there; one that is not empty is not ours
                continue
            with FileLock(marker, timeout=0, thread_local=False):
                pass
            for left in (folder / _FILES, folder):
                shutil.rmtree(left, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Whether it may be one of ours: an own folder, and no link."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and (os.name != "posix" or status.st_uid == os.geteuid())
