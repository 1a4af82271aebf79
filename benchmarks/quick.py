"""The small run for CI: no peers, no server, under two minutes; fails where bytes or requests have grown.

Requests are compared exactly. Bytes are compared as a share of the bytes of the changed 256 KiB blocks,
because DuckDB lays its files out a little differently from version to version, within TOLERANCE.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.data import DataSet, steps
from benchmarks.measure import Command, run
from benchmarks.memory.schema import GRAPH, REFLECTION
from benchmarks.places import folder_place
from benchmarks.tools.akosha import OursInFolder

__all__ = ["FIGURES", "TOLERANCE", "compared", "quick"]

FIGURES = Path(__file__).with_name("quick.json")
TOLERANCE = 0.10
PEAK = 200_000_000
SESSIONS = 3
TIMEOUT = 60.0
_HEADERS, _BLOCK = 12_288, 262_144

Figures = dict[str, dict[str, float]]


def quick(*, update: bool) -> int:
    """Measure and compare, or with `update` write the figures anew; returns the exit code."""
    version = ".".join(importlib.metadata.version("duckdb").split(".")[:2])
    chosen = DataSet("quick", "small, both files", {REFLECTION: 20.0, GRAPH: 20.0}, version)
    with tempfile.TemporaryDirectory(prefix="akosha-snap-quick-") as temporary:
        figures = _measured(steps(chosen, SESSIONS, Path(temporary)), Path(temporary))
    for name, found in figures.items():
        print(f"{name:10}", "  ".join(f"{key} {value:,}" for key, value in found.items()))
    if update:
        FIGURES.write_text(json.dumps({"duckdb": version, "figures": figures}, indent=1) + "\n", "utf-8")
        print(f"{FIGURES} written")
        return 0
    expected = json.loads(FIGURES.read_text("utf-8"))
    same = expected["duckdb"] == version
    if not same:
        print(f"DuckDB {version} here, {expected['duckdb']} in {FIGURES.name}: bytes are not compared")
    problems, better = compared(figures, expected["figures"], with_bytes=same)
    for line in problems:
        print(f"REGRESSION: {line}")
    for line in better:
        print(f"better than {FIGURES.name} says (python -m benchmarks --quick --update): {line}")
    if not problems:
        print("no regression")
    return 1 if problems else 0


def compared(found: Figures, expected: Figures, *, with_bytes: bool) -> tuple[list[str], list[str]]:
    """What has become worse, and what better."""
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
            elif key == "share" and with_bytes and abs(now - before) > TOLERANCE * before:
                line = f"{name}: {now:.4f} of the changed blocks' bytes sent, {before:.4f} expected"
                (worse if now > before else better).append(line)
    worse += [
        f"{name}: peak memory {figures['peak_mb']:g} MB, over {PEAK / 1e6:g}"
        for name, figures in found.items()
        if figures.get("peak_mb", 0) > PEAK / 1e6
    ]
    return worse, better


def _measured(made: list[dict[str, Path]], work: Path) -> Figures:
    """Push every step to a folder, push once more, restore and verify."""
    live, scratch = work / "live", work / "scratch"
    live.mkdir()
    scratch.mkdir()
    tool = OursInFolder(folder_place(work / "place"))
    paths = [live / name for name in made[0]]
    figures: Figures = {}
    before: set[bytes] = set()
    for number, step in enumerate(made):
        blocks = {path: _blocks(path) for path in step.values()}
        changed = sum(size for one in blocks.values() for digest, size in one.items() if digest not in before)
        for name, path in step.items():
            (live / name).write_bytes(path.read_bytes())
        pushed, peak = _run(tool.push(paths, "")[0], work, scratch)
        figures[f"session-{number}" if number else "first"] = {
            "requests": pushed["requests"],
            "bytes": pushed["bytes_transferred"],
            "changed": changed,
            "share": round(pushed["bytes_transferred"] / changed, 5),
            "peak_mb": round(peak / 1e6),
        }
        before = {digest for one in blocks.values() for digest in one}
    again, _ = _run(tool.push(paths, "")[0], work, scratch)
    if not again["unchanged"] or again["bytes_transferred"]:
        raise SystemExit("REGRESSION: a push of nothing new sent something")
    figures["unchanged"] = {"requests": again["requests"]}
    restored, peak = _run(tool.restore("", work / "restored", latest=True)[0], work, scratch)
    figures["restore"] = {"requests": restored["requests"], "peak_mb": round(peak / 1e6)}
    for name, path in made[-1].items():
        if (work / "restored" / name).read_bytes() != path.read_bytes():
            raise SystemExit(f"REGRESSION: {name} came back with other bytes")
    _run(tool.verify(paths)[0], work, scratch)
    return figures


def _run(command: Command, work: Path, scratch: Path) -> tuple[dict[str, Any], int]:
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(work / "home")}
    used = run(command, environment, scratch=scratch, timeout=TIMEOUT)
    return json.loads(used.output), used.peak


def _blocks(path: Path) -> dict[bytes, int]:
    """The file's DuckDB blocks by their hash, with their sizes; what comes before them is one more."""
    data = path.read_bytes()
    cuts = [0, *range(_HEADERS, len(data), _BLOCK), len(data)]
    pieces = (data[start:end] for start, end in itertools.pairwise(cuts))
    return {hashlib.sha256(piece).digest(): len(piece) for piece in pieces}
