"""Real writers, DuckDB's two current versions, and every copy judged: none is torn, none has lost a commit.

The ordinary tests make a few copies; `nox -s stress` thousands, beside naive ones.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_bench import PROFILES, Judge, LiveDatabase, Tally, at_each_step, take_copies

from benchmarks.interpreters import Unavailable, interpreter

OURS = importlib.metadata.version("duckdb")[:3]
VERSIONS = ("1.5", "2.0")
BLOCK_SIZES = (16_384, 262_144)
COPIES = 170
"""In each of the 32 cases of the long run."""

BALLAST = 4_000


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory):
    """The interpreter with a version of DuckDB: this one, or one made for the purpose."""
    cache = tmp_path_factory.getbasetemp() / "interpreters"

    def find(version: str) -> str:
        try:
            return str(interpreter(version, cache))
        except Unavailable as error:
            pytest.skip(str(error))

    return find


@contextlib.contextmanager
def scene(folder: Path, python: str, block_size: int, ballast: int = BALLAST) -> Iterator[tuple[LiveDatabase, Judge]]:
    (folder / "db").mkdir()
    live, judge = LiveDatabase(folder / "db", python, block_size, ballast), Judge(python)
    try:
        yield live, judge
    finally:
        live.crash()
        judge.end()


TOTAL: dict[str, Tally] = {}
"""By version of DuckDB; `pytest -s` prints it."""


@pytest.fixture(scope="module", autouse=True)
def tell() -> Iterator[None]:
    yield
    for version, tally in TOTAL.items():
        print(f"\nDuckDB {version}: {tally}")


def check(tally: Tally, version: str) -> None:
    TOTAL[version] = TOTAL.get(version, Tally()) + tally
    print(f"\n{tally}")
    assert not tally.torn
    assert tally.good
    assert tally.moved > tally.good / 5 or tally.good < 20  # a slow machine has made few


@pytest.mark.parametrize("profile", ["fast", "crashing"])
def test_a_few_copies(tmp_path: Path, profile: str) -> None:
    with scene(tmp_path, sys.executable, 16_384, 500) as (live, judge):
        check(take_copies(live, judge, tmp_path / "into", PROFILES[profile], copies=30, seconds=1.2, deadline=20), OURS)


def test_a_few_copies_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scene(tmp_path, sys.executable, 16_384, 500) as (live, judge):
        step_by_step(live, monkeypatch)
        check(take_copies(live, judge, tmp_path / "into", PROFILES["fast"], copies=30, seconds=1.2, deadline=20), OURS)


@pytest.mark.stress
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("version", VERSIONS)
def test_many_copies(tmp_path: Path, python, version: str, profile: str, block_size: int) -> None:
    with scene(tmp_path, python(version), block_size) as (live, judge):
        check(take_copies(live, judge, tmp_path / "into", PROFILES[profile], copies=COPIES, seconds=300), version)


@pytest.mark.stress
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("profile", ["fast", "relentless"])
@pytest.mark.parametrize("version", VERSIONS)
def test_many_copies_step_by_step(
    tmp_path: Path, python, monkeypatch: pytest.MonkeyPatch, version: str, profile: str, block_size: int
) -> None:
    with scene(tmp_path, python(version), block_size) as (live, judge):
        step_by_step(live, monkeypatch)
        tally = take_copies(
            live, judge, tmp_path / "into", PROFILES[profile], copies=COPIES, seconds=300, naive_every=0
        )
        check(tally, version)


def step_by_step(live: LiveDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer stands still but for a moment before each step of a copy: stopped anywhere in what it does."""

    def moment() -> None:
        live.go_on()
        if random.random() < 0.5:  # else it goes on as far as the system lets it
            time.sleep(random.choice((0, 0.0002, 0.001, 0.005)))
        live.halt()

    at_each_step(monkeypatch, moment)
