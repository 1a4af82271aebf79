"""The records of one run that Akosha did not take, kept in a file of JSON lines."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from akosha_snap.akosha.results import RecordError
from akosha_snap.atomic import publish, sweep, temporary_file
from akosha_snap.errors import AkoshaSnapError

__all__ = ["MAX_BYTES", "Failures"]

MAX_BYTES = 4 * 1024 * 1024
"""Of the file, some 20,000 failures; one more line then says how many there were besides."""

_LISTED = 20
_LONGEST = 300  # characters of an id, which may be any text, and of an error: Akosha may quote the record in it


class Failures:
    """Collects failures: the first 20 in memory, the first MAX_BYTES in a file that replaces the last run's.

    With `path` None there is no file. Neither holds anything of a record but its id, and what Akosha says of it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO | None = None
        self._temporary: Path | None = None
        self.listed: list[RecordError] = []
        self.count = 0
        self._size = 0
        self._unlisted = 0

    def add(self, memory_id: str, error: str) -> None:
        """One more record was not taken."""
        failure = RecordError(memory_id[:_LONGEST], " ".join(error.split())[:_LONGEST])
        self.count += 1
        if len(self.listed) < _LISTED:
            self.listed.append(failure)
        if self._path is None:
            return
        line = msgspec.json.encode(failure) + b"\n"
        if self._unlisted or self._size + len(line) > MAX_BYTES:
            self._unlisted += 1
            return
        self._size += len(line)
        try:
            if self._file is None:
                sweep(self._path.parent)
                self._temporary, self._file = self._stack.enter_context(temporary_file(self._path.parent))
            self._file.write(line)
        except OSError as problem:
            raise _unwritten(self._path, problem) from None

    def keep(self) -> str | None:
        """Put the file in place of the last run's; returns its path, None where there were no failures."""
        if self._path is None:
            return None
        try:
            if self._file is None or self._temporary is None:
                self._path.unlink(missing_ok=True)
                return None
            if self._unlisted:
                rest = RecordError("", f"and {self._unlisted} more, which are not listed")
                self._file.write(msgspec.json.encode(rest) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            publish(self._temporary, self._path, overwrite=True)
        except OSError as problem:
            raise _unwritten(self._path, problem) from None
        return str(self._path)

    def close(self) -> None:
        """Drop what was not kept."""
        self._stack.close()


def _unwritten(path: Path, problem: OSError) -> AkoshaSnapError:
    return AkoshaSnapError(
        f"{path} cannot be written: {problem.strerror or problem}",
        hint="free some space there, or set AKOSHA_SNAP_STATE_DIR to another folder",
    )
