"""The command on a real disk that is too small: for the state, for a restore's target, for the store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import noise

import akosha_snap
from akosha_snap import api

MIB = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder with 2 MiB of room."""
    folder = tmp_path / "small"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux to mount a tmpfs; test_full_disk.py does the same without")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of 3 MiB that does not compress, and the settings for a store with room."""
    monkeypatch.setenv("PYTHONPATH", str(Path(akosha_snap.__file__).parents[1]))
    monkeypatch.setenv("AKOSHA_SNAP_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "laptop")
    path = tmp_path / "notes.bin"
    path.write_bytes(noise(3 * MIB))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def _run(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "akosha_snap", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _whole(tmp_path: Path, snapshots: int) -> None:
    store = str(tmp_path / "store")
    assert len(api.snapshots(store, system_id="laptop").snapshots) == snapshots
    assert api.verify(store, "all", level="data", system_id="laptop").ok


def test_a_state_folder_without_room_stops_no_push(small, live, tmp_path, monkeypatch):
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(small / "state"))
    done = _run("push", live)
    assert done.returncode == 0, done.stderr
    assert "no room for copies in" in done.stderr
    _whole(tmp_path, 1)
    assert not [path for path in small.rglob("*") if path.is_file() and path.stat().st_size > MIB]


def test_without_room_for_copies_anywhere_nothing_is_uploaded(small, live, tmp_path, monkeypatch):
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(small / "state"))
    monkeypatch.setenv("TMPDIR", str(small))
    done = _run("push", live)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path for path in small.rglob("*") if path.name == "notes.bin"] == []
    assert not (tmp_path / "store").exists()


def test_a_restore_into_a_folder_without_room_leaves_nothing_there(small, live, tmp_path):
    assert _run("push", live).returncode == 0
    done = _run("restore", "--to", small)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert list(small.iterdir()) == []
    _whole(tmp_path, 1)


@pytest.mark.stress
def test_a_store_without_room_keeps_what_it_has(small, live, tmp_path, monkeypatch):
    monkeypatch.setenv("AKOSHA_SNAP_STORE", str(small / "store"))
    small_file = tmp_path / "small.bin"
    small_file.write_bytes(noise(MIB // 2))
    assert _run("push", small_file).returncode == 0
    done = _run("push", live)
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    store = str(small / "store")
    assert api.verify(store, "all", level="data", system_id="laptop").ok
    assert not list(small.rglob(".tmp-*"))
