"""The warm state and the mirror: what they save, and that losing or faking any of it costs nothing but that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import memory_db
import msgspec
import pytest
from helpers import MIB, SYSTEM, Bench, InterceptingStore, PulledPlug, RecordingStore, dies_at, edited, noise, prose

from akosha_snap import api
from akosha_snap.errors import DamageError, SourceError
from akosha_snap.manifest.keys import manifest_key
from akosha_snap.snapshot import bases, last_push, push, workspace
from akosha_snap.snapshot.last_push import LastPush, WarmState
from akosha_snap.snapshot.results import PushResult
from akosha_snap.stores import MemoryStore

DAY = 86_400


class Disk(NamedTuple):
    """What shutil.disk_usage says."""

    free: int


class Memory:
    """A memory as Session-Buddy keeps it, its store and its state folder."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.live = folder / "live"
        shutil.copytree(built, self.live)
        self.paths = [self.live / memory_db.REFLECTION, self.live / memory_db.GRAPH]
        self.folder = folder
        self.store = RecordingStore(MemoryStore())
        self.sessions = 0

    @property
    def state(self) -> Path:
        """The one folder below the state folder."""
        (found,) = (self.folder / "state").iterdir()
        return found

    def session(self, *, checkpoint: bool = True) -> None:
        self.sessions += 1
        memory_db.live_session(self.live, seed=self.sessions, checkpoint=checkpoint)

    def push(self, **options) -> PushResult:
        self.store.seen.clear()
        options = {"state_dir": self.folder / "state", "stage_in_child": False} | options
        return api.push(options.pop("paths", self.paths), self.store, system_id=SYSTEM, **options)

    def methods(self) -> list[str]:
        return [request.method for request in self.store.seen]

    def check(self) -> None:
        """The newest snapshot is what lies there now, byte for byte, and every other is whole."""
        to = self.folder / "restored"
        shutil.rmtree(to, ignore_errors=True)
        restored = api.restore(self.store, system_id=SYSTEM, to=to)
        for file in restored.files:
            assert Path(file.path).read_bytes() == (self.live / file.name).read_bytes()
        assert api.verify(self.store, "all", system_id=SYSTEM, level="data").ok


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    memory_db.build(folder, conversations=200)
    return folder


@pytest.fixture
def memory(tmp_path: Path, built: Path) -> Memory:
    return Memory(tmp_path, built)


class TestRequests:
    """The budget: 4 requests for a session, 1 where nothing has changed."""

    @pytest.mark.parametrize("checkpoint", [True, False])
    def test_a_session_takes_four(self, memory, checkpoint):
        memory.push()
        memory.session(checkpoint=checkpoint)
        result = memory.push()
        assert sorted(memory.methods()) == ["list_page", "put", "put", "put"]
        assert result.requests == 4
        assert result.bytes_received == 0
        memory.check()

    def test_an_unchanged_memory_takes_one_and_is_not_read(self, memory):
        first = memory.push()
        again = memory.push()
        assert again.unchanged
        assert again.upload_id == first.upload_id
        assert memory.methods() == ["list_page"]
        assert again.requests == 1
        assert again.bytes_read < 100_000 < first.bytes_read
        assert again.counts == first.counts
        assert [(file.name, file.size, file.chunks, file.chunks_new) for file in again.files] == [
            (file.name, file.size, file.chunks, 0) for file in first.files
        ]

    def test_the_same_on_seaweedfs(self, memory, seaweed_url):
        def push() -> PushResult:
            return api.push(memory.paths, seaweed_url, system_id=SYSTEM, state_dir=memory.folder / "state")

        push()
        memory.session()
        assert push().requests == 4
        assert push().requests == 1

    def test_a_dry_run_counts_the_same_and_changes_nothing(self, memory):
        memory.push()
        memory.session()
        before = {path: path.read_bytes() for path in memory.state.rglob("*") if path.is_file()}
        planned = memory.push(dry_run=True)
        assert {path: path.read_bytes() for path in memory.state.rglob("*") if path.is_file()} == before
        assert planned.requests == memory.push().requests == 4

    def test_one_changed_database_is_all_that_is_read(self, memory):
        memory.push()
        import duckdb

        with duckdb.connect(str(memory.paths[0])) as connection:
            connection.execute("UPDATE conversations_v2 SET access_count = 7 WHERE access_count <> 7")
        result = memory.push()
        assert memory.paths[0].stat().st_size < result.bytes_read < memory.paths[0].stat().st_size + 100_000
        assert [file.chunks_new > 0 for file in result.files] == [True, False]
        memory.check()

    def test_after_a_day_the_store_is_looked_at_again(self, tmp_path):
        bench = Bench(tmp_path)
        data = noise(3 * MIB)
        upload_id = bench.push({"a": data}).upload_id
        bench.delete(bench.own_pack(upload_id))
        assert bench.push({"a": data}).unchanged, "within a day nobody looks"
        bench.clock.advance(DAY)
        healed = bench.push({"a": data})
        assert not healed.unchanged
        assert bench.restored() == {"a": data}

    @pytest.mark.parametrize("back", [60, 2 * DAY])
    def test_a_clock_set_back_is_not_taken_for_a_fresh_look(self, tmp_path, back):
        bench = Bench(tmp_path)
        bench.push({"a": b"1"})
        bench.clock.advance(-back)
        assert bench.push({"a": b"1"}).requests > 1


