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

_LONGEST_NAME = 255
"""Bytes of a file's name (NAME_MAX of ext4, APFS, XFS and others)."""


def check_target(to: Path, files: Iterable[FileEntry]) -> None:
    """Raises ConfigError or ConflictError where `files` can never be restored into `to`, `force` or not."""
    for folder in (to, *to.parents):
        if os.path.lexists(folder) and not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder", hint="give a folder with --to")
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
    comes, a database is not there yet while only its new log is, and what is replaced has a second
    name, NAME.replaced- with 8 hex digits, until all is placed; it keeps that if the end is never reached.
    Where a file cannot be placed, or this is interrupted, those of this call are taken back (a log beside
    somebody else's database would be replayed into it), and what was there before gets its name again.
    """
    logs = {file.name for file in files if file.kind == "wal"}
    if overwrite:
        check_target(to, files)  # again: the download took its time
    else:
        refuse_taken(to, files, there)
    aside: dict[Path, Path] = {}
    placed: dict[Path, Path] = {}
    try:
        for path in in_the_way(to, files) if overwrite else []:
            aside[path] = _aside(path)
            _put_aside(path, aside[path], stays=path.name in finished and not _is_logged(path.name, logs))
        fsync_directory(to)
        for name in sorted(finished, key=lambda name: name not in logs):
            finished[name].lstat()  # one that somebody removed says nothing about who has its final name
            placed[to / name] = finished[name]  # before it is: no interrupt falls between
            publish(finished[name], to / name, overwrite=overwrite)
    except BaseException:
        _take_back(placed, aside)
        raise
    with contextlib.ExitStack() as stack:  # all of them, also when it is interrupted
        for kept in aside.values():
            stack.callback(kept.unlink, missing_ok=True)


def _is_logged(name: str, logs: set[str]) -> bool:
    """Whether it is a new log, or a database whose new log comes before it does."""
    return name in logs or f"{name}{WAL_SUFFIX}" in logs


def _aside(path: Path) -> Path:
    """A name beside `path` that nothing of ours sweeps, and not too long for a file system."""
    suffix = f".replaced-{secrets.token_hex(4)}"
    return path.with_name(path.name.encode()[: _LONGEST_NAME - len(suffix)].decode(errors="ignore") + suffix)


def _put_aside(path: Path, kept: Path, *, stays: bool) -> None:
    """Name a file `kept`; where it `stays` and there are hard links, it has its own name too until it is replaced."""
    if stays and os.name != "nt":
        with contextlib.suppress(OSError):  # no hard links here, or not to this file
            os.link(path, kept, follow_symlinks=False)
            return
    path.rename(kept)


def _take_back(placed: dict[Path, Path], aside: dict[Path, Path]) -> None:
    """Undo: a new database goes before its log does, and an old log is back before its database is."""
    for path, temporary in reversed(placed.items()):
        if _is_published(temporary, path):
            path.unlink(missing_ok=True)
    for path, kept in reversed(aside.items()):
        with contextlib.suppress(FileNotFoundError):
            kept.replace(path)
        kept.unlink(missing_ok=True)  # a rename between two names of one file leaves both (POSIX)


def _is_published(temporary: Path, final: Path) -> bool:
    """Whether what has the `final` name is our file: it was renamed, or has both names still."""
    try:
        return not os.path.lexists(temporary) or os.path.samestat(temporary.lstat(), final.lstat())
    except FileNotFoundError:
        return False
