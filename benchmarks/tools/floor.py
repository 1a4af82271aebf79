"""The floor: a delta of the whole file against the one before. It cannot be restored alone; only its bytes count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command
from benchmarks.tools.base import Tool, first_line

__all__ = ["Xdelta", "ZstdPatch"]


class Xdelta(Tool):
    """xdelta3 -9."""

    name = "xdelta3"
    title = "xdelta3 -9 (floor)"
    program = "xdelta3"
    on_s3 = False

    @classmethod
    def version(cls) -> str | None:
        """`xdelta3 -V`."""
        return first_line(["xdelta3", "-V"])

    def delta(self, previous: Path, path: Path, to: Path) -> Command:
        """Write the difference."""
        window = str(max(1 << 26, 1 << previous.stat().st_size.bit_length()))
        return Command(["xdelta3", "-9", "-f", "-e", "-B", window, "-s", previous, path, to])

    def whole(self, path: Path, to: Path) -> Command:
        """Write what has no previous."""
        return Command(["xdelta3", "-9", "-f", "-e", path, to])

    def push(self, paths: list[Path], label: str) -> Sequence[Command]:
        """A delta for each file, then the file itself is kept, outside the store, for the next."""
        commands = []
        kept = self.place.folder.with_name("previous")
        kept.mkdir(exist_ok=True)
        for path in paths:
            previous, to = kept / path.name, self.place.folder / f"{label}-{path.name}.delta"
            commands += [
                self.delta(previous, path, to) if previous.exists() else self.whole(path, to),
                Command(["cp", path, previous]),
            ]
        return commands


class ZstdPatch(Xdelta):
    """zstd -9 --patch-from."""

    name = "zstd-patch"
    title = "zstd -9 --patch-from (floor)"
    program = "zstd"

    @classmethod
    def version(cls) -> str | None:
        """`zstd --version`."""
        return first_line(["zstd", "--version"])

    def delta(self, previous: Path, path: Path, to: Path) -> Command:
        """Write the difference."""
        window = min(31, max(27, previous.stat().st_size.bit_length()))
        options = ("-9", "-q", "-f", f"--long={window}", f"--patch-from={previous}")
        return Command(["zstd", *options, path, "-o", to])

    def whole(self, path: Path, to: Path) -> Command:
        """Write what has no previous."""
        return Command(["zstd", "-9", "-q", "-f", path, "-o", to])