class TestSomebodyElse:
    """Another machine pushes as the same system, or the store loses what it had."""

    def test_a_newer_snapshot_becomes_the_parent(self, tmp_path):
        bench = Bench(tmp_path)
        data = noise(2 * MIB)
        bench.push({"a": data})
        other = bench.push({"a": edited(data, 1000)}, state_dir=tmp_path / "other").upload_id
        result = bench.push({"a": edited(data, MIB)})
        assert bench.manifest(result.upload_id).snapshot.parent == other
        assert bench.restored() == {"a": edited(data, MIB)}

    def test_what_was_unchanged_here_is_pushed_where_the_newest_differs(self, memory):
        mine = memory.push()
        memory.session()
        memory.push(state_dir=memory.folder / "other-state")
        for path in memory.paths:  # as they were, to the inode
            shutil.copyfile(memory.state / "mirror" / path.name, path)
        result = memory.push()
        assert not result.unchanged
        assert result.upload_id != mine.upload_id
        memory.check()

    def test_a_manifest_that_is_gone(self, memory):
        first = memory.push().upload_id
        memory.store.delete(manifest_key(SYSTEM, first))
        assert not memory.push().unchanged
        memory.check()

    @pytest.mark.parametrize("has_tags", [True, False])
    def test_another_store_with_a_snapshot_of_the_same_second(self, tmp_path, monkeypatch, has_tags):
        """Two disks that take turns at one path, or two servers behind one URL: the ids and sizes are the same."""
        if not has_tags:
            monkeypatch.setattr("akosha_snap.stores.memory.md5_of", lambda _: "of another kind")
        bench = Bench(tmp_path)
        data = noise(2 * MIB)
        one, other = bench.store, MemoryStore()
        first = bench.push({"a": data})
        second = bench.push({"a": data}, store=other)
        assert first.upload_id == second.upload_id
        bench.clock.advance(60)
        assert len(bench.push({"a": edited(data, 1000)}, store=one).files_uploaded) > 0
        assert bench.verify(level="data").ok
        assert bench.restored() == {"a": edited(data, 1000)}

    @pytest.mark.parametrize("has_tags", [True, False])
    def test_a_store_whose_tags_are_not_md5(self, tmp_path, monkeypatch, has_tags):
        if not has_tags:
            monkeypatch.setattr("akosha_snap.stores.memory.md5_of", lambda _: "of another kind")
        bench = Bench(tmp_path)
        bench.push({"a": noise(MIB)})
        result = bench.push({"a": noise(MIB)})
        assert result.unchanged
        assert result.requests == (1 if has_tags else 2)

    def test_a_wiped_store(self, memory):
        memory.push()
        memory.store = RecordingStore(MemoryStore())
        result = memory.push()
        assert result.is_first
        assert all(file.chunks_new for file in result.files)
        memory.check()

    def test_an_interrupted_push_is_taken_up_with_a_full_look(self, memory):
        memory.push()
        memory.session()
        dying = InterceptingStore(memory.store, dies_at(lambda key: key.endswith("manifest.json")))
        with pytest.raises(PulledPlug):
            api.push(memory.paths, dying, system_id=SYSTEM, state_dir=memory.folder / "state", stage_in_child=False)
        result = memory.push()
        assert sum(file.chunks_new for file in result.files) == 0
        assert not result.unchanged
        memory.check()


