"""Remember the packs of a push that has not committed yet, so that the next one need not upload them again."""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from pathlib import Path

__all__ = ["Journal"]


class Journal:
    """One pack id in hex a line, written before the pack is uploaded.

    A hint: losing it costs bytes, and what it names is looked up on the store before it is believed.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` is the journal's file; with None nothing is remembered."""
        self._path = path
        self._lock = threading.Lock()

    def pending(self) -> list[bytes]:
        """Ids of packs that an earlier push uploaded, or was about to, and did not commit, oldest first."""
        try:
            lines = self._path.read_text("ascii", errors="replace").splitlines() if self._path else []
        except OSError:
            return []
        ids = []
        for line in lines:
            try:
                pack_id = bytes.fromhex(line)
            except ValueError:
                continue  # a line torn by a crash
            if len(pack_id) == 32:
                ids.append(pack_id)
        return ids

    def add(self, pack_id: bytes) -> None:
        """A pack is about to be uploaded."""
        if self._path is not None:
            opener = partial(os.open, mode=0o600)
            with (
                contextlib.suppress(OSError),
                self._lock,
                open(self._path, "a", encoding="ascii", opener=opener) as file,
            ):
                file.write(f"\n{pack_id.hex()}\n")  # a line before it may have been torn

    def clear(self) -> None:
        """All of them are part of a snapshot now."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
