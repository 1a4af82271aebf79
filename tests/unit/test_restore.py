"""Files come back whole under their names, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import memory_db
import pytest
from helpers import MIB, SYSTEM, Bench, Part, RecordingStore, craft, flipped, leftovers, noise, prose

from akosha_snap import api
from akosha_snap.atomic import publish
from akosha_snap.errors import AkoshaSnapError, ConfigError, ConflictError, DamageError, NothingThereError
from akosha_snap.frames import content_hash, read_footer
from akosha_snap.frames.footer import FrameEntry
from akosha_snap.manifest.keys import format_key, manifest_key
from akosha_snap.snapshot import packer, placing
from akosha_snap.stores import DirectoryStore, Layer, Store

FILES = {"a.txt": prose(300_000), "b.bin": noise(200_000)}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


class TestWhatComesBack:
    def test_every_file_bit_for_bit(self, any_bench, target):
        upload_id = any_bench.push(FILES).upload_id
        result = any_bench.restore(to=target)
        assert result.upload_id == upload_id
        assert [(file.name, file.size) for file in result.files] == [(n, len(data)) for n, data in FILES.items()]
        assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES

    def test_one_file_of_several(self, bench, target):
        bench.push(FILES)
        bench.restore(to=target, file="b.bin")
        assert names(target) == {"b.bin"}

    def test_the_folder_is_made_with_its_parents(self, bench, tmp_path):
        bench.push(FILES)
        bench.restore(to=tmp_path / "deep" / "er" / "folder")
        assert names(tmp_path / "deep" / "er" / "folder") == set(FILES)

    def test_other_files_of_the_folder_stay(self, bench, target):
        target.mkdir()
        (target / "mine").write_bytes(b"mine")
        bench.push(FILES)
        bench.restore(to=target)
        assert (target / "mine").read_bytes() == b"mine"

    @pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
    def test_memories_are_readable_by_their_owner_alone(self, bench, target):
        bench.push(FILES)
        bench.restore(to=target)
        assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}

    @pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
    def test_a_folder_that_is_made_is_private_and_one_that_is_there_keeps_its_mode(self, bench, target):
        bench.push(FILES)
        bench.restore(to=target / "deep" / "er")
        assert {path.stat().st_mode & 0o777 for path in (target, target / "deep", target / "deep" / "er")} == {0o700}
        (target / "deep").chmod(0o755)
        bench.restore(to=target / "deep")
        assert (target / "deep").stat().st_mode & 0o777 == 0o755

    def test_requests_and_bytes_are_those_the_store_saw(self, bench, target):
        bench.push(FILES)
        store = RecordingStore(bench.store)
        result = api.restore(store, system_id=SYSTEM, to=target)
        assert result.requests == len(store.seen) <= 5
        assert result.bytes_received >= 200_000

    def test_neighbours_in_a_pack_are_fetched_together(self, bench, target, monkeypatch):
        monkeypatch.setattr(packer, "PACK_TARGET", 2 * MIB)
        bench.push({"big": noise(9 * MIB)})
        assert len(bench.packs()) == 5
        assert bench.restore(to=target).requests <= 4 + 5

    def test_one_small_file_does_not_download_the_others(self, bench, target):
        bench.push({"big": noise(3 * MIB), "small": noise(100)})
        assert bench.restore(to=target, file="small").bytes_received < 200_000


COMPANIONS = [".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal"]
DATABASE = (Path(__file__).parents[1] / "fixtures" / "duckdb" / "v1_4_closed.duckdb").read_bytes()


class TestDatabases:
    """A database of two files: DuckDB's, with everything of the last session in its WAL."""

    @pytest.fixture
    def session(self, bench) -> dict[str, bytes]:
        memory_db.build(bench.live, conversations=30)
        memory_db.live_session(bench.live, seed=1, checkpoint=False)
        path = bench.live / memory_db.REFLECTION
        api.push([path], bench.store, system_id=SYSTEM, stage_in_child=False, now=bench.clock)
        return {name: (bench.live / name).read_bytes() for name in (path.name, f"{path.name}.wal")}

    def test_the_wal_comes_along_and_records_are_counted(self, bench, session):
        assert bench.restored() == session
        assert bench.restored(file=memory_db.REFLECTION) == session
        counts = bench.manifest(bench.uploads()[0]).snapshot.counts
        assert (counts.conversations, counts.reflections, counts.counted) == (50, 8, True)
        kinds = {file.name: file.kind for file in bench.manifest(bench.uploads()[0]).snapshot.files}
        assert set(kinds.values()) == {"duckdb", "wal"}
        result = bench.verify(level="open")
        assert result.ok, result.problems

    def test_the_wal_brings_its_database(self, bench, session):
        assert bench.restored(file=f"{memory_db.REFLECTION}.wal") == session

    def test_the_wal_is_placed_before_its_database_and_after_the_old_one_is_gone(
        self, bench, session, target, monkeypatch
    ):
        bench.restore(to=target)
        seen = []

        def watched(path: Path, final: Path, *, overwrite: bool) -> None:
            seen.append((final.name, names(target) & session.keys()))
            publish(path, final, overwrite=overwrite)

        monkeypatch.setattr(placing, "publish", watched)
        bench.restore(to=target, force=True)
        log = f"{memory_db.REFLECTION}.wal"
        assert seen == [(log, set()), (memory_db.REFLECTION, {log})]

    def test_a_database_without_wal_replaces_one_with(self, bench, session, target):
        bench.restore(to=target)
        checkpointed = bench.folder / "checkpointed"
        checkpointed.mkdir()
        path, _ = memory_db.build(checkpointed, conversations=5)
        api.push([path], bench.store, system_id=SYSTEM, stage_in_child=False, now=bench.clock)
        with pytest.raises(ConflictError):
            bench.restore(to=target)
        bench.restore(to=target, force=True)
        assert names(target) == {memory_db.REFLECTION}
        assert (target / memory_db.REFLECTION).read_bytes() == path.read_bytes()


