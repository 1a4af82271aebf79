"""A restore that was interrupted goes on: what is in place, bit for bit, is not in the way."""

from __future__ import annotations

import pytest
from helpers import Bench, noise
from memory_db import REFLECTION, build, live_session

from akosha_snap.errors import ConflictError

FILES = {"a": noise(50_000, "a"), "b": noise(50_000, "b")}


def test_what_is_there_stays_as_it_is_and_the_rest_is_restored(bench):
    bench.push(FILES)
    to = bench.new_folder()
    to.mkdir()
    (to / "a").write_bytes(FILES["a"])
    before = (to / "a").stat()
    result = bench.restore(to=to)
    assert {path.name: path.read_bytes() for path in to.iterdir()} == FILES
    assert (to / "a").stat().st_ino == before.st_ino
    assert [file.name for file in result.files] == list(FILES)
    again = bench.restore(to=to)
    assert again.files == result.files
    assert again.bytes_received < 10_000, "no chunk is read for what is there"


@pytest.mark.parametrize("there", [b"", FILES["a"][:-1], b"x" + FILES["a"][1:], FILES["a"] + b"x"])
def test_any_other_file_is_in_the_way(bench, there):
    bench.push(FILES)
    to = bench.new_folder()
    to.mkdir()
    (to / "a").write_bytes(there)
    (to / "b").write_bytes(FILES["b"])
    with pytest.raises(ConflictError, match="a already in"):
        bench.restore(to=to)
    assert (to / "a").read_bytes() == there


def test_a_link_to_the_same_bytes_is_in_the_way(bench, tmp_path):
    bench.push(FILES)
    to = bench.new_folder()
    to.mkdir()
    (tmp_path / "elsewhere").write_bytes(FILES["a"])
    (to / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConflictError):
        bench.restore(to=to)


class TestDatabase:
    @pytest.fixture
    def pushed(self, tmp_path) -> tuple[Bench, dict[str, bytes]]:
        memory = tmp_path / "memory"
        memory.mkdir()
        build(memory, conversations=5)
        live_session(memory, seed=1, checkpoint=False)
        bench = Bench(tmp_path)
        names = [REFLECTION, f"{REFLECTION}.wal"]
        files = {name: (memory / name).read_bytes() for name in names}
        paths = bench.write(files)
        from akosha_snap import api

        api.push(paths[:1], bench.store, system_id="mac-local", stage_in_child=False, now=bench.clock)
        return bench, files

    def test_its_log_alone_is_what_an_interrupted_restore_leaves(self, pushed):
        bench, files = pushed
        to = bench.new_folder()
        to.mkdir()
        (to / f"{REFLECTION}.wal").write_bytes(files[f"{REFLECTION}.wal"])
        bench.restore(to=to)
        assert {path.name: path.read_bytes() for path in to.iterdir()} == files

    def test_the_database_without_its_log_is_not(self, pushed):
        bench, files = pushed
        to = bench.new_folder()
        to.mkdir()
        (to / REFLECTION).write_bytes(files[REFLECTION])
        with pytest.raises(ConflictError):
            bench.restore(to=to)

    def test_nor_is_another_log(self, pushed):
        bench, files = pushed
        to = bench.new_folder()
        to.mkdir()
        (to / f"{REFLECTION}.wal").write_bytes(b"another")
        with pytest.raises(ConflictError):
            bench.restore(to=to)
        bench.restore(to=to, force=True)
        assert {path.name: path.read_bytes() for path in to.iterdir()} == files
