"""restic, to S3, with its own encryption (it has no other mode)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.tools.base import Tool

__all__ = ["Restic", "ResticMax"]


class Restic(Tool):
    """As it comes: compression auto."""

    name = "restic"
    title = "restic"
    program = "restic"
    compression = "auto"

    def environment(self) -> dict[str, str]:
        """Where the repository is, and its password."""
        proxy = self.place.proxy
        assert proxy
        repository = f"s3:{proxy.endpoint}/{self.place.bucket}/restic"
        return super().environment() | {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": repository}

    def init(self) -> Sequence[Command]:
        """A repository of version 2, which compresses."""
        return [Command(["restic", "init", "--quiet", "--repository-version", "2"])]

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:  # noqa: ARG002
        """`restic backup`."""
        return [Command(["restic", "backup", "--json", "--quiet", "--compression", self.compression, *paths])]

    def pushed(self, label: str, output: str) -> None:
        """The label's snapshot id, in the last line."""
        self._ids = getattr(self, "_ids", {}) | {label: json.loads(output.strip().splitlines()[-1])["snapshot_id"]}

    def restore(self, label: str, to: Path, *, latest: bool) -> Sequence[Command]:
        """`restic restore`."""
        return [Command(["restic", "restore", "--quiet", "latest" if latest else self._ids[label], "--target", to])]

    def verify(self, paths: list[Path]) -> Sequence[Command]:  # noqa: ARG002
        """Every byte."""
        return [Command(["restic", "check", "--quiet", "--read-data"])]


class ResticMax(Restic):
    """With all the compression it has."""

    name = "restic-max"
    title = "restic, compression max"
    compression = "max"
