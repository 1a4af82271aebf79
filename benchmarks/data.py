"""The data sets, made where they are not yet in the cache: a file grown, then its sessions, step by step."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.interpreters import Unavailable, interpreter
from benchmarks.memory.schema import GRAPH, REFLECTION
from benchmarks.steps import Step, digests, keep

__all__ = ["SETS", "DataSet", "data_set", "steps"]

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 3600.0

_SESSIONS = frozenset({"session", "live", "hnsw"})

EXTENSIONS = {"hnsw": ("duckdb-extension-vss",)}
"""Packages that bring what DuckDB itself lacks for it, each of the very version of DuckDB (1.5.5 is its newest)."""


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Which files, how large, written by which DuckDB, and what happens to them from step to step."""

    name: str
    title: str
    files: dict[str, float]
    duckdb: str = "2.0"
    happens: str = "session"
    """`session` (closed: checkpointed), `live` (each odd session left in the WAL), `hnsw` (sessions of a file that has
    such an index), or what else `befall` knows, once."""
    sessions: int | None = None
    """How many sessions, whatever the run's others have; None: as many as they."""


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
        DataSet("rewrite-2.0", "reflection, the text of every row rewritten", _REFLECTION, happens="rewrite"),
        DataSet("export-2.0", "reflection, exported and imported", _REFLECTION, happens="export"),
        DataSet("hnsw-1.5", "reflection with an HNSW index, DuckDB 1.5", _REFLECTION, "1.5.5", happens="hnsw"),
    )
}
"""Those with a name of their own; beside them `scale-N`: a reflection of N MB, and `NAME@N`: one with N sessions."""


def data_set(name: str) -> DataSet:
    """The set of that name."""
    plain, _, sessions = name.partition("@")
    try:
        if plain.startswith("scale-"):
            megabytes = float(plain.removeprefix("scale-"))
            found = DataSet(
                plain, f"reflection {megabytes:,.0f} MB, DuckDB 2.0", {REFLECTION: megabytes},
                sessions=3 if megabytes <= 2000 else 2,
            )  # fmt: skip
        else:
            found = SETS[plain]
        if not sessions:
            return found
        return dataclasses.replace(
            found, name=name, title=f"{found.title}, {int(sessions)} sessions", sessions=int(sessions)
        )
    except (KeyError, ValueError):
        raise SystemExit(
            f"no data set {name!r}; there are {', '.join(SETS)}, scale-MEGABYTES, and each with @SESSIONS"
        ) from None


def steps(chosen: DataSet, sessions: int, work: Path, *, seed: int = 1) -> list[Step]:
    """The steps, the first before any session; made where `work` does not have them yet."""
    count = (chosen.sessions or sessions) if chosen.happens in _SESSIONS else 1
    series = [_series(chosen, name, megabytes, count, work, seed) for name, megabytes in chosen.files.items()]
    return [Step([one / f"{number:03}" for one in series]) for number in range(count + 1)]


def _series(chosen: DataSet, name: str, megabytes: float, count: int, work: Path, seed: int) -> Path:
    """One file's steps, each a folder; shared by all sets that have the file, however many steps they take."""
    python = interpreter(chosen.duckdb, work / "environments", EXTENSIONS.get(chosen.happens, ()))
    label = f"{Path(name).stem}-{megabytes:g}-duckdb{chosen.duckdb}"
    folder = work / "data" / f"{label}-{chosen.happens}-seed{seed}"
    done = next(number for number in range(1000) if not (folder / f"{number:03}").exists())
    if done > count:
        return folder
    now = work / "data" / f"{label}.now"
    shutil.rmtree(now, ignore_errors=True)
    now.mkdir(parents=True)
    if done == 0:
        first = ["hnsw"] if chosen.happens == "hnsw" else []
        base = work / "data" / "-".join([label, "base", *first, f"seed{seed}"])
        _grow(python, base, name, megabytes, seed, first)
        keep(base, {}, folder / "000")
        done = 1
    for number in range(done):
        Step([folder / f"{number:03}"]).write(now)
    held = {name: digests(now / name)}
    for number in range(done, count + 1):
        _happen(python, chosen.happens, now / name, seed * 1000 + number, number)
        held = {name: keep(now, held, folder / f"{number:03}")[name]}  # a WAL begins anew: it is kept whole
    shutil.rmtree(now)
    return folder


def _grow(python: Path, folder: Path, name: str, megabytes: float, seed: int, first: list[str]) -> None:
    """The file as it is before any session, alone in a folder; `first` is what befalls it before."""
    if folder.exists():
        return
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    _worker(python, "grow", new / name, megabytes, seed)
    for what in first:
        _befall(python, new / name, what)
    new.rename(folder)


def _happen(python: Path, what: str, path: Path, seed: int, number: int) -> None:
    if what in _SESSIONS:
        options = {"live": ["wal"] * (number % 2), "hnsw": ["hnsw"]}
        _worker(python, "session", path, seed, *options.get(what, []))
    else:
        _befall(python, path, what)


def _befall(python: Path, path: Path, what: str) -> None:
    try:
        _worker(python, "befall", path, what)
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"DuckDB could not do it here ({what})") from error


def _worker(python: Path, *words: object) -> None:
    command = [str(python), "-m", "benchmarks.memory", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        command, check=True, timeout=TIMEOUT, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
