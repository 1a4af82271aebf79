"""Opening what was named, writing what is staged."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from akosha_snap.errors import ConfigError, SourceError

__all__ = [
    "PIECE",
    "Moment",
    "check_name",
    "moment",
    "new_file",
    "open_regular",
    "read_piece",
    "shown",
    "write_piece",
]

PIECE = 4 * 1024 * 1024
"""Bytes in memory at a time: checks at 5-7 GB/s, copies at the page cache's speed. A multiple of 8, as
the checksum wants."""

_UNREADABLE = "check that disk, and whether another program can read the file"
_PRIVATE = 0o600
_O_BINARY: int = getattr(os, "O_BINARY", 0)
_O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
_O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_NO_SUCH = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


def shown(path: Path) -> str:
    """The path as it can be printed anywhere, whatever bytes are in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def check_name(path: Path) -> str:
    """The base name of `path`, fit to be a file's name in a snapshot. Raises ConfigError."""
    name = path.name
    if not name or name == "..":
        raise ConfigError(f"{shown(path)} names no file", hint="name the file itself")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(f"the name {shown(path)} is not valid UTF-8", hint="rename the file") from None
    if "\\" in name or any(ord(char) < 32 or 127 <= ord(char) < 160 for char in name):
        raise ConfigError(
            f"the name {shown(path)} has a control character or a backslash in it", hint="rename the file"
        )
    return name


class Moment(NamedTuple):
    """What differs once a file was replaced or written to, as far as its times tick."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @property
    def identity(self) -> tuple[int, int]:
        """Which file it is, whatever is in it."""
        return self.device, self.inode


def moment(status: os.stat_result) -> Moment:
    """A file's moment, from its status."""
    return Moment(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file, or a symlink to one, for unbuffered reading.

    Never waits (on a fifo) and never touches a device. Raises ConfigError where there is no
    such file or it is not a regular one, SourceError where it cannot be read.
    """
    try:
        _refuse_irregular(path, path.stat())
        descriptor = os.open(path, os.O_RDONLY | _O_BINARY | _O_NONBLOCK)
    except ValueError:  # a NUL byte in the path
        raise ConfigError(f"{shown(path)} cannot be the name of a file", hint="check the path") from None
    except OSError as error:
        raise _unopened(path, error) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        _refuse_irregular(path, os.fstat(descriptor))  # it may have become another since
        yield file


def _unopened(path: Path, error: OSError) -> ConfigError | SourceError:
    if error.errno in _NO_SUCH:
        return ConfigError(f"{shown(path)} does not exist", hint="check the path")
    if isinstance(error, PermissionError):
        return SourceError(f"{shown(path)} cannot be read: permission denied", hint="check its owner and mode")
    return SourceError(f"{shown(path)} cannot be read: {error.strerror}", hint=_UNREADABLE)


def _refuse_irregular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"{shown(path)} is a directory, not a file", hint="name the files in it")
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(
            f"{shown(path)} is not a regular file", hint="name a file: a pipe, socket or device cannot be copied"
        )


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """An empty file of ours at `path`, readable by its owner alone; it replaces an earlier try's.

    Open for reading and writing, unbuffered. Raises SourceError where it cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | _O_BINARY | _O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, _PRIVATE)
    except OSError as error:
        raise _unwritten(path, error) from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        yield file


def read_piece(path: Path, file: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes, fewer only at the end of the file. Raises SourceError."""
    pieces = []
    try:
        while size and (piece := file.read(size)):
            pieces.append(piece)
            size -= len(piece)
    except OSError as error:
        raise SourceError(f"{shown(path)} cannot be read: {error.strerror}", hint=_UNREADABLE) from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def write_piece(path: Path, file: BinaryIO, data: bytes | memoryview) -> None:
    """Write all of `data`. Raises SourceError, for a full disk most of all."""
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> SourceError:
    return SourceError(
        f"the copy {shown(path)} cannot be written: {error.strerror}",
        hint="free some space there, or move the state folder to a larger disk",
    )
