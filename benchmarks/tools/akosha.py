"""akosha-snap, through its command line and the JSON it prints, as anyone would run it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.tools.base import Tool, first_line

__all__ = ["Ours", "OursInFolder"]


class Ours(Tool):
    """To S3."""

    name = "ours"
    title = "akosha-snap"

    @classmethod
    def version(cls) -> str | None:
        """As it says itself."""
        return first_line([sys.executable, "-m", "akosha_snap", "--version"])

    @property
    def _store(self) -> str:
        proxy = self.place.proxy
        if proxy is None:
            return str(self.place.folder / "store")
        return f"s3://{self.place.bucket}/snap?endpoint={proxy.endpoint}&region=us-east-1"

    def _command(self, *words: str | Path) -> Command:
        where = ("--store", self._store, "--system-id", "bench", "--json")
        return Command([sys.executable, "-m", "akosha_snap", *words, *where])

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:  # noqa: ARG002
        """One push of the databases; it finds their WALs itself."""
        return [self._command("push", *(path for path in paths if path.suffix != ".wal"))]

    def pushed(self, label: str, output: str) -> None:
        """The label's upload id."""
        self._ids = getattr(self, "_ids", {}) | {label: json.loads(output)["upload_id"]}

    def restore(self, label: str, to: Path, *, latest: bool) -> Sequence[Command]:
        """`restore`."""
        return [self._command("restore", "latest" if latest else self._ids[label], "--to", to)]

    def verify(self, paths: list[Path]) -> Sequence[Command]:  # noqa: ARG002
        """Every byte of every snapshot."""
        return [self._command("verify", "all", "--level", "data")]


class OursInFolder(Ours):
    """To a folder, for a like comparison with tools that know only folders."""

    name = "ours-folder"
    title = "akosha-snap, folder"
    on_s3 = False
