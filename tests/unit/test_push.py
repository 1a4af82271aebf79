"""What a push stores, what it leaves alone, and what it costs."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path

import pytest
from akosha_rules import check_manifest
from helpers import (
    MIB,
    NOW,
    SYSTEM,
    RecordingStore,
    chunk_hashes,
    edited,
    noise,
    prose,
)

from akosha_snap import api
from akosha_snap.errors import (
    ConfigError,
    NothingThereError,
    ObjectNotFound,
)
from akosha_snap.manifest import encode_manifest
from akosha_snap.manifest.ids import bare_name
from akosha_snap.manifest.keys import format_key, manifest_key, system_marker, upload_marker
from akosha_snap.snapshot import packer
from akosha_snap.snapshot.results import PushResult
from akosha_snap.stores import DirectoryStore

ODD_NAMES = ["a b.txt", "日本 é.duckdb.bak", ".hidden", "a..b", "manifest.json", "memories.json", "x" * 255, "é" * 127,
             "-rf", "a'b;c", "#?&%20", "a:b", "what?", "<a|b>", '"q"', "*"]  # fmt: skip


COMPANIONS = [".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal"]
DATABASE = (Path(__file__).parents[1] / "fixtures" / "duckdb" / "v1_4_closed.duckdb").read_bytes()


class TestWhatIsStored:
    def test_a_first_push_makes_the_objects_of_the_format(self, any_bench):
        result = any_bench.push({"a.txt": prose(300_000)})
        upload_id = result.upload_id
        assert upload_id.startswith("20261123T071500Z-")
        assert set(any_bench.objects()) == {
            manifest_key(SYSTEM, upload_id),
            format_key(SYSTEM),
            any_bench.own_pack(upload_id),
        }
        markers = {system_marker(SYSTEM), upload_marker(SYSTEM, upload_id)}
        assert all(any_bench.store.get(marker) == b"" for marker in markers)
        assert set(result.files_uploaded) == set(any_bench.objects()) | markers

    def test_every_snapshot_stays_restorable(self, any_bench):
        versions = [prose(400_000), edited(prose(400_000), 150_000), prose(400_000)[:90_000], prose(10)]
        pushed = []
        for version in versions:
            pushed.append(any_bench.push({"a.txt": version}).upload_id)
            any_bench.clock.advance(60)
        for upload_id, version in zip(pushed, versions, strict=True):
            assert any_bench.restored(upload_id) == {"a.txt": version}
        assert any_bench.verify(level="data").ok

    def test_chunks_are_stored_once_across_snapshots_and_files(self, bench):
        data = noise(2 * MIB)
        bench.push({"a": data})
        second = bench.push({"a": edited(data, MIB), "b": data, "c": data + data})
        assert sum(file.chunks_new for file in second.files) <= 6
        assert second.bytes_transferred < 0.25 * len(data)
        assert bench.restored() == {"a": edited(data, MIB), "b": data, "c": data + data}

    def test_new_chunks_are_counted_with_the_file_that_brought_them(self, bench):
        data = noise(MIB)
        first, second = bench.push({"a": data, "b": data}).files
        assert first.chunks == first.chunks_new == second.chunks == len(chunk_hashes(data))
        assert second.chunks_new == 0

    def test_no_object_is_ever_replaced(self, bench):
        bench.push({"a": noise(MIB)})
        before = bench.objects()
        bench.push({"a": edited(noise(MIB), 1000)})
        assert before.items() <= bench.objects().items()

    def test_a_file_that_only_shrank_needs_no_new_chunk_of_the_kept_part(self, bench):
        data = noise(MIB)
        bench.push({"a": data})
        result = bench.push({"a": data[:600_000]})
        assert result.files[0].chunks_new <= 1
        assert bench.restored() == {"a": data[:600_000]}

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names_come_back_or_are_refused_before_anything_is_stored(self, bench, name):
        try:
            upload_id = bench.push({name: prose(1000)}).upload_id
        except ConfigError:
            assert bench.objects() == {}
            return
        assert bench.restored() == {name: prose(1000)}
        manifest = bench.store.get(manifest_key(SYSTEM, upload_id))
        check_manifest(manifest, NOW)
        assert bench.manifest(upload_id).files == [bare_name(name)]

    def test_a_large_push_fills_several_packs(self, bench, monkeypatch):
        monkeypatch.setattr(packer, "PACK_TARGET", 2 * MIB)
        data = noise(9 * MIB)
        result = bench.push({"big": data})
        assert len(bench.packs()) >= 5
        assert all(bench.store.head(key).size < 3 * MIB for key in bench.packs())
        assert bench.restored() == {"big": data}
        assert bench.verify(level="data").ok
        assert bench.manifest(result.upload_id).snapshot.cost.packs_new == len(bench.packs())

    def test_data_beyond_the_real_pack_size(self, bench):
        data = noise(packer.PACK_TARGET + MIB)
        bench.push({"big": data})
        assert len(bench.packs()) == 2
        assert bench.push({"big": data}).unchanged
        assert bench.restored() == {"big": data}

    @pytest.mark.parametrize("room", range(0, 3000, 150))
    def test_a_chunk_list_that_does_not_fit_the_last_pack_gets_one_of_its_own(self, bench, monkeypatch, room):
        data = noise(100_000)
        monkeypatch.setattr(packer, "PACK_TARGET", len(data) + room)
        bench.push({"a": data})
        assert len(bench.packs()) in {1, 2}
        assert bench.restored() == {"a": data}
        assert bench.verify(level="data").ok


class TestUnchanged:
    def test_nothing_is_stored(self, any_bench):
        first = any_bench.push({"a": prose(1000), "b": prose(2000)})
        before = any_bench.objects()
        any_bench.clock.advance(3600)
        second = any_bench.push({"b": prose(2000), "a": prose(1000)})
        assert second.unchanged
        assert second.upload_id == first.upload_id
        assert (second.bytes_transferred, second.files_uploaded) == (0, [])
        assert any_bench.objects() == before

    @pytest.mark.parametrize("files", [{"b": b"1"}, {"a": b"1", "b": b"1"}, {"a": b"2"}, {"a": b"11"}])
    def test_another_name_file_or_byte_is_a_change(self, bench, files):
        bench.push({"a": b"1"})
        assert not bench.push(files).unchanged
        assert bench.restored() == files

    def test_it_is_the_newest_snapshot_that_counts(self, bench):
        versions = [{"a": b"1"}, {"a": b"2"}, {"a": b"1"}]
        assert [bench.push(files).unchanged for files in versions] == [False] * 3
        assert len(bench.uploads()) == 3

    def test_without_a_state_folder_too(self, bench):
        bench.push({"a": b"1"}, state_dir=None)
        assert bench.push({"a": b"1"}, state_dir=None).unchanged


class TestCost:
    """The budget of a push without warm state; see the issue "Fewest bytes" for fewer requests."""

    def test_requests_and_bytes_are_those_the_store_saw(self, bench):
        for files in ({"a": noise(MIB)}, {"a": edited(noise(MIB), 5)}, {"a": edited(noise(MIB), 5)}):
            store = RecordingStore(bench.store)
            result = bench.push(files, store=store)
            assert result.requests == len(store.seen)
            assert result.bytes_transferred == store.sent

    def test_requests_stay_within_the_budget(self, bench):
        assert bench.push({"a": noise(MIB)}).requests <= 8
        assert bench.push({"a": edited(noise(MIB), 5)}).requests <= 8
        assert bench.push({"a": edited(noise(MIB), 5)}).requests <= 6

    def test_the_manifest_says_what_the_push_cost(self, bench):
        result = bench.push({"a": noise(MIB)})
        cost = bench.manifest(result.upload_id).snapshot.cost
        manifest_size = len(bench.store.get(manifest_key(SYSTEM, result.upload_id)))
        assert cost.bytes_uploaded + manifest_size == result.bytes_transferred
        assert cost.bytes_read == result.bytes_read == MIB
        assert cost.chunks_new == result.files[0].chunks_new
        assert cost.packs_new == 1


class TestDryRun:
    def test_it_stores_nothing_and_says_what_would_be(self, any_bench):
        dry = any_bench.push({"a": noise(MIB)}, dry_run=True)
        assert not any_bench.folder.joinpath("store").exists()
        real = any_bench.push({"a": noise(MIB)})
        assert dry.dry_run
        assert dry.files == real.files
        assert dry.bytes_transferred == pytest.approx(real.bytes_transferred, abs=10)
        before = any_bench.objects()
        assert not any_bench.push({"a": b"other"}, dry_run=True).unchanged
        assert any_bench.push({"a": noise(MIB)}, dry_run=True).unchanged
        assert any_bench.objects() == before

    def test_it_leaves_no_trace_in_the_journal(self, bench):
        bench.push({"a": noise(MIB)}, dry_run=True)
        assert not list(bench.state.rglob("pending"))


class TestTime:
    def test_two_pushes_in_the_same_second_both_count(self, bench):
        first = bench.push({"a": b"1"}).upload_id
        second = bench.push({"a": b"2"}).upload_id
        assert bench.uploads() == [second, first]
        assert second.startswith("20261123T071501Z-")

    def test_a_clock_that_runs_behind_does_not_hide_the_last_push(self, bench):
        first = bench.push({"a": b"1"}).upload_id
        bench.clock.advance(-86400)
        second = bench.push({"a": b"2"}).upload_id
        assert bench.uploads() == [second, first]
        assert bench.restored() == {"a": b"2"}

    def test_each_snapshot_names_the_one_it_was_compared_with(self, bench):
        pushed = [bench.push({"a": bytes([i])}).upload_id for i in range(3)]
        assert [bench.manifest(one).snapshot.parent for one in pushed] == [None, *pushed[:2]]

    def test_the_time_in_the_manifest_is_that_of_the_push(self, bench):
        bench.clock.moment = NOW.astimezone(dt.timezone(dt.timedelta(hours=2)))
        assert bench.manifest(bench.push({"a": b"1"}).upload_id).uploaded_at == NOW


class TestBadInput:
    def test_no_files(self, bench):
        with pytest.raises(NothingThereError):
            bench.push({})

    def test_a_missing_file(self, bench):
        with pytest.raises(ConfigError, match="nothing-here does not exist"):
            api.push([bench.live / "nothing-here"], bench.store, system_id=SYSTEM, stage_in_child=False)

    def test_an_empty_file_and_a_folder(self, bench):
        with pytest.raises(ConfigError, match="empty"):
            bench.push({"empty": b""})
        with pytest.raises(ConfigError, match="directory"):
            api.push([bench.live], bench.store, system_id=SYSTEM, stage_in_child=False)

    def test_two_files_of_one_name(self, bench):
        (bench.folder / "other").mkdir()
        (bench.folder / "other" / "a").write_bytes(b"2")
        paths = [*bench.write({"a": b"1"}), bench.folder / "other" / "a"]
        with pytest.raises(ConfigError, match=r"called a|named a"):
            api.push(paths, bench.store, system_id=SYSTEM, stage_in_child=False)
        assert bench.objects() == {}

    @pytest.mark.parametrize("suffix", COMPANIONS)
    @pytest.mark.parametrize("database_first", [True, False])
    def test_a_plain_file_that_duckdb_would_take_for_a_log_of_a_database(self, bench, suffix, database_first):
        (bench.folder / "other").mkdir()
        log = bench.folder / "other" / f"m.duckdb{suffix}"
        log.write_bytes(b"notes")
        os.utime(log, (1_700_000_000, 1_700_000_000))
        paths = [*bench.write({"m.duckdb": DATABASE}), log]
        problem = f"take 'm.duckdb{suffix}' for a log of 'm.duckdb'"
        if suffix == ".wal" and not database_first:  # refused earlier: the place for the database's own log is taken
            problem = "two files to copy are called m.duckdb.wal"
        with pytest.raises(ConfigError, match=re.escape(problem)):
            api.push(paths if database_first else paths[::-1], bench.store, system_id=SYSTEM, stage_in_child=False)
        assert bench.objects() == {}

    @pytest.mark.parametrize("suffix", COMPANIONS)
    def test_beside_a_plain_file_such_a_name_is_any_other(self, bench, suffix):
        files = {"m": b"1", f"m{suffix}": b"2"}
        bench.push(files)
        assert bench.restored() == files

    def test_the_same_file_twice_is_pushed_once(self, bench):
        (path,) = bench.write({"a": b"1"})
        result = api.push([path, path], bench.store, system_id=SYSTEM, stage_in_child=False)
        assert [file.name for file in result.files] == ["a"]

    def test_a_bad_system_id(self, bench):
        with pytest.raises(ConfigError, match="system id"):
            bench.push({"a": b"1"}, system_id="mac.local")

    def test_a_state_folder_that_cannot_be_made_costs_a_warning(self, bench):
        (bench.folder / "file").write_bytes(b"")
        result = bench.push({"a": b"1"}, state_dir=bench.folder / "file" / "state")
        assert "AKOSHA_SNAP_STATE_DIR" in result.warnings[0]
        assert bench.restored() == {"a": b"1"}

    def test_nothing_is_left_of_the_staged_copies(self, bench):
        bench.push({"secret": b"1"}, mirror=False)
        assert not list(bench.state.rglob("secret"))


class TestFullFile:
    def test_the_object_is_the_file_at_the_key_its_pointer_names(self, any_bench):
        files = {"a.txt": prose(300_000), "b c": b"2"}
        result = any_bench.push(files, full_file=True)
        for entry in any_bench.manifest(result.upload_id).snapshot.files:
            assert entry.full_file.stored
            assert any_bench.store.get(entry.full_file.uri) == files[entry.name]
            assert entry.full_file.uri in result.files_uploaded
        assert any_bench.verify(level="data").ok

    def test_asking_for_it_later_is_a_change(self, bench):
        bench.push({"a": b"1"})
        assert not bench.push({"a": b"1"}, full_file=True).unchanged
        assert bench.push({"a": b"1"}, full_file=True).unchanged
        assert bench.push({"a": b"1"}).unchanged

    def test_without_it_there_is_a_pointer_and_no_object(self, bench):
        upload_id = bench.push({"a": b"1"}).upload_id
        pointer = bench.manifest(upload_id).snapshot.files[0].full_file
        assert not pointer.stored
        with pytest.raises(ObjectNotFound):
            bench.store.get(pointer.uri)

    @pytest.mark.parametrize("names", [("a b", "a-b", "a+b"), ("a b", bare_name("a b"))])
    def test_names_that_clean_to_the_same_stay_apart_or_are_refused(self, bench, names):
        files = {name: name.encode() for name in names}
        try:
            bench.push(files, full_file=True)
        except ConfigError:
            assert bench.objects() == {}
            return
        assert bench.verify(level="data").ok


def test_a_push_to_a_folder_by_url(bench, tmp_path):
    result = api.push(bench.write({"a": b"1"}), f"file://{tmp_path}/by-url", system_id=SYSTEM, stage_in_child=False)
    assert isinstance(result, PushResult)
    assert DirectoryStore(tmp_path / "by-url").head(manifest_key(SYSTEM, result.upload_id)).size > 0


def test_a_manifest_can_be_made_again_from_what_was_read(bench):
    key = manifest_key(SYSTEM, bench.push({"a": b"1"}).upload_id)
    assert encode_manifest(bench.manifest(bench.uploads()[0])) == bench.store.get(key)


def test_the_default_copies_in_a_child_process(bench):
    assert bench.push({"a": prose(1000)}, stage_in_child=True).success
    assert bench.restored() == {"a": prose(1000)}
