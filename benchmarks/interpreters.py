"""Interpreters that have the wanted version of DuckDB: this one, or a small environment made with uv or venv."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Unavailable", "interpreter"]

TIMEOUT = 300.0


class Unavailable(Exception):
    """Something a measurement needs is not here: it is reported as "not measured", with this reason."""


def interpreter(version: str, cache: Path, extensions: Sequence[str] = ()) -> Path:
    """A Python whose DuckDB is `version` ("2.0", or "1.5.5"); made in `cache` where this one's is another.

    `extensions` are packages that hold an extension of DuckDB, of the same version, which must then be a full one.
    """
    if not extensions and f"{importlib.metadata.version('duckdb')}.".startswith(f"{version}."):
        return Path(sys.executable)
    folder = cache / "-".join([f"duckdb-{version}", *extensions])
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "made").exists():
        exact = version if version.count(".") == 2 else f"{version}.*"
        try:
            _make(folder, python, ["numpy", *(f"{package}=={exact}" for package in ("duckdb", *extensions))])
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"no environment with DuckDB {version} could be made: {error}") from error
        (folder / "made").touch()
    return python


def _make(folder: Path, python: Path, packages: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        commands = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *packages],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", *packages],
        ]
    for command in commands:
        subprocess.run(command, check=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)
