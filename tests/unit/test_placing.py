"""Over a folder that is not empty: all of it is replaced, or all of it stays, wherever it stops."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from msgspec.structs import replace

from akosha_snap import atomic
from akosha_snap.atomic import publish
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.manifest import FileEntry
from akosha_snap.manifest.snapshot import FullFile
from akosha_snap.snapshot import placing

OLD = {
    "a.duckdb": b"old a",
    "a.duckdb.wal": b"old log of a",
    "b.duckdb": b"old b",
    "b.duckdb.wal": b"old log of b",
    "c.duckdb": b"old c",
    "notes.txt": b"old notes",
    "theirs": b"of no snapshot",
}
NEW = {  # b comes without a log, c with one, d is new
    "a.duckdb": b"new a",
    "a.duckdb.wal": b"new log of a",
    "b.duckdb": b"new b",
    "c.duckdb": b"new c",
    "c.duckdb.wal": b"new log of c",
    "d.txt": b"new d",
    "notes.txt": b"new notes",
}
AFTER = {**OLD, **NEW}
del AFTER["b.duckdb.wal"]
KINDS = {".duckdb": "duckdb", ".wal": "wal"}
FILES = [
    FileEntry(name, KINDS.get(Path(name).suffix, "plain"), len(data), "", 1, FullFile(name, len(data), "", ""))
    for name, data in NEW.items()
]


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], tuple[Path, dict[str, Path]]]:
    """Makes a folder with the old files, and the new ones finished in another."""

    def make() -> tuple[Path, dict[str, Path]]:
        made = []
        for name, files in (("target", OLD), ("finished", NEW)):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
            (tmp_path / name).mkdir()
            for file, data in files.items():
                (tmp_path / name / file).write_bytes(data)
            made.append(tmp_path / name)
        return made[0], {name: made[1] / name for name in NEW}

    return make


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def no_link(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture(params=["hard links", "no hard links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", no_link)


@pytest.mark.usefixtures("links")
def test_all_is_replaced_and_nothing_is_left_aside(fresh):
    target, finished = fresh()
    placing.place(finished, target, FILES, overwrite=True)
    assert content(target) == AFTER


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("error", [OSError(errno.EBUSY, "busy"), KeyboardInterrupt()])
@pytest.mark.parametrize("when", ["before", "after"])
def test_where_a_file_cannot_be_placed_all_stays(fresh, monkeypatch, name, error, when):
    def fails(path: Path, final: Path, *, overwrite: bool) -> None:
        if final.name != name or when == "after":
            publish(path, final, overwrite=overwrite)
        if final.name == name:
            raise error

    target, finished = fresh()
    monkeypatch.setattr(placing, "publish", fails)
    with pytest.raises(type(error)):
        placing.place(finished, target, FILES, overwrite=True)
    assert content(target) == OLD


def interrupted(place: Callable[[], None], at: int) -> int:
    """Interrupt `place` at one of the bytecodes of `place`, or of the lines of what it calls; how many it came to."""
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in {placing.__file__, atomic.__file__}:
            return None
        frame.f_trace_opcodes = frame.f_code is placing.place.__code__
        if event in {"line", "opcode", "return"}:
            seen += 1
            if seen - 1 == at:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        place()
    finally:
        sys.settrace(before)
    return seen


@pytest.mark.usefixtures("links")
def test_wherever_it_is_interrupted_all_stays_or_all_is_replaced(fresh, monkeypatch):
    monkeypatch.setattr(atomic, "fsync_directory", lambda _: None)  # for its time
    target, finished = fresh()
    steps = interrupted(partial(placing.place, finished, target, FILES, overwrite=True), -1)
    outcomes = []
    for at in range(steps):
        target, finished = fresh()
        with pytest.raises(KeyboardInterrupt):
            interrupted(partial(placing.place, finished, target, FILES, overwrite=True), at)
        found = content(target)
        if found != OLD:  # the last was in its place: what was put aside is being removed
            found = {name: data for name, data in found.items() if ".replaced-" not in name}
        assert found in (OLD, AFTER), f"at step {at} of {steps}"
        outcomes.append(found == AFTER)
    assert outcomes == sorted(outcomes)
    assert len(set(outcomes)) == 2


def test_without_force_a_file_of_somebody_else_is_not_taken_for_ours(fresh, monkeypatch):
    target, finished = fresh()
    for name in NEW:
        (target / name).unlink(missing_ok=True)
    (target / "b.duckdb.wal").unlink()

    def late(path: Path, final: Path, *, overwrite: bool) -> None:
        if final.name == "c.duckdb":
            final.write_bytes(b"theirs")
        publish(path, final, overwrite=overwrite)

    monkeypatch.setattr(placing, "publish", late)
    with pytest.raises(FileExistsError):
        placing.place(finished, target, FILES, overwrite=False)
    assert content(target) == {"theirs": OLD["theirs"], "c.duckdb": b"theirs"}


def test_a_name_as_long_as_a_name_can_be_is_replaced_too(fresh):
    target, finished = fresh()
    name = "n" + "\u00e9" * 127
    (target / name).write_bytes(b"old")
    finished = {name: finished["notes.txt"]}
    placing.place(finished, target, [replace(FILES[-1], name=name)], overwrite=True)
    assert content(target) == {**OLD, name: NEW["notes.txt"]}


@pytest.fixture
def mounted(bench, tmp_path) -> Iterator[Path]:
    """A folder with a.txt and b.txt, the latter a mount point: nothing can be renamed over it."""
    folder = tmp_path / "target"
    folder.mkdir()
    for name in ("a.txt", "b.txt", "../elsewhere"):
        (folder / name).write_bytes(f"old {name}".encode())
    command = ["mount", "--bind", str(tmp_path / "elsewhere"), str(folder / "b.txt")]
    if os.name == "nt" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a bind mount needs root")
    yield folder
    subprocess.run(["umount", str(folder / "b.txt")], check=True)


def test_a_mount_point_among_the_files_leaves_everything_as_it_was(bench, mounted):
    bench.push({"a.txt": b"new a", "b.txt": b"new b"})
    before = content(mounted)
    with pytest.raises(AkoshaSnapError, match="busy"):
        bench.restore(to=mounted, force=True)
    assert content(mounted) == before
