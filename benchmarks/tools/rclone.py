"""rclone, whole files to S3: the latest only, it keeps no snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.tools.base import Tool

__all__ = ["Rclone"]


class Rclone(Tool):
    """`rclone sync` of the folder."""

    name = "rclone"
    title = "rclone sync"
    program = "rclone"

    def environment(self) -> dict[str, str]:
        """A remote made of variables."""
        server = self.place.server
        assert server
        return {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_BENCH_TYPE": "s3",
            "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
            "RCLONE_CONFIG_BENCH_ENDPOINT": server.proxy.endpoint,
            "RCLONE_CONFIG_BENCH_REGION": "us-east-1",
            "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": server.access_key,
            "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": server.secret_key,
        }

    @property
    def _remote(self) -> str:
        return f"bench:{self.place.bucket}/files"

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:  # noqa: ARG002
        """The folder that the files are in."""
        return [Command(["rclone", "sync", paths[0].parent, self._remote])]

    def restore(self, label: str, to: Path, *, latest: bool) -> Sequence[Command] | None:  # noqa: ARG002
        """The latest only."""
        return [Command(["rclone", "copy", self._remote, to])] if latest else None

    def verify(self, paths: list[Path]) -> Sequence[Command]:
        """Compared with the files."""
        return [Command(["rclone", "check", "--download", paths[0].parent, self._remote])]
