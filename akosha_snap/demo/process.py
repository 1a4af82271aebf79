"""The writer process seen from the demo: started, told what to do, never left behind."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from akosha_snap.demo import writer
from akosha_snap.errors import AkoshaSnapError

__all__ = ["Writer", "running_writer"]

_PATIENCE = 10.0
"""Seconds that the writer may take to leave once it has closed its files."""


class Writer:
    """A process that has the memory in `folder` open from the first order to the last."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def build(self) -> None:
        """Make the memory, and keep it open with a session's changes in its WALs."""
        self._order("build")

    def session(self) -> None:
        """Live one session more."""
        self._order("session")

    def digests(self) -> dict[str, tuple[int, str]]:
        """Rows and their digest per table, as the writer itself sees them now."""
        return {table: (count, digest) for table, (count, digest) in self._order("digests").items()}

    def close(self) -> None:
        """Close the databases."""
        self._order("close")

    def _order(self, what: str) -> Any:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            raise ValueError("a writer is talked to through pipes")
        reply = ""
        with contextlib.suppress(BrokenPipeError):
            to.write(json.dumps({"do": what, "folder": str(self._folder)}) + "\n")
            to.flush()
            reply = back.readline()
        if not reply:
            raise AkoshaSnapError(f"the demo's writer process ended when told to {what}", hint="run the demo again")
        answer = json.loads(reply)
        if "error" in answer:
            raise AkoshaSnapError(
                f"the demo's writer process could not {what}: {answer['error']}",
                hint="check that duckdb works: python -c 'import duckdb'",
            )
        return answer["answer"]


@contextlib.contextmanager
def running_writer(folder: Path) -> Iterator[Writer]:
    """A writer for the memory in `folder`; on leaving the block, however that happens, it is gone."""
    # by its path and with -P: it finds duckdb and nothing else, wherever this package and the user are
    process = subprocess.Popen(
        [sys.executable, "-P", str(writer.__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    try:
        yield Writer(process, folder)
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.stdin.close()  # type: ignore[union-attr]
            process.wait(_PATIENCE)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
