"""What killed processes leave, and who removes it: never what a process is still at work on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import Bench, leftovers

from akosha_snap.atomic import sweep, temporary_file
from akosha_snap.scratch import scratch_folder
from akosha_snap.stores import CountingStore, DirectoryStore, DryRunStore, MemoryStore, sweeping

NAME = f".tmp-{'0' * 16}"
HOUR, DAY = 3600, 86_400

posix = pytest.mark.skipif(os.name != "posix", reason="needs flock")


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def left(folder: Path, seconds: float, name: str = NAME) -> Path:
    """An unfinished file, last written so long ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"half")
    age(path, seconds)
    return path


class TestSweep:
    @posix
    def test_a_file_that_nobody_holds_goes_after_a_moment(self, tmp_path):
        path = left(tmp_path, 60)
        sweep(tmp_path)
        assert not path.exists()

    def test_one_that_was_just_made_stays(self, tmp_path):
        path = left(tmp_path, 0)
        sweep(tmp_path)
        assert path.exists()

    def test_one_that_is_held_stays_until_it_is_a_day_old(self, tmp_path):
        with temporary_file(tmp_path) as (path, _):
            age(path, HOUR)
            sweep(tmp_path)
            assert path.exists()
            age(path, DAY + 1)
            sweep(tmp_path)
            assert not path.exists()

    @posix
    def test_its_process_is_killed(self, tmp_path):
        source = (
            "import os, pathlib, sys; from akosha_snap.atomic import temporary_file\n"
            "with temporary_file(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", source, str(tmp_path)], check=False)
        (path,) = leftovers(tmp_path)
        age(path, 60)
        sweep(tmp_path)
        assert not path.exists()

    def test_alone_there_is_nothing_to_wait_for(self, tmp_path):
        path = left(tmp_path, 0)
        sweep(tmp_path, older_than=0)
        assert not path.exists()

    @pytest.mark.parametrize("name", [".tmp-lock", ".tmp-mine", "notes.txt"])
    def test_what_is_not_ours_stays(self, tmp_path, name):
        path = left(tmp_path, 9 * DAY, name)
        sweep(tmp_path)
        sweep(tmp_path, older_than=0)
        assert path.exists()


class TestScratchFolder:
    def test_it_is_private_empty_and_gone_in_the_end(self, tmp_path):
        with scratch_folder(tmp_path) as folder:
            assert list(folder.iterdir()) == []
            if os.name == "posix":
                assert folder.stat().st_mode & 0o777 == 0o700
            (folder / "x").write_bytes(b"x")
        assert list(tmp_path.iterdir()) == []

    def test_one_that_is_in_use_stays(self, tmp_path):
        with scratch_folder(tmp_path) as folder:
            for path in (folder.parent, folder.parent / ".akosha-snap-scratch"):
                age(path, 9 * DAY)
            with scratch_folder(tmp_path):
                assert folder.exists()

    @pytest.mark.parametrize("held", [True, False], ids=["at work", "before its marker is there"])
    def test_one_of_a_killed_process_goes_with_the_next(self, tmp_path, held):
        if held:
            source = (
                "import os, pathlib, sys; from akosha_snap.scratch import scratch_folder\n"
                "with scratch_folder(pathlib.Path(sys.argv[1])) as folder:\n"
                "    (folder / 'memory').write_bytes(b'x'); os.kill(os.getpid(), 9)"
            )
            subprocess.run([sys.executable, "-c", source, str(tmp_path)], check=False)
        else:
            (tmp_path / "akosha-snap-abcdefgh").mkdir()
        (folder,) = tmp_path.iterdir()
        for path in (folder, folder / ".akosha-snap-scratch"):
            if path.exists():
                age(path, 60)
        with scratch_folder(tmp_path):
            assert not folder.exists()

    def test_what_is_not_ours_stays(self, tmp_path):
        mine = tmp_path / "akosha-snap-checkout"
        mine.mkdir()
        (mine / "README.md").write_text("mine")
        age(mine, 9 * DAY)
        (tmp_path / "akosha-snap-link").symlink_to(mine)
        with scratch_folder(tmp_path):
            pass
        assert (mine / "README.md").exists()
        assert (tmp_path / "akosha-snap-link").is_symlink()


class TestStore:
    def test_a_prune_sweeps_a_folder_store(self, tmp_path):
        bench = Bench(tmp_path, DirectoryStore(tmp_path / "store"))
        bench.push({"a": b"1"})
        (pack,) = bench.packs()
        old = left((tmp_path / "store" / pack).parent, DAY + 1)
        young = left(tmp_path / "store" / "akosha-snap" / "mac-local" / "packs" / "zz", HOUR)
        another = left(tmp_path / "store" / "systems" / "another", 9 * DAY)
        bench.prune(dry_run=True)
        assert old.exists()
        bench.prune()
        assert not old.exists()
        assert young.exists()
        assert another.exists()

    def test_other_stores_have_nothing_to_sweep(self):
        assert sweeping(MemoryStore()) is None
        assert sweeping(CountingStore(MemoryStore())) is None
        assert sweeping(DryRunStore(DirectoryStore(Path("x")))) is not None

    def test_a_push_leaves_none_of_a_killed_one_in_its_state_folder(self, bench):
        bench.push({"a": b"1"})
        (folder,) = bench.state.iterdir()
        path = left(folder, 0)
        bench.push({"a": b"2"})
        assert not path.exists()
