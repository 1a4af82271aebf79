"""What every tool is to the benchmark: commands to run, each measured as a whole process."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.places import Place

__all__ = ["Tool", "first_line"]


class Tool:
    """One tool at one place. It says which commands do a thing; None means that the tool cannot do it."""

    name = ""
    title = ""
    on_s3 = True
    """Whether it stores in a bucket, behind the counting proxy; else in a folder."""
    program = ""

    def __init__(self, place: Place) -> None:
        self.place = place

    @classmethod
    def version(cls) -> str | None:
        """The version that is installed, None where none is."""
        return first_line([cls.program, "version"]) if shutil.which(cls.program) else None

    def environment(self) -> dict[str, str]:
        """Variables that its commands need, beside PATH and a HOME of their own."""
        server = self.place.server
        if server is None:
            return {}
        return {
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def init(self) -> Sequence[Command]:
        """Before the first push."""
        return ()

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:
        """Store the files as they are now under that label."""
        raise NotImplementedError

    def pushed(self, label: str, output: str) -> None:
        """Learn from what a push printed."""

    def restore(self, label: str, to: Path, *, latest: bool) -> Sequence[Command] | None:  # noqa: ARG002
        """Put the files stored under that label into a folder."""
        return None

    def verify(self, paths: list[Path]) -> Sequence[Command] | None:  # noqa: ARG002
        """Read back and check all that is stored."""
        return None


def first_line(command: list[str]) -> str | None:
    """The first line that a command prints, usually its version."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return re.sub(r" (compiled|Copyright|\(C\)).*", "", lines[0]).rstrip(",") if lines else None