def test_what_a_killed_restore_left_long_ago_is_removed(bench, target):
    target.mkdir()
    old, young, theirs = (target / name for name in (f".tmp-{'0' * 16}", f".tmp-{'1' * 16}", ".tmp-notes"))
    for path in (old, young, theirs):
        path.write_bytes(b"x")
    for path in (old, theirs):
        os.utime(path, (0, 0))
    bench.push(FILES)
    bench.restore(to=target)
    assert names(target) == {young.name, theirs.name, *FILES}


class TestInTheWay:
    def test_nothing_is_replaced_without_force(self, bench, target):
        target.mkdir()
        (target / "b.bin").write_bytes(b"mine")
        bench.push(FILES)
        with pytest.raises(ConflictError, match=r"b\.bin already in") as caught:
            bench.restore(to=target)
        assert caught.value.exit_code == 11
        assert "--force" in caught.value.hint
        assert {path.name: path.read_bytes() for path in target.iterdir()} == {"b.bin": b"mine"}

    def test_with_force_it_is_replaced(self, bench, target):
        target.mkdir()
        (target / "b.bin").write_bytes(b"mine, and longer than what comes" * 20_000)
        bench.push(FILES)
        bench.restore(to=target, force=True)
        assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES

    @pytest.mark.parametrize("suffix", COMPANIONS)
    def test_what_duckdb_would_replay_is_in_the_way_of_a_database(self, bench, target, suffix):
        target.mkdir()
        (target / f"memory.duckdb{suffix}").write_bytes(b"stale")
        bench.push({"memory.duckdb": DATABASE})
        with pytest.raises(ConflictError, match=f"memory.duckdb{suffix} already"):
            bench.restore(to=target)
        bench.restore(to=target, force=True)
        assert names(target) == {"memory.duckdb"}

    @pytest.mark.parametrize("suffix", COMPANIONS)
    def test_the_neighbours_of_a_plain_file_are_left_alone(self, bench, target, suffix):
        target.mkdir()
        (target / f"a.txt{suffix}").write_bytes(b"theirs")
        bench.push(FILES)
        bench.restore(to=target, file="a.txt")
        assert names(target) == {"a.txt", f"a.txt{suffix}"}

    @pytest.mark.parametrize("file", [None, "a.txt"])
    def test_the_wal_of_another_file_is_not(self, bench, target, file):
        target.mkdir()
        (target / "other.wal").write_bytes(b"theirs")
        bench.push(FILES)
        bench.restore(to=target, file=file, force=True)
        assert (target / "other.wal").read_bytes() == b"theirs"

    @pytest.mark.parametrize("goal", ["elsewhere", "nowhere", "folder"])
    def test_a_symlink_is_replaced_never_followed(self, bench, target, tmp_path, goal):
        target.mkdir()
        (tmp_path / "elsewhere").write_bytes(b"precious")
        (tmp_path / "folder").mkdir()
        (target / "a.txt").symlink_to(tmp_path / goal)
        bench.push(FILES)
        with pytest.raises(ConflictError):
            bench.restore(to=target)
        bench.restore(to=target, force=True)
        assert not (target / "a.txt").is_symlink()
        assert (target / "a.txt").read_bytes() == FILES["a.txt"]
        assert (tmp_path / "elsewhere").read_bytes() == b"precious"
        assert not (tmp_path / "nowhere").exists()

    def test_a_folder_under_a_files_name_is_never_replaced(self, bench, target):
        (target / "a.txt").mkdir(parents=True)
        bench.push(FILES)
        with pytest.raises(ConflictError, match="is a folder"):
            bench.restore(to=target, force=True)
        assert names(target) == {"a.txt"}

    def test_a_folder_under_a_logs_name_leaves_everything_as_it_was(self, bench, target):
        (target / "memory.duckdb.wal.checkpoint").mkdir(parents=True)
        theirs = {"memory.duckdb": b"their database", "memory.duckdb.wal": b"their log"}
        for name, data in theirs.items():
            (target / name).write_bytes(data)
        bench.push({"memory.duckdb": DATABASE})
        with pytest.raises(ConflictError, match="checkpoint is a folder"):
            bench.restore(to=target, force=True)
        assert {name: (target / name).read_bytes() for name in theirs} == theirs

    def test_a_target_that_is_a_file(self, bench, target):
        target.write_bytes(b"mine")
        bench.push(FILES)
        with pytest.raises(ConfigError, match="is not a folder"):
            bench.restore(to=target, force=True)
        with pytest.raises(ConfigError, match="target is not a folder"):
            bench.restore(to=target / "below")
        assert target.read_bytes() == b"mine"

    def test_a_target_that_is_a_dangling_link(self, bench, target):
        target.symlink_to(target.with_name("nowhere"))
        bench.push(FILES)
        with pytest.raises(AkoshaSnapError, match=str(target)) as caught:
            bench.restore(to=target)
        assert "Errno" not in str(caught.value)
        assert "--force" not in caught.value.hint


