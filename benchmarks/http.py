"""Records by HTTP to a running Akosha: as many as the plan asks about, in one push of a whole process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Command, Failed, run
from benchmarks.memory.schema import REFLECTION
from benchmarks.rows import Row

__all__ = ["over_http"]

_MEGABYTES = 25
"""A reflection database of this size has 1,521 records with DuckDB 2.0, 1,053 with 1.5."""

_RECORDS = 1000


def over_http(folder: Path, url: str, *, timeout: float) -> Row:
    """Push the records of a new database to the Akosha at `url`, whose wall clock the row has."""
    path = folder / REFLECTION
    grow = [sys.executable, "-m", "benchmarks.memory", "grow", str(path), str(_MEGABYTES), "7"]
    subprocess.run(grow, check=True, timeout=timeout, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # a system of its own: Akosha takes no id twice
    words = ["push", str(path), "--method", "http", "--json", "--system-id", f"bench-{os.getpid()}"]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder / "home"), "AKOSHA_URL": url}
    row = Row("", "ours", "http")
    try:
        used = run(Command([sys.executable, "-m", "akosha_snap", *words]), environment, scratch=folder, timeout=timeout)
    except Failed as error:
        return Row("", "ours", "none", problem=str(error))
    said = json.loads(used.output)
    row.wall, row.cpu, row.peak = round(used.wall, 4), round(used.cpu, 4), used.peak
    row.number, row.up, row.requests = said["http"]["sent"], said["bytes_transferred"], {"POST": said["requests"]}
    if row.number < _RECORDS:
        row.problem = f"only {row.number} records"
    return row