DAMAGE = {
    "state lost": lambda state: (state / "last-push").unlink(),
    "state empty": lambda state: (state / "last-push").write_bytes(b""),
    "state cut short": lambda state: os.truncate(state / "last-push", (state / "last-push").stat().st_size // 2),
    "state flipped": lambda state: _flip(state / "last-push"),
    "table lost": lambda state: (state / "similar").unlink(),
    "table flipped": lambda state: _flip(state / "similar"),
    "mirror lost": lambda state: shutil.rmtree(state / "mirror"),
    "one copy lost": lambda state: (state / "mirror" / memory_db.GRAPH).unlink(),
    "a copy flipped": lambda state: _flip(state / "mirror" / memory_db.REFLECTION),
    "a copy cut short": lambda state: os.truncate(state / "mirror" / memory_db.REFLECTION, 20_000),
    "the copies swapped": lambda state: _swap(*(state / "mirror").iterdir()),
    "everything lost": shutil.rmtree,
}  # fmt: skip


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data), 5000):
        data[at] ^= 0x40
    path.write_bytes(data)


def _swap(one: Path, other: Path) -> None:
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)


class TestTrust:
    """What a push takes the store to hold, and how to have it look."""

    def test_recheck_looks_within_the_day(self, tmp_path):
        bench = Bench(tmp_path)
        data = noise(3 * MIB)
        bench.delete(bench.own_pack(bench.push({"a": data}).upload_id))
        assert not bench.push({"a": data}, recheck=True).unchanged
        assert bench.restored() == {"a": data}

    def test_damage_that_verify_finds_ends_it(self, tmp_path):
        bench = Bench(tmp_path)
        data = noise(3 * MIB)
        bench.delete(bench.own_pack(bench.push({"a": data}).upload_id))
        assert not bench.verify(state_dir=bench.state).ok
        assert not bench.push({"a": data}).unchanged
        assert bench.restored() == {"a": data}

    def test_a_leftover_journal_is_cleared_by_the_first_full_look(self, memory):
        memory.push()
        (memory.state / "pending").write_text("ab" * 32 + "\n")
        assert memory.push().requests > 1
        assert memory.push().requests == 1

    def test_a_change_that_keeps_every_time_but_the_inodes_own(self, memory):
        memory.push()
        before = memory.paths[0].stat()
        data = bytearray(memory.paths[0].read_bytes())
        data[len(data) // 2] ^= 1
        with memory.paths[0].open("r+b") as file:
            file.write(data)
        os.utime(memory.paths[0], ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(DamageError):
            memory.push()

    def test_file_sets_that_take_turns_are_uploaded_once(self, tmp_path):
        bench = Bench(tmp_path)
        one, other = noise(2 * MIB, 1), noise(2 * MIB, 2)
        bench.push({"a": one})
        bench.push({"b": other})
        again = bench.push({"a": one})
        assert again.bytes_transferred < 20_000
        assert bench.restored() == {"a": one}
        assert bench.push({"a": one, "b": other}).bytes_transferred < 20_000
        assert bench.restored() == {"a": one, "b": other}
        assert bench.verify(level="data").ok


@pytest.mark.parametrize("damage", [b"", b"x"])
def test_a_staged_copy_that_is_not_what_it_was_makes_no_snapshot(tmp_path, monkeypatch, damage):
    bench = Bench(tmp_path)
    read, calls = bases.AtHand.read, []

    def spoiled(where: bases.AtHand) -> bytes:
        calls.append(where)
        return read(where) if len(calls) < 3 else damage * where.size

    monkeypatch.setattr(bases.AtHand, "read", spoiled)
    with pytest.raises(SourceError, match="staged copy"):
        bench.push({"a": noise(MIB)})
    assert bench.uploads() == []


def test_a_staged_database_that_is_not_what_was_hashed_makes_no_snapshot(memory, monkeypatch):
    real = push.cut_files

    def cutting(staged, *rest):
        _flip(Path(staged.files[0].path))
        return real(staged, *rest)

    monkeypatch.setattr(push, "cut_files", cutting)
    with pytest.raises(SourceError, match="staged copy"):
        memory.push()
    monkeypatch.undo()
    assert memory.push().is_first


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
    def test_costs_bytes_or_time_only(self, memory, damage):
        memory.push()
        memory.session()
        damage(memory.state)
        assert memory.push().success
        memory.check()
        memory.session(checkpoint=False)
        assert memory.push().requests == 4, "the state has mended"
        memory.check()

    def test_a_stale_state_folder_put_back(self, memory):
        memory.push()
        shutil.copytree(memory.folder / "state", memory.folder / "backup")
        memory.session()
        second = memory.push().upload_id
        shutil.rmtree(memory.folder / "state")
        shutil.copytree(memory.folder / "backup", memory.folder / "state")
        memory.session()
        result = memory.push()
        assert api.show(memory.store, result.upload_id, system_id=SYSTEM).parent == second
        memory.check()

    def test_a_state_of_another_version_is_not_believed(self, memory, monkeypatch):
        memory.push()
        monkeypatch.setattr(last_push, "_WRITER", "2 9.9.9")
        assert WarmState(memory.state).load() is None
        memory.check()

    def test_sections_that_do_not_fit_are_cut_anew(self, memory):
        memory.push()
        warm = WarmState(memory.state)
        last = warm.load()
        assert last is not None
        files = {name: msgspec.structs.replace(file, digests=file.digests[32:]) for name, file in last.files.items()}
        warm.save(msgspec.structs.replace(last, files=files), None)
        memory.session()
        memory.push()
        memory.check()

    def test_a_crash_while_saving_leaves_nothing_that_does_not_fit_together(self, memory, monkeypatch):
        memory.push()
        memory.session()

        def pull(*_: object) -> None:
            raise PulledPlug

        with monkeypatch.context() as patch:
            patch.setattr(last_push, "_write", pull)
            with pytest.raises(PulledPlug):
                memory.push()
        assert WarmState(memory.state).load() is None
        memory.session()
        memory.push()
        memory.check()


class TestMirror:
    def test_it_is_the_copy_of_the_last_push_and_private(self, memory):
        memory.push()
        assert {path.name for path in (memory.state / "mirror").iterdir()} == {path.name for path in memory.paths}
        for path in memory.paths:
            assert (memory.state / "mirror" / path.name).read_bytes() == path.read_bytes()
        if os.name == "posix":
            assert all(path.stat().st_mode & 0o077 == 0 for path in memory.state.rglob("*"))

    def test_a_file_that_is_not_pushed_any_more_leaves_it(self, memory):
        memory.push()
        memory.push(paths=memory.paths[:1])
        assert [path.name for path in (memory.state / "mirror").iterdir()] == [memory.paths[0].name]

    def test_without_one_pushes_cost_as_few_requests(self, memory):
        memory.push(mirror=False)
        memory.session()
        assert memory.push(mirror=False).requests == 4
        assert not (memory.state / "mirror").exists()
        assert memory.push(mirror=False).requests == 1
        memory.check()

    def test_giving_it_up_removes_it(self, memory):
        memory.push()
        memory.session()
        memory.push(mirror=False)
        assert not (memory.state / "mirror").exists()

    def test_it_saves_bytes_when_content_was_replaced(self, tmp_path):
        """Nothing of the old file is left in the new one but what they resemble each other in."""
        old, sent = prose(3 * MIB, "old"), {}
        new = b"".join(old[at : at + 4096] + noise(40, at) for at in range(0, len(old), 4096))
        for mirror in (True, False):
            folder = tmp_path / str(mirror)
            folder.mkdir()
            bench = Bench(folder)
            bench.push({"a": old}, mirror=mirror)
            sent[mirror] = bench.push({"a": new}, mirror=mirror).bytes_transferred
            assert bench.restored() == {"a": new}
        assert sent[True] < sent[False] / 5

    def test_where_it_cannot_be_written_there_is_a_warning(self, memory):
        memory.push()
        shutil.rmtree(memory.state / "mirror")
        (memory.state / "mirror").write_bytes(b"in the way")
        memory.session()
        result = memory.push()
        assert result.success
        assert any("mirror" in warning for warning in result.warnings)
        memory.check()

    def test_a_full_disk_while_saving_costs_a_warning(self, memory, monkeypatch):
        def full(path: Path, blocks: object) -> None:
            raise OSError(28, "No space left on device", str(path))

        monkeypatch.setattr(last_push, "_write", full)
        result = memory.push()
        assert any("No space left" in warning for warning in result.warnings)
        memory.check()

    def test_it_gives_way_where_there_is_no_room_for_the_copies(self, memory, monkeypatch):
        memory.push()
        memory.session()
        free = iter([0, 10**12])
        with monkeypatch.context() as patch:
            patch.setattr(workspace.shutil, "disk_usage", lambda _: Disk(next(free)))
            result = memory.push()
        assert any("gave way" in warning for warning in result.warnings)
        memory.check()

    def test_copies_go_elsewhere_where_there_is_no_room_at_all(self, memory, monkeypatch):
        memory.push()
        memory.session()
        monkeypatch.setattr(
            workspace.shutil, "disk_usage", lambda folder: Disk(0 if "state" in str(folder) else 10**12)
        )
        result = memory.push()
        assert any("none are kept" in warning for warning in result.warnings)
        assert not (memory.state / "mirror").exists()
        memory.check()

    def test_it_stays_where_nothing_is_copied(self, memory, monkeypatch):
        memory.push()
        monkeypatch.setattr(workspace.shutil, "disk_usage", lambda _: Disk(1))
        assert memory.push().warnings == []
        assert (memory.state / "mirror").exists()

    def test_a_symlink_in_its_place_is_replaced_and_what_it_leads_to_left_alone(self, memory):
        memory.push()
        elsewhere = memory.folder / "documents"
        elsewhere.mkdir()
        (elsewhere / "thesis.txt").write_bytes(b"years of work")
        for options in ({}, {"mirror": False}):
            shutil.rmtree(memory.state / "mirror", ignore_errors=True)
            (memory.state / "mirror").symlink_to(elsewhere)
            memory.session()
            assert memory.push(**options).success
            assert [path.name for path in elsewhere.iterdir()] == ["thesis.txt"]
            assert not (memory.state / "mirror").is_symlink()
        memory.check()

    def test_not_wanting_one_removes_it_where_nothing_has_changed_too(self, memory):
        memory.push()
        memory.push(mirror=False, dry_run=True)
        assert (memory.state / "mirror").exists()
        assert memory.push(mirror=False).unchanged
        assert not (memory.state / "mirror").exists()

    def test_wanting_it_again_brings_it_back(self, memory):
        memory.push(mirror=False)
        assert memory.push().unchanged
        assert {path.name for path in (memory.state / "mirror").iterdir()} == {path.name for path in memory.paths}
        assert memory.push().requests == 1


def test_the_state_holds_no_content_and_no_secret(memory):
    memory.push(mirror=False)
    kept = b"".join(path.read_bytes() for path in memory.state.rglob("*") if path.is_file())
    import duckdb

    with duckdb.connect(str(memory.paths[0]), read_only=True) as connection:
        (content,) = connection.execute("SELECT content FROM conversations_v2 LIMIT 1").fetchone()
    assert content.encode() not in kept
    assert isinstance(WarmState(memory.state).load(), LastPush)