class Meanwhile(Layer):
    """Somebody else writes `path` while the packs of a restore come in."""

    def __init__(self, inner: Store, path: Path) -> None:
        super().__init__(inner)
        self._path = path

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        if "/packs/" in key:
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_bytes(b"theirs")
        return super().get(key, start=start, length=length)


class TestWhatAppearsMeanwhile:
    @pytest.mark.parametrize("name", ["memory.duckdb", "notes", *(f"memory.duckdb{suffix}" for suffix in COMPANIONS)])
    def test_during_the_download_it_is_in_the_way(self, bench, target, name):
        files = {"memory.duckdb": DATABASE, "notes": b"1"}
        bench.push(files)
        store = Meanwhile(bench.store, target / name)
        with pytest.raises(ConflictError, match=name) as caught:
            api.restore(store, system_id=SYSTEM, to=target)
        assert caught.value.exit_code == 11
        assert "--force" in caught.value.hint
        assert {path.name: path.read_bytes() for path in target.iterdir()} == {name: b"theirs"}
        api.restore(store, system_id=SYSTEM, to=target, force=True)
        assert {path.name: path.read_bytes() for path in target.iterdir()} == files

    @pytest.mark.parametrize("name", ["a.txt", "b.bin"])
    def test_at_the_last_moment_what_was_placed_is_taken_back(self, bench, target, monkeypatch, name):
        bench.push(FILES)

        def late(path: Path, final: Path, *, overwrite: bool) -> None:
            if final.name == name:
                final.write_bytes(b"theirs")
            publish(path, final, overwrite=overwrite)

        monkeypatch.setattr(placing, "publish", late)
        with pytest.raises(ConflictError, match=name):
            bench.restore(to=target)
        assert {path.name: path.read_bytes() for path in target.iterdir()} == {name: b"theirs"}

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    @pytest.mark.parametrize("force", [True, False])
    def test_a_later_file_that_cannot_be_placed_takes_the_others_back(self, bench, target, monkeypatch, error, force):
        bench.push(FILES)

        def fails(path: Path, final: Path, *, overwrite: bool) -> None:
            if final.name == "b.bin":
                raise error
            publish(path, final, overwrite=overwrite)

        monkeypatch.setattr(placing, "publish", fails)
        with pytest.raises(AkoshaSnapError if isinstance(error, OSError) else KeyboardInterrupt):
            bench.restore(to=target, force=force)
        assert names(target) == set()


