"""The data sets: series of steps, each the files as they are at the end of a session, cached in a folder."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.interpreters import Unavailable, interpreter
from benchmarks.memory.schema import GRAPH, REFLECTION

__all__ = ["SETS", "DataSet", "data_set", "steps"]

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 3600.0


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Which files, how large, written by which DuckDB, and what happens to them from step to step."""

    name: str
    title: str
    files: dict[str, float]
    duckdb: str = "2.0"
    happens: str = "session"
    """`session` (closed: checkpointed), `live` (each odd session left in the WAL), or what `befall` knows, once."""


_REFLECTION, _GRAPH = {REFLECTION: 42.0}, {GRAPH: 58.0}

SETS = {
    one.name: one
    for one in (
        DataSet("reflection-2.0", "reflection 42 MB, DuckDB 2.0", _REFLECTION),
        DataSet("reflection-1.5", "reflection 42 MB, DuckDB 1.5", _REFLECTION, "1.5"),
        DataSet("graph-2.0", "knowledge graph 58 MB, DuckDB 2.0", _GRAPH),
        DataSet("graph-1.5", "knowledge graph 58 MB, DuckDB 1.5", _GRAPH, "1.5"),
        DataSet("memory-2.0", "both files, 100 MB, DuckDB 2.0", _REFLECTION | _GRAPH),
        DataSet("memory-1.5", "both files, 100 MB, DuckDB 1.5", _REFLECTION | _GRAPH, "1.5"),
        DataSet("live-2.0", "both files, every other session left in the WAL", _REFLECTION | _GRAPH, happens="live"),
        DataSet("rewrite-2.0", "reflection, a column of every row rewritten", _REFLECTION, happens="rewrite"),
        DataSet("export-2.0", "reflection, exported and imported", _REFLECTION, happens="export"),
        DataSet("hnsw-2.0", "reflection, an HNSW index built", _REFLECTION, happens="hnsw"),
    )
}
"""Those with a name of their own; beside them `scale-N`: a reflection of N MB."""


def data_set(name: str) -> DataSet:
    """The set of that name."""
    if name.startswith("scale-"):
        megabytes = float(name.removeprefix("scale-"))
        return DataSet(name, f"reflection {megabytes:,.0f} MB, DuckDB 2.0", {REFLECTION: megabytes})
    try:
        return SETS[name]
    except KeyError:
        raise SystemExit(f"no data set {name!r}; there are {', '.join(SETS)} and scale-MEGABYTES") from None


def steps(chosen: DataSet, sessions: int, work: Path, *, seed: int = 1) -> list[dict[str, Path]]:
    """The files of each step, the first before any session; made where `work` does not have them yet."""
    count = sessions if chosen.happens in {"session", "live"} else 1
    series = [_series(chosen, name, megabytes, count, work, seed) for name, megabytes in chosen.files.items()]
    made: list[dict[str, Path]] = []
    for number in range(count + 1):
        folders = [one / f"{number:03}" for one in series]
        made.append({path.name: path for folder in folders for path in sorted(folder.iterdir())})
    return made


def _series(chosen: DataSet, name: str, megabytes: float, count: int, work: Path, seed: int) -> Path:
    """One file's steps, each a folder with the file and, if it has one, its WAL; shared by all sets that have it."""
    label = f"{Path(name).stem}-{megabytes:g}-duckdb{chosen.duckdb}-{chosen.happens}-seed{seed}"
    folder, now = work / "data" / label, work / "data" / f"{label}.now"
    folder.mkdir(parents=True, exist_ok=True)
    python = interpreter(chosen.duckdb, work / "environments")
    base = work / "data" / f"{Path(name).stem}-{megabytes:g}-duckdb{chosen.duckdb}-base-seed{seed}"
    if not base.exists():
        now.mkdir(exist_ok=True)
        _remove(now / name)
        _worker(python, "grow", now / name, megabytes, seed)
        _keep(now, base)
    for number in range(count + 1):
        if (folder / f"{number:03}").exists():
            continue
        previous = base if number == 0 else folder / f"{number - 1:03}"
        shutil.rmtree(now, ignore_errors=True)
        shutil.copytree(previous, now)
        if number:
            _happen(python, chosen.happens, now / name, seed * 1000 + number, number)
        _keep(now, folder / f"{number:03}")
    return folder


def _happen(python: Path, what: str, path: Path, seed: int, number: int) -> None:
    if what in {"session", "live"}:
        _worker(python, "session", path, seed, *(["wal"] if what == "live" and number % 2 else []))
        return
    try:
        _worker(python, "befall", path, what)
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"DuckDB could not do it here ({what})") from error


def _keep(now: Path, where: Path) -> None:
    """Move the finished files to their place, all at once: an interrupted run leaves no half of a step."""
    now.rename(where)


def _remove(path: Path) -> None:
    for one in (path, path.with_name(path.name + ".wal")):
        one.unlink(missing_ok=True)


def _worker(python: Path, *words: object) -> None:
    command = [str(python), "-m", "benchmarks.memory", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        command, check=True, timeout=TIMEOUT, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
