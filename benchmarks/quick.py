"""The small run for CI: no peers, under two minutes; fails where bytes or requests have grown.

It goes to a folder, and to a SeaweedFS behind the counting proxy. Requests are compared exactly. Bytes are compared
as a share of the bytes of the changed 256 KiB blocks, because DuckDB lays its files out a little differently from
version to version, and names them at random: within a tolerance.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data import DataSet, steps
from benchmarks.measure import Command, run
from benchmarks.memory.schema import GRAPH, REFLECTION
from benchmarks.places import folder_place, running_server
from benchmarks.steps import Step
from benchmarks.tools.akosha import Ours, OursInFolder

__all__ = ["FIGURES", "compared", "quick"]

FIGURES = Path(__file__).with_name("quick.json")
TOLERANCE, OTHER_TOLERANCE = 0.02, 0.06
"""By how much a share may grow where DuckDB is the very version of the figures, and where only its minor one is."""

PEAK = 200_000_000
SESSIONS = 3
TIMEOUT = 60.0
_HEADERS, _BLOCK = 12_288, 262_144

Figures = dict[str, dict[str, float]]


def quick(*, update: bool) -> int:
    """Measure and compare, or with `update` write the figures anew; returns the exit code."""
    duckdb = importlib.metadata.version("duckdb")
    version = _minor(duckdb)
    chosen = DataSet("quick", "small, both files", {REFLECTION: 20.0, GRAPH: 20.0}, version)
    with tempfile.TemporaryDirectory(prefix="akosha-snap-quick-") as temporary:
        made = steps(chosen, SESSIONS, Path(temporary))
        figures = _measured(OursInFolder(folder_place(Path(temporary, "place"))), made, Path(temporary, "folder"))
        with running_server(Path(temporary, "server")) as server:
            place = server.place("quick", Path(temporary, "beside"))
            on_s3 = _measured(Ours(place), made, Path(temporary, "s3"))
        figures |= {f"s3 {name}": found for name, found in on_s3.items()}
    for name, found in figures.items():
        print(f"{name:13}", "  ".join(f"{key} {value:,}" for key, value in found.items()))
    if update:
        FIGURES.write_text(json.dumps({"duckdb": duckdb, "figures": figures}, indent=1) + "\n", "utf-8")
        print(f"{FIGURES} written")
        return 0
    expected = json.loads(FIGURES.read_text("utf-8"))
    tolerance = None
    if _minor(expected["duckdb"]) == version:
        tolerance = TOLERANCE if expected["duckdb"] == duckdb else OTHER_TOLERANCE
    else:
        print(f"DuckDB {duckdb} here, {expected['duckdb']} in {FIGURES.name}: bytes are not compared")
    problems, better = compared(figures, expected["figures"], tolerance=tolerance)
    for line in problems:
        print(f"REGRESSION: {line}")
    for line in better:
        print(f"better than {FIGURES.name} says (python -m benchmarks --quick --update): {line}")
    if not problems:
        print("no regression")
    return 1 if problems else 0


def compared(found: Figures, expected: Figures, *, tolerance: float | None) -> tuple[list[str], list[str]]:
    """What has become worse, and what better; no tolerance, no comparison of bytes."""
    worse: list[str] = []
    better: list[str] = []
    for name, figures in expected.items():
        for key in ("requests", "share"):
            before, now = figures.get(key), found.get(name, {}).get(key)
            if before is None:
                continue
            if now is None:
                worse.append(f"{name}: {key} was not measured")
            elif key == "requests" and now != before:
                (worse if now > before else better).append(f"{name}: {now:g} requests, {before:g} expected")
            elif key == "share" and tolerance is not None and abs(now - before) > tolerance * before:
                line = f"{name}: {now:.4f} of the changed blocks' bytes sent, {before:.4f} expected"
                (worse if now > before else better).append(line)
    worse += [
        f"{name}: peak memory {figures['peak_mb']:g} MB, over {PEAK / 1e6:g}"
        for name, figures in found.items()
        if figures.get("peak_mb", 0) > PEAK / 1e6
    ]
    return worse, better


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _measured(tool: Ours, made: list[Step], work: Path) -> Figures:
    """Push every step, push once more, restore and verify."""
    live = work / "live"
    live.mkdir(parents=True)
    paths = [live / name for name in made[0].names]
    figures: Figures = {}
    before: set[bytes] = set()
    for number, step in enumerate(made):
        step.write(live)
        blocks = [_blocks(path) for path in paths]
        changed = sum(size for one in blocks for digest, size in one.items() if digest not in before)
        pushed = _run(tool, tool.push(paths, ""), work)
        pushed |= {"changed": changed, "share": round(pushed["bytes"] / changed, 5)}
        figures[f"session-{number}" if number else "first"] = pushed
        before = {digest for one in blocks for digest in one}
    figures["unchanged"] = _run(tool, tool.push(paths, ""), work)
    if figures["unchanged"]["new"]:
        raise SystemExit("REGRESSION: a push of nothing new was one")
    figures["restore"] = _run(tool, tool.restore("", work / "restored", latest=True), work)
    for name in made[-1].names:
        if not made[-1].holds(name, work / "restored" / name):
            raise SystemExit(f"REGRESSION: {name} came back with other bytes")
    _run(tool, tool.verify(paths), work)
    return figures


def _run(tool: Ours, commands: Sequence[Command], work: Path) -> dict[str, float]:
    """What one operation took: by its own account, or where there is a proxy, by the proxy's."""
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(work / "home")} | tool.environment()
    proxy = tool.place.proxy
    before = proxy.traffic.copy() if proxy else None
    used = run(commands[0], environment, scratch=work, timeout=TIMEOUT)
    said = json.loads(used.output)
    found = {"requests": said["requests"], "peak_mb": round(used.peak / 1e6)}
    if "bytes_transferred" in said:
        found["bytes"] = said["bytes_transferred"]
        found["new"] = int(not said["unchanged"])
    if proxy and before:
        traffic = proxy.traffic.since(before)
        found["requests"] = sum(traffic.requests.values())
        if "bytes" in found:
            found["bytes"] = traffic.up
    return found


def _blocks(path: Path) -> dict[bytes, int]:
    """The file's DuckDB blocks by their hash, with their sizes; what comes before them is one more."""
    data = path.read_bytes()
    cuts = [0, *range(_HEADERS, len(data), _BLOCK), len(data)]
    pieces = (data[start:end] for start, end in itertools.pairwise(cuts))
    return {hashlib.sha256(piece).digest(): len(piece) for piece in pieces}
