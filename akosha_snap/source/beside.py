"""The files DuckDB keeps beside a database, by its own rules for their names."""

from __future__ import annotations

import os
from pathlib import Path

from akosha_snap.errors import SourceError
from akosha_snap.source.files import shown

__all__ = ["CHECKPOINT_SUFFIXES", "WAL_SUFFIX", "beside", "checkpoint_files", "find_wal", "wal_places"]

WAL_SUFFIX = ".wal"

CHECKPOINT_SUFFIXES = (".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal")
"""1.5.6 and 2.0.0 make the first two (seen on disk; 1.4.4 makes neither), main's sources say the others."""


def beside(path: Path, suffix: str) -> Path:
    """`path` with a suffix, which DuckDB puts before a question mark (storage_manager.cpp, GetWALPath)."""
    before, mark, after = str(path).partition("?")
    return Path(before + suffix + mark + after)


def wal_places(path: Path) -> list[Path]:
    """Where the WAL of the database at `path` may be.

    Opened through a symlink, 1.4 keeps it beside the link, 1.5 and 2.0 beside the real file.
    """
    real = Path(os.path.realpath(path))
    places = [beside(real, WAL_SUFFIX)]
    if path.is_symlink():
        places.append(beside(path, WAL_SUFFIX))
    return places


def find_wal(path: Path) -> Path | None:
    """The WAL that has something in it, if any. Raises SourceError where there are two."""
    found: dict[tuple[int, int], Path] = {}
    for place in wal_places(path):
        try:
            status = place.stat()
        except OSError:
            continue
        if status.st_size:
            found.setdefault((status.st_dev, status.st_ino), place)
    if len(found) > 1:
        names = " and ".join(shown(place) for place in found.values())
        raise SourceError(
            f"{shown(path)} is a symlink with two write-ahead logs, {names}",
            hint="open the real file once with DuckDB, then push the real file",
        )
    return next(iter(found.values()), None)


def checkpoint_files(path: Path) -> list[Path]:
    """The files there now that DuckDB keeps only while it checkpoints, or after a crash in that."""
    real = Path(os.path.realpath(path))
    paths = [real, path] if path.is_symlink() else [real]
    return [place for base in paths for suffix in CHECKPOINT_SUFFIXES if (place := beside(base, suffix)).exists()]
