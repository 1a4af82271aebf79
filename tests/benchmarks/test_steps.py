"""Steps of a data set, kept as changes: whatever a file does, it comes back byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.measure import Command
from benchmarks.places import folder_place
from benchmarks.runner import Course, ages
from benchmarks.steps import PAGE, Digests, Step, digests, keep
from benchmarks.tools.floor import Xdelta

A, B, C = (bytes([value]) * PAGE for value in b"abc")

HISTORIES: dict[str, list[dict[str, bytes]]] = {
    "changed": [{"f": A + B + A}, {"f": A + C + A}],
    "unchanged": [{"f": A + B}, {"f": A + B}],
    "grown": [{"f": A + b"end"}, {"f": A + B + b"the end"}],
    "shrunk": [{"f": A + B + C}, {"f": A + b"x"}],
    "emptied": [{"f": A}, {"f": b""}, {"f": B + A}],
    "moved": [{"f": A + B + C}, {"f": C + A + B}, {"f": A + B + C}],
    "a WAL that comes and goes": [{"f": A}, {"f": A, "f.wal": b"log"}, {"f": B, "f.wal": b"lo"}, {"f": B}],
}


def _kept(history: list[dict[str, bytes]], work: Path) -> list[Step]:
    held: dict[str, Digests] = {}
    for number, files in enumerate(history):
        now = work / f"now-{number}"
        now.mkdir(parents=True)
        for name, content in files.items():
            (now / name).write_bytes(content)
        held = {"f": keep(now, held, work / f"{number:03}")["f"]}
    return [Step([work / f"{number:03}"]) for number in range(len(history))]


@pytest.mark.parametrize("name", HISTORIES)
def test_every_step_comes_back(name: str, tmp_path: Path) -> None:
    history = HISTORIES[name]
    live = tmp_path / "live"
    live.mkdir()
    for step, files in zip(_kept(history, tmp_path / "work"), history, strict=True):
        step.write(live)
        assert {path.name: path.read_bytes() for path in live.iterdir()} == files
        assert step.names == sorted(files)
        assert step.size == sum(map(len, files.values()))
        assert all(step.holds(one, live / one) for one in files)


def test_only_what_changed_is_kept(tmp_path: Path) -> None:
    made = _kept([{"f": A + B + C + b"tail"}, {"f": A + C + C + b"tale"}], tmp_path)
    assert [step.changed for step in made] == [3 * PAGE + 4, PAGE + 4]


def test_other_bytes_are_not_held(tmp_path: Path) -> None:
    step = _kept([{"f": A}], tmp_path)[0]
    for content in (B, A + b"x", b""):
        (tmp_path / "other").write_bytes(content)
        assert not step.holds("f", tmp_path / "other")


def test_a_live_file_is_written_in_place_and_the_kept_one_is_not(tmp_path: Path) -> None:
    first, second = _kept([{"f": A}, {"f": B}], tmp_path)
    live = tmp_path / "live"
    live.mkdir()
    first.write(live)
    inode = (live / "f").stat().st_ino
    second.write(live)
    assert (live / "f").stat().st_ino == inode
    assert (tmp_path / "000" / "f").read_bytes() == A


def test_what_an_interrupted_run_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / "000.new").mkdir()
    (tmp_path / "000.new" / "half").write_bytes(b"x")
    step = _kept([{"f": A}], tmp_path)[0]
    assert step.names == ["f"]
    assert digests(tmp_path / "now-0" / "f").size == PAGE


def test_the_ages_to_restore() -> None:
    assert ages(0) == [0]
    assert ages(1) == [0, 1]
    assert ages(3) == [0, 3]
    assert ages(12) == [0, 1, 3, 6, 9, 12]
    assert ages(64) == [0, 8, 16, 32, 48, 64]


class _Copier(Xdelta):
    """Stands for a tool that keeps whole files, and brings back the first one whatever it is asked for."""

    def push(self, paths: list[Path], label: str) -> list[Command]:
        return [Command(["cp", path, self.place.folder / f"{label}-{path.name}"]) for path in paths]

    def restore(self, label: str, to: Path, *, latest: bool) -> list[Command]:
        return [Command(["cp", self.place.folder / "s000-f", to / "f"])]


def test_a_course_measures_everything_and_finds_a_wrong_restore(tmp_path: Path) -> None:
    made = _kept([{"f": A + B}, {"f": A + C}], tmp_path / "work")
    tool = _Copier(folder_place(tmp_path / "place"))
    rows = Course("d", tool, made, tmp_path / "run", shape="", timeout=30, say=lambda line: None).run()
    assert [(row.operation, row.number, row.age) for row in rows] == [
        ("init", 0, None), ("first", 0, None), ("session", 1, None), ("unchanged", 1, None), ("read", 0, None),
        ("restore", 1, 0), ("restore", 0, 1),
    ]  # fmt: skip
    assert [row.problem for row in rows[5:]] == ["f came back with other bytes", ""]
    assert (rows[2].size, rows[2].changed, rows[2].stored) == (2 * PAGE, PAGE, 2 * PAGE)
