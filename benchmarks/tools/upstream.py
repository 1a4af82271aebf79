"""Upstream: whole files with gzip and a manifest, every time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.tools.base import Tool

__all__ = ["Upstream"]

CLIENT = Path(__file__).with_name("upstream_client.py")


class Upstream(Tool):
    """Through `upstream_client`, a process of its own."""

    name = "upstream"
    title = "upstream (gzip, whole file)"

    @classmethod
    def version(cls) -> str | None:
        """boto3's, which does the work."""
        import boto3

        return f"boto3 {boto3.__version__}"

    def _command(self, what: str, label: str, *paths: Path) -> Command:
        proxy = self.place.proxy
        assert proxy
        return Command([sys.executable, CLIENT, what, proxy.endpoint, self.place.bucket, label, *paths])

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:
        """Each file, and a manifest."""
        return [self._command("push", label, *paths)]

    def restore(self, label: str, to: Path, *, latest: bool) -> Sequence[Command]:  # noqa: ARG002
        """The manifest, and each file."""
        return [self._command("restore", label, to)]