RESTORE_WITH_FEW_FILES = """
import resource, sys
from akosha_snap import api
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
store, to = sys.argv[1:]
assert len(api.restore(store, system_id="mac-local", to=to).files) == 300
assert api.verify(store, "all", system_id="mac-local", level="open").ok
"""


@pytest.mark.skipif(os.name == "nt", reason="resource limits of POSIX")
def test_300_files_come_back_where_128_may_be_open(tmp_path, target):
    files = {f"file {i}": prose(2000, i % 40) + str(i).encode() for i in range(300)}
    Bench(tmp_path, DirectoryStore(tmp_path / "store")).push(files)
    command = [sys.executable, "-c", RESTORE_WITH_FEW_FILES, str(tmp_path / "store"), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files


class TestUnknown:
    def test_an_unknown_name_lists_those_there_are(self, bench, target):
        bench.push(FILES)
        with pytest.raises(NothingThereError, match=r"no file 'c'.*a\.txt, b\.bin") as caught:
            bench.restore(to=target, file="c")
        assert caught.value.exit_code == 10
        assert not target.exists()

    def test_an_unknown_upload(self, bench, target):
        bench.push(FILES)
        with pytest.raises(NothingThereError, match="20260101T000000Z-00000000"):
            bench.restore("20260101T000000Z-00000000", to=target)
        assert not target.exists()

    def test_what_is_no_upload_id(self, bench, target):
        bench.push(FILES)
        with pytest.raises(NothingThereError, match="no snapshot is called"):
            bench.restore("../../other", to=target)

    def test_no_snapshot_at_all_names_the_systems_there_are(self, any_bench, target):
        any_bench.push(FILES)
        with pytest.raises(NothingThereError, match="no snapshot of system 'other'") as caught:
            api.restore(any_bench.store, system_id="other", to=target)
        assert SYSTEM in caught.value.hint

    def test_a_store_that_does_not_exist(self, tmp_path, target):
        with pytest.raises(AkoshaSnapError) as caught:
            api.restore(DirectoryStore(tmp_path / "nowhere"), system_id=SYSTEM, to=target)
        assert caught.value.exit_code == 10


class TestDamage:
    """Where anything is damaged nothing appears, not even the files that are whole."""

    @pytest.fixture
    def snapshot(self, any_bench, monkeypatch) -> Bench:
        monkeypatch.setattr(packer, "PACK_TARGET", 200_000)
        any_bench.push(FILES)
        assert len(any_bench.packs()) >= 2
        return any_bench

    def assert_nothing_restored(self, bench: Bench, target: Path) -> None:
        with pytest.raises(DamageError) as caught:
            bench.restore(to=target)
        assert caught.value.exit_code == 4
        assert "repair" in caught.value.hint
        assert names(target) == set()

    @pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "swapped"])
    @pytest.mark.parametrize("which", ["own", "other"])
    def test_of_a_pack(self, snapshot, target, damage, which):
        own = snapshot.own_pack(snapshot.uploads()[0])
        other = min(set(snapshot.packs()) - {own})
        key, swap = (own, other) if which == "own" else (other, own)
        data = snapshot.store.get(key)
        if damage == "missing":
            snapshot.delete(key)
        else:
            made = {"cut": data[:100], "flipped": flipped(data, 800), "swapped": snapshot.store.get(swap)}
            snapshot.store.put(key, made[damage])
        self.assert_nothing_restored(snapshot, target)

    def test_of_the_manifest(self, snapshot, target):
        key = manifest_key(SYSTEM, snapshot.uploads()[0])
        data = snapshot.store.get(key)
        snapshot.store.put(key, flipped(data, 4000))
        with pytest.raises(DamageError, match=r"manifest\.json") as caught:
            snapshot.restore(Path(key).parent.name, to=target)
        assert "repair" in caught.value.hint
        assert names(target) == set()

    def test_what_was_there_before_stays_even_with_force(self, snapshot, target):
        target.mkdir()
        (target / "a.txt").write_bytes(b"mine")
        (target / "a.txt.wal").write_bytes(b"mine too")
        snapshot.delete(min(snapshot.packs()))
        with pytest.raises(DamageError):
            snapshot.restore(to=target, force=True)
        assert {path.name: path.read_bytes() for path in target.iterdir()} == {
            "a.txt": b"mine",
            "a.txt.wal": b"mine too",
        }

    def test_of_a_footer_alone_keeps_nothing_from_its_owner(self, snapshot):
        for key in snapshot.packs():
            data = snapshot.store.get(key)
            snapshot.store.put(key, flipped(data, 8 * (len(data) - 60)))
        assert snapshot.restored() == FILES

    def test_of_the_format_does_not_keep_whole_snapshots_from_their_owner(self, snapshot):
        snapshot.store.put(format_key(SYSTEM), b"{")
        assert snapshot.restored() == FILES


