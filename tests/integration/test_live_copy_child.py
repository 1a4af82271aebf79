"""Staging in a child process: from the process that owns the database."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import memory_db
import pytest

import akosha_snap
from akosha_snap.errors import BusyError, ConfigError, DamageError, SourceError
from akosha_snap.source import count_records, stage, stage_in_child
from akosha_snap.source import spawn as spawn_module


def open_elsewhere(path: Path) -> int:
    """The exit code of a process that opens the database for writing."""
    source = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    return subprocess.run([sys.executable, "-c", source, str(path)], capture_output=True, check=False).returncode


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "staged"
    folder.mkdir()
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
def test_the_owners_lock_survives(tmp_path: Path, into: Path) -> None:
    reflection, _ = memory_db.build(tmp_path, conversations=8)
    with duckdb.connect(str(reflection)) as owner:
        owner.execute("UPDATE conversations_v2 SET access_count = 1 WHERE id = (SELECT min(id) FROM conversations_v2)")
        assert open_elsewhere(reflection) != 0
        staged = stage_in_child(reflection, into, deadline=20)
        assert open_elsewhere(reflection) != 0, "the lock is still held"
        assert [file.name for file in staged.files] == ["reflection.duckdb", "reflection.duckdb.wal"]
        assert count_records(into / "reflection.duckdb").conversations == 8
        stage_here = tmp_path / "here"
        stage_here.mkdir()
        stage(reflection, stage_here)
        assert open_elsewhere(reflection) == 0, "staged in this process it is gone: why the child is needed"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
def test_the_owners_lock_survives_every_call_of_the_library(tmp_path: Path) -> None:
    store, state = str(tmp_path / "store"), tmp_path / "state"
    reflection, _ = memory_db.build(tmp_path, conversations=8)
    with duckdb.connect(str(reflection)) as owner:
        for number, options in enumerate(({}, {}, {"dry_run": True}, {"full_file": True}, {"state_dir": None})):
            if number != 1:  # the second push finds nothing new
                owner.execute("UPDATE conversations_v2 SET access_count = ?", [number])
            pushed = akosha_snap.push([reflection], store, system_id="owner", **{"state_dir": state, **options})
            assert pushed.unchanged == (number == 1)
            assert is_locked(reflection), options
        assert akosha_snap.verify(store, "all", system_id="owner", level="open").ok
        akosha_snap.restore(store, system_id="owner", to=tmp_path / "restored")
        assert is_locked(reflection)
        assert open_elsewhere(reflection) != 0
    assert not is_locked(reflection)
    assert open_elsewhere(reflection) == 0
    with duckdb.connect(str(tmp_path / "restored" / reflection.name)) as restored:
        assert restored.execute("SELECT min(access_count) FROM conversations_v2").fetchone() == (4,)


def is_locked(path: Path) -> bool:
    """Whether another process would find the file locked; sooner than DuckDB says it."""
    source = (
        "import fcntl, sys\nwith open(sys.argv[1], 'r+b') as file:\n"
        "    try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    except OSError: sys.exit(7)"
    )
    code = subprocess.run([sys.executable, "-I", "-S", "-c", source, str(path)], check=False).returncode
    assert code in {0, 7}
    return code == 7


def test_the_same_as_staged_here(tmp_path: Path, into: Path) -> None:
    plain = tmp_path / "notes.txt"
    plain.write_bytes(b"notes")
    os.utime(plain, (1, 1))
    here = tmp_path / "here"
    here.mkdir()
    mine, childs = stage(plain, here), stage_in_child(plain, into, deadline=5)
    assert childs.files[0].path == str(into / "notes.txt")
    assert (mine.tries, mine.bytes_read, mine.warnings) == (childs.tries, childs.bytes_read, childs.warnings)
    assert (into / "notes.txt").read_bytes() == b"notes"


def test_folders_that_are_not_utf8(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    try:
        odd.mkdir()
    except OSError:
        pytest.skip("not on this filesystem")
    (odd / "notes.txt").write_bytes(b"notes")
    (odd / "staged").mkdir()
    staged = stage_in_child(odd / "notes.txt", odd / "staged", deadline=5)
    assert Path(staged.files[0].path).read_bytes() == b"notes"
    with pytest.raises(ConfigError, match="does not exist"):
        stage_in_child(odd / "no.txt", odd / "staged", deadline=5)


def test_errors_cross_the_boundary(tmp_path: Path, into: Path) -> None:
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(bytes(8) + b"DUCK" + bytes(20_000))
    checkpointing = tmp_path / "busy.duckdb"
    duckdb.connect(str(checkpointing)).close()
    (tmp_path / "busy.duckdb.wal.checkpoint").touch()
    cases = [
        (tmp_path / "no.duckdb", ConfigError, 5.0),
        (damaged, DamageError, 5.0),
        (checkpointing, BusyError, 0.6),
    ]
    for path, kind, deadline in cases:
        with pytest.raises(kind) as here:
            stage(path, into, deadline=deadline)
        with pytest.raises(kind) as there:
            stage_in_child(path, into, deadline=deadline)
        assert (there.value.message, there.value.hint) == (here.value.message, here.value.hint)
        assert type(there.value) is kind
        assert not list(into.iterdir())


def test_a_module_in_the_current_folder_is_not_taken_for_ours(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "notes.txt").write_bytes(b"notes")
    monkeypatch.chdir(tmp_path)
    assert stage_in_child(tmp_path / "notes.txt", into, deadline=5).files


def children() -> list[int]:
    """The processes this one has started: ours, and the servers other tests keep."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[1] == str(os.getpid()):
            found.append(int(status.parent.name))
    return sorted(found)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for children in /proc")


