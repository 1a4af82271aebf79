"""Give restored files their final names, so that no database ever meets a log of another time."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from akosha_snap.atomic import TEMPORARY_PREFIX, fsync_directory, publish
from akosha_snap.errors import ConfigError, ConflictError
from akosha_snap.manifest import FileEntry
from akosha_snap.source import CHECKPOINT_SUFFIXES, WAL_SUFFIX

__all__ = ["check_target", "in_the_way", "place", "refuse_taken"]

_NOT_ON_WINDOWS = ':*?"<>|'
"""Other systems allow these in names; to Windows they mean a drive, a stream or a pattern."""


def check_target(to: Path, files: Iterable[FileEntry]) -> None:
    """Raises ConfigError or ConflictError where `files` can never be restored into `to`, `force` or not."""
    if os.path.lexists(to) and not to.is_dir():
        raise ConfigError(f"{to} is not a folder", hint="give a folder with --to")
    for file in files:
        if os.name == "nt" and any(c in _NOT_ON_WINDOWS for c in file.name):
            raise ConflictError(f"{file.name!r} cannot be created on Windows", hint="restore the others with --file")
    for path in in_the_way(to, files):
        if path.is_dir() and not path.is_symlink():
            raise ConflictError(f"{path} is a folder", hint="choose another folder to restore into")


def in_the_way(to: Path, files: Iterable[FileEntry]) -> list[Path]:
    """What has a final name already, or would be replayed into a restored database."""
    names = {file.name: None for file in files}
    for file in files:
        if file.kind == "duckdb":
            names |= {f"{file.name}{suffix}": None for suffix in (WAL_SUFFIX, *CHECKPOINT_SUFFIXES)}
    return [to / name for name in names if os.path.lexists(to / name)]


def refuse_taken(to: Path, files: Iterable[FileEntry]) -> None:
    """Raises ConflictError where anything is in the way."""
    if taken := in_the_way(to, files):
        raise ConflictError(
            f"{', '.join(path.name for path in taken)} already in {to}",
            hint="choose another folder, or replace with --force",
        )


def place(finished: Mapping[str, Path], to: Path, files: Iterable[FileEntry], *, overwrite: bool) -> None:
    """Publish finished files (name -> temporary file, fsynced) in `to`.

    Whatever moment the machine stops at: a log from before is gone before the database
    comes, and a database is not there yet while only its new log is. Where a file cannot
    be placed, those of this call are taken back (a log beside somebody else's database
    would be replayed into it) and what was put aside for them is put back; a file that
    was replaced in one step before that is gone.
    """
    logs = {file.name for file in files if file.kind == "wal"}
    if not overwrite:
        refuse_taken(to, files)  # again: the download took its time
    aside: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for path in _stale(to, files, finished, logs) if overwrite else []:
            aside[path] = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
            path.rename(aside[path])
        fsync_directory(to)
        for name in sorted(finished, key=lambda name: name not in logs):
            publish(finished[name], to / name, overwrite=overwrite)
            placed.append(to / name)
    except BaseException:
        for path in placed:
            path.unlink(missing_ok=True)
        for path, kept in aside.items():
            with contextlib.suppress(FileNotFoundError):
                kept.rename(path)
        raise
    for kept in aside.values():
        kept.unlink()


def _stale(to: Path, files: Iterable[FileEntry], finished: Mapping[str, Path], logs: set[str]) -> list[Path]:
    """Logs of another time, and databases whose new log comes before they do."""
    logged = {name.removesuffix(WAL_SUFFIX) for name in logs}
    return [path for path in in_the_way(to, files) if path.name not in finished or path.name in logs | logged]
