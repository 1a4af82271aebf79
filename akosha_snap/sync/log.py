"""The log of the syncs that nobody watches: one line at the start, one at the end, and what went wrong."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from akosha_snap.atomic import make_private

__all__ = ["append", "log_path"]

_LIMIT = 262_144
"""Bytes. A longer log keeps its newest half, some thousand syncs."""


def log_path(state_dir: Path) -> Path:
    """The file itself."""
    return state_dir / "sync.log"


def append(state_dir: Path, text: str, now: dt.datetime, *, secret: str | None = None) -> None:
    """Add `text` to the log, each line with the time and this process; `secret` is blotted out wherever it shows.

    The file is readable by its owner alone. Raises OSError where it cannot be written.
    """
    path = log_path(state_dir)
    make_private(path.parent)
    head = f"{now.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ} [{os.getpid()}] "
    if secret:
        text = text.replace(secret, "***")
    lines = "".join(f"{head}{line}\n" for line in text.splitlines()).encode("utf-8", "backslashreplace")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
        if os.name == "posix":
            os.fchmod(file.fileno(), 0o600)
        size = file.seek(0, os.SEEK_END)
        if size + len(lines) > _LIMIT:
            file.seek(max(size - _LIMIT // 2, 0))
            kept = file.read().partition(b"\n")[2]
            file.truncate(0)
            file.write(kept)
        file.write(lines[-_LIMIT // 2 :])