@pytest.fixture
def never_ready(tmp_path: Path) -> Path:
    """A database whose copy is retried until the deadline."""
    path = tmp_path / "busy.duckdb"
    duckdb.connect(str(path)).close()
    (tmp_path / "busy.duckdb.wal.checkpoint").touch()
    return path


@needs_proc
def test_a_child_that_takes_too_long_is_killed(never_ready: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    monkeypatch.setattr(spawn_module, "_MARGIN", -59.0)
    with pytest.raises(BusyError, match="took longer"):
        stage_in_child(never_ready, into, deadline=60)
    assert children() == before


@needs_proc
def test_ctrl_c_leaves_no_child(never_ready: Path, into: Path) -> None:
    before = children()
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        stage_in_child(never_ready, into, deadline=60)
    assert children() == before


@needs_proc
def test_a_killed_parent_leaves_no_child(never_ready: Path, into: Path) -> None:
    source = (
        "import pathlib, sys; from akosha_snap.source import stage_in_child;"
        "stage_in_child(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), deadline=60)"
    )
    command = [sys.executable, "-c", source, str(never_ready), str(into)]
    marked = {**os.environ, "MARK": str(into)}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], env=marked) as parent:
        wait_for(lambda: list(into.iterdir()))
        assert len(marked_with(into)) == 2
        parent.kill()
    wait_for(lambda: not marked_with(into))


def wait_for(condition: object) -> None:
    until = time.monotonic() + 15
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def marked_with(folder: Path) -> list[str]:
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"MARK={folder}".encode() in environment.read_bytes():
                found.append(environment.parent.name)
    return found


def test_a_child_that_breaks(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"notes")
    monkeypatch.setattr(spawn_module, "__package__", "akosha_snap.nowhere")
    with pytest.raises(SourceError, match=r"ended with code 1: .*No module named"):
        stage_in_child(path, into, deadline=5)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(SourceError, match="cannot be started"):
        stage_in_child(path, into, deadline=5)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(SourceError, match=r"sys\.executable"):
        stage_in_child(path, into, deadline=5)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(SourceError, match="nonsense"):
        stage_in_child(path, into, deadline=5)
