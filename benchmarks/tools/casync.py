"""casync, in a folder: one index per file and label, one chunk store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.tools.base import Tool, first_line

__all__ = ["Casync"]


class Casync(Tool):
    """As it comes: chunks of about 64 KB."""

    name = "casync"
    title = "casync"
    program = "casync"
    on_s3 = False

    @classmethod
    def version(cls) -> str | None:
        """`casync --version`."""
        return first_line(["casync", "--version"])

    @property
    def _store(self) -> str:
        return f"--store={self.place.folder / 'chunks.castr'}"

    def _index(self, label: str, name: str) -> Path:
        return self.place.folder / f"{label}-{name}.caibx"

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:
        """`casync make`, once for each file."""
        self._names = getattr(self, "_names", {}) | {label: [path.name for path in paths]}
        return [Command(["casync", "make", self._store, self._index(label, path.name), path]) for path in paths]

    def restore(self, label: str, to: Path, *, latest: bool) -> Sequence[Command]:  # noqa: ARG002
        """`casync extract`, once for each file."""
        return [
            Command(["casync", "extract", self._store, self._index(label, name), to / name])
            for name in self._names[label]
        ]

    def verify(self, paths: list[Path]) -> Sequence[Command]:  # noqa: ARG002
        """The digest of every index's contents."""
        indexes = sorted(self.place.folder.glob("*.caibx"))
        return [Command(["casync", "digest", self._store, index]) for index in indexes]
