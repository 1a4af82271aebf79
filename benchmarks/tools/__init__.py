"""The tools that are compared, in the order they are shown in."""

from __future__ import annotations

from benchmarks.tools.akosha import Ours, OursInFolder
from benchmarks.tools.base import Tool
from benchmarks.tools.borg import Borg, BorgTuned
from benchmarks.tools.casync import Casync
from benchmarks.tools.floor import Xdelta, ZstdPatch
from benchmarks.tools.rclone import Rclone
from benchmarks.tools.restic import Restic, ResticMax
from benchmarks.tools.upstream import Upstream

__all__ = ["TOOLS", "Tool"]

TOOLS: dict[str, type[Tool]] = {
    tool.name: tool
    for tool in (
        Ours, OursInFolder, Restic, ResticMax, Borg, BorgTuned, Casync, Rclone, Upstream, Xdelta, ZstdPatch,
    )
}  # fmt: skip
