"""Give restored files their final names, so that no database ever meets a log of another time."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from akosha_snap.atomic import TEMPORARY_PREFIX, fsync_directory, publish
from akosha_snap.errors import AkoshaSnapError, ConfigError, ConflictError
from akosha_snap.manifest import FileEntry
from akosha_snap.source import CHECKPOINT_SUFFIXES, WAL_SUFFIX

__all__ = ["check_target", "in_the_way", "place", "refuse_one_for_two", "refuse_taken", "refuse_too_large"]

_NOT_ON_WINDOWS = ':*?"<>|'
"""Other systems allow these in names; to Windows they mean a drive, a stream or a pattern."""

_DEVICES = {
    "aux",
    "con",
    "conin$",
    "conout$",
    "nul",
    "prn",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789¹²³"),
}
"""To Windows these are devices in every folder, whatever comes after a dot ("Naming Files, Paths, and Namespaces")."""


def check_target(to: Path, files: Iterable[FileEntry]) -> None:
    """Raises ConfigError or ConflictError where `files` can never be restored into `to`, `force` or not."""
    if os.path.lexists(to) and not to.is_dir():
        raise ConfigError(f"{to} is not a folder", hint="give a folder with --to")
    for file in files:
        if os.name == "nt" and not _is_name_on_windows(file.name):
            raise ConflictError(f"{file.name!r} cannot be created on Windows", hint="restore the others with --file")
    for path in in_the_way(to, files):
        if path.is_dir() and not path.is_symlink():
            raise ConflictError(f"{path} is a folder", hint="choose another folder to restore into")


def in_the_way(to: Path, files: Iterable[FileEntry], there: Collection[str] = ()) -> list[Path]:
    """What has a final name already, or would be replayed into a restored database, but for the names `there`."""
    names = {file.name: None for file in files}
    for file in files:
        if file.kind == "duckdb":
            names |= {f"{file.name}{suffix}": None for suffix in (WAL_SUFFIX, *CHECKPOINT_SUFFIXES)}
    return [to / name for name in names if name not in there and os.path.lexists(to / name)]


def _is_name_on_windows(name: str) -> bool:
    """Whether Windows creates a file of just this name: it drops dots and spaces at the end, and knows devices."""
    is_device = name.partition(".")[0].rstrip(" ").lower() in _DEVICES
    return not (any(c in _NOT_ON_WINDOWS for c in name) or name[-1:] in {".", " "} or is_device)


def refuse_one_for_two(to: Path, files: Iterable[FileEntry]) -> None:
    """Raises ConflictError where the folder `to`, which exists, takes two of the names for one: of other case, say."""
    alike: dict[str, str] = {}
    for file in files:
        other = alike.setdefault(unicodedata.normalize("NFKC", file.name).casefold(), file.name)
        if other != file.name and _are_one(to, other, file.name):
            raise ConflictError(
                f"{other!r} and {file.name!r} are one name in {to}", hint="restore each on its own with --file"
            )


def _are_one(to: Path, one: str, other: str) -> bool:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=to) as folder:
        (Path(folder) / one).touch()
        return os.path.lexists(Path(folder) / other)


def refuse_too_large(to: Path, files: Iterable[FileEntry]) -> None:
    """Raises AkoshaSnapError where the disk of the folder `to`, which exists, has no room for the files.

    A snapshot of a few KB can name a file of terabytes, all one chunk.
    """
    needed, free = sum(file.size for file in files), shutil.disk_usage(to).free
    if needed > free:
        raise AkoshaSnapError(
            f"cannot restore into {to}: No space left on device for {needed} bytes ({free} are free)",
            hint="nothing was written there; free some space or choose another folder",
        )


def refuse_taken(to: Path, files: Iterable[FileEntry], there: Collection[str] = ()) -> None:
    """Raises ConflictError where anything is in the way but `there`, the names of what is right."""
    if taken := in_the_way(to, files, there):
        raise ConflictError(
            f"{', '.join(path.name for path in taken)} already in {to}",
            hint="choose another folder, or replace with --force",
        )


def place(
    finished: Mapping[str, Path],
    to: Path,
    files: Iterable[FileEntry],
    *,
    overwrite: bool,
    there: Collection[str] = (),
) -> None:
    """Publish finished files (name -> temporary file, fsynced) in `to`, where `there` are in place already.

    Whatever moment the machine stops at: a log from before is gone before the database
    comes, and a database is not there yet while only its new log is. What was put aside for
    that is called NAME.replaced-, with 8 hex digits, and stays so if the end is never reached.
    Where a file cannot be placed, those of this call are taken back (a log beside somebody else's database
    would be replayed into it) and what was put aside for them is put back; a file that
    was replaced in one step before that is gone.
    """
    logs = {file.name for file in files if file.kind == "wal"}
    if not overwrite:
        refuse_taken(to, files, there)  # again: the download took its time
    token = secrets.token_hex(4)
    aside: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for path in _stale(to, files, finished, logs) if overwrite else []:
            aside[path] = path.with_name(f"{path.name}.replaced-{token}")  # a name that nothing of ours sweeps
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