class WrongOnce(Layer):
    """Flips one bit of the pack `key`, at byte `at`, the first time it is read."""

    def __init__(self, inner: Store, key: str, at: int) -> None:
        super().__init__(inner)
        self._key, self._at = key, at

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = super().get(key, start=start, length=length)
        if key == self._key and start <= self._at < start + len(data):
            data, self._key = flipped(data, 8 * (self._at - start)), ""
        return data


@pytest.fixture
def chain(bench) -> tuple[str, list[bytes], list[FrameEntry]]:
    """Chunks of which each is needed by the next one alone, the last by a file: key of their pack, chunks, frames."""
    chunks = [prose(50_000 - 3 * n, "base") + b"end" * n for n in range(4)]
    parts = [Part(chunk, tuple(chunks[n - 1 : n]) if n else ()) for n, chunk in enumerate(chunks)]
    (key,) = craft(bench, [parts], {"f": [chunks[-1]]}).packs
    pack = bench.store.get(key)
    frames = list(read_footer(pack, len(pack)).entries())
    assert [len(frame.bases) for frame in frames[:4]] == [0, 1, 1, 1]
    return key, chunks, frames


def test_a_bit_that_flips_on_its_way_in_any_frame_is_read_again(bench, target, chain):
    """Also in one that needs bases, and in a base that nothing else needs."""
    key, chunks, frames = chain
    for frame in frames:
        at = frame.offset + frame.stored_size // 2
        api.restore(WrongOnce(bench.store, key, at), system_id=SYSTEM, to=target, force=True)
        assert (target / "f").read_bytes() == chunks[-1]


def test_the_damaged_one_is_named_of_frames_that_are_decoded_together(bench, target, chain):
    key, chunks, frames = chain
    pack = bench.store.get(key)
    for chunk, frame in zip(chunks, frames, strict=False):
        bench.store.put(key, flipped(pack, 8 * (frame.offset + frame.stored_size // 2)))
        with pytest.raises(
            DamageError, match=f"chunk {content_hash(chunk).hex()} at byte {frame.offset} of pack {key}"
        ):
            bench.restore(to=target)
        assert names(target) == set()


class TestNoSpace:
    @pytest.fixture
    def small_disk(self, tmp_path) -> Iterator[Path]:
        """A disk of one MiB."""
        disk = tmp_path / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
        if os.name == "nt" or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small tmpfs needs root")
        yield disk
        subprocess.run(["umount", str(disk)], check=True)

    @pytest.mark.parametrize("size", [1_040_000, 2 * MIB, 2 * MIB + 1, 1_100_000])
    @pytest.mark.parametrize("seen", [True, False])
    def test_a_full_disk_is_said_and_left_as_it_was(self, bench, small_disk, size, seen, monkeypatch):
        if not seen:  # others fill it meanwhile
            monkeypatch.setattr(placing.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**60))
        (small_disk / "mine").write_bytes(b"x" * 10_000)
        bench.push({"a": noise(size), "b": b"1"})
        with pytest.raises(AkoshaSnapError, match=r"cannot restore into .*No space left") as caught:
            bench.restore(to=small_disk)
        assert caught.value.exit_code == 1
        assert "free some space" in caught.value.hint
        assert names(small_disk) == {"mine"}

    def test_a_store_on_a_full_disk(self, tmp_path, small_disk):
        bench = Bench(tmp_path, DirectoryStore(small_disk / "store"))
        first = bench.push({"a": noise(100_000)}).upload_id
        with pytest.raises(AkoshaSnapError, match=r"(?i)no space"):
            bench.push({"a": noise(2 * MIB)})
        assert bench.uploads() == [first]
        assert bench.verify(level="data").ok
        assert not list(leftovers(small_disk))

    def test_a_state_folder_on_a_full_disk_costs_a_warning(self, bench, small_disk):
        result = bench.push({"a": noise(2 * MIB)}, state_dir=small_disk)
        assert any("no room" in warning for warning in result.warnings)
        assert bench.restored() == {"a": noise(2 * MIB)}
        assert not list(small_disk.rglob("a"))
