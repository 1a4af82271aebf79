"""borg, in a folder, without encryption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.tools.base import Tool, first_line

__all__ = ["Borg", "BorgTuned"]


class Borg(Tool):
    """As it comes: chunks of about 2 MB, lz4."""

    name = "borg"
    title = "borg"
    program = "borg"
    on_s3 = False
    options: tuple[str, ...] = ()

    @classmethod
    def version(cls) -> str | None:
        """`borg --version`."""
        return first_line(["borg", "--version"])

    @property
    def _repository(self) -> str:
        return str(self.place.folder / "repository")

    def environment(self) -> dict[str, str]:
        """No questions."""
        return {"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}

    def init(self) -> Sequence[Command]:
        """An unencrypted repository."""
        return [Command(["borg", "init", "--encryption", "none", self._repository])]

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:
        """`borg create`."""
        return [Command(["borg", "create", *self.options, f"{self._repository}::{label}", *paths])]

    def restore(self, label: str, to: Path, *, latest: bool) -> Sequence[Command]:  # noqa: ARG002
        """`borg extract`, which extracts into the working folder."""
        return [Command(["borg", "extract", f"{self._repository}::{label}"], to)]

    def verify(self, paths: list[Path]) -> Sequence[Command]:  # noqa: ARG002
        """Every byte."""
        return [Command(["borg", "check", "--verify-data", self._repository])]


class BorgTuned(Borg):
    """With chunks of about 4 KB, and zstd: of five chunkers the best on two of the data sets (2 sessions each).

    KB a session on reflection-2.0 / graph-2.0: fixed 262144 on the grid 5,385 / 2,696; fixed 16384 1,777 / 1,157;
    fixed 4096 1,737 / 962; buzhash of 16 KB 2,317 / 1,678; this one 1,270 / 936.
    """

    name = "borg-tuned"
    title = "borg, tuned"
    options = ("--chunker-params", "buzhash,10,16,12,1023", "--compression", "zstd,9")
