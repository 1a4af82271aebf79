"""Copies of a database that another process is writing to."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from pathlib import Path

import memory_db
import pytest

from akosha_snap.source import stage
from akosha_snap.source.header import BLOCKS_START, parse_headers


@pytest.mark.parametrize("checkpoint_every", [0, 4, 40])
def test_no_copy_is_torn(tmp_path: Path, checkpoint_every: int) -> None:
    path, into = tmp_path / "writer.duckdb", tmp_path / "staged"
    seen, with_wal, iterations = 0, 0, set()
    with memory_db.writer_process(path, checkpoint_every=checkpoint_every) as writer:
        until = time.monotonic() + 4
        copies = 0
        while time.monotonic() < until and copies < 150:
            into.mkdir()
            staged = stage(path, into, deadline=20)
            with_wal += len(staged.files) > 1
            headers = parse_headers((into / "writer.duckdb").read_bytes()[:BLOCKS_START])
            assert headers.current
            iterations.add(headers.current.iteration)
            count = memory_db.check_writer(into / "writer.duckdb")
            assert count >= seen, "a later copy is of a later state"
            seen = count
            copies += 1
            shutil.rmtree(into)
        assert writer.poll() is None, "the writer was never disturbed"
    assert copies > 10
    assert with_wal > 0
    assert seen > 10
    assert (len(iterations) > 1) == bool(checkpoint_every)


def test_no_lock_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While we copy, the owner of the file can open it for writing."""
    from akosha_snap.source import live

    reflection, _ = memory_db.build(tmp_path, conversations=8)
    into = tmp_path / "staged"
    into.mkdir()
    real = live.copy_blocks
    opened = []

    def opening(*arguments: object) -> object:
        opened.append(_open_elsewhere(reflection))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "copy_blocks", opening)
    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, lambda *_: pytest.fail("a lock"))
    stage(reflection, into)
    assert opened[0] == 0


def _open_elsewhere(path: Path) -> int:
    source = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    return subprocess.run([sys.executable, "-c", source, str(path)], capture_output=True, check=False).returncode
