"""What an observer is told: phases with their size, and never more or less of them than that."""

from __future__ import annotations

import threading

import pytest
from helpers import SYSTEM, Part, craft, noise, prose

from akosha_snap import api
from akosha_snap.events import Observer

FILES = {"a": noise(700_000), "b": prose(300_000)}


class Watcher(Observer):
    """Adds up what it is told of each phase."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self._thread = threading.get_ident()
        self._phase = ""

    def phase(self, name: str, *, total: int = 0) -> None:
        assert threading.get_ident() == self._thread
        self._phase = name
        self.totals[name] = total
        self.done[name] = 0

    def advance(self, amount: int) -> None:
        assert threading.get_ident() == self._thread
        self.done[self._phase] += amount


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def test_a_push_advances_by_the_bytes_of_its_files(bench, watcher):
    bench.push(FILES, observer=watcher)
    assert watcher.done["store"] == watcher.totals["store"] == 1_000_000
    assert list(watcher.totals) == ["stage", "compare", "store", "commit"]


def test_a_restore_advances_by_the_bytes_of_its_files(bench, watcher, tmp_path):
    bench.push(FILES)
    bench.restore(observer=watcher)
    assert watcher.done["restore"] == watcher.totals["restore"] == 1_000_000


def test_a_verification_advances_by_the_bytes_it_reads(bench, watcher):
    bench.push(FILES)
    bench.verify(level="data", observer=watcher)
    assert watcher.done["verify"] == watcher.totals["verify"] > 800_000


def test_bases_that_are_no_part_of_a_file_do_not_count(bench, watcher, tmp_path):
    base, based = prose(50_000, 1), prose(40_000, 1) + prose(1000, 2)
    craft(bench, [[Part(base), Part(based, (base,))]], {"f": [based]})
    api.restore(bench.store, system_id=SYSTEM, to=tmp_path / "to", observer=watcher)
    assert watcher.done["restore"] == watcher.totals["restore"] == 41_000
