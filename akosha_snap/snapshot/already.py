"""Files of a snapshot that an earlier restore has put in place: one that was interrupted goes on from there."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from akosha_snap.manifest import FileEntry
from akosha_snap.source import WAL_SUFFIX

__all__ = ["already_there"]


def already_there(to: Path, files: Iterable[FileEntry]) -> set[str]:
    """The names of those `files` that are in the folder `to` already, bit for bit.

    A database without its log is none of them: a restore puts the log first, so it was no restore that left it.
    """
    there = {file.name for file in files if _is(to / file.name, file)}
    logs = {file.name for file in files if file.kind == "wal"}
    return {name for name in there if f"{name}{WAL_SUFFIX}" not in logs - there}


def _is(path: Path, file: FileEntry) -> bool:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
            return False
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, blake3)  # type: ignore[arg-type] # it has no name, which is not asked for
            return digest.hexdigest() == file.blake3
    except OSError:  # whatever it is, it is in the way
        return False
