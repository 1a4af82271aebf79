"""What `repair` says of a damaged store, and what the next push makes of it."""

from __future__ import annotations

import pytest
from helpers import MIB, SYSTEM, Bench, Gone, Part, RecordingStore, craft, edited, flipped, noise, prose

from akosha_snap import api
from akosha_snap.errors import NewerFormatError, NothingThereError
from akosha_snap.frames import content_hash, read_footer
from akosha_snap.manifest import decode_damage
from akosha_snap.manifest.keys import damage_key, format_key, manifest_key, system_marker, upload_marker
from akosha_snap.snapshot import storing
from akosha_snap.snapshot.results import RepairResult
from akosha_snap.stores import DirectoryStore, MemoryStore

DATA = noise(MIB, "repair")
DAY = 86_400


def repair(bench: Bench, **options: object) -> RepairResult:
    """From another machine, unless there is a `state_dir`."""
    return api.repair(bench.store, system_id=SYSTEM, now=bench.clock, **options)


def flip(bench: Bench, key: str, byte: int) -> None:
    bench.store.put(key, flipped(bench.store.get(key), 8 * byte))


def flip_frame(bench: Bench, key: str, number: int) -> bytes:
    """Harm one frame of a pack; returns the name of its chunk."""
    pack = bench.store.get(key)
    entry = list(read_footer(pack, len(pack)).entries())[number]
    flip(bench, key, entry.offset + entry.stored_size // 2)
    return entry.hash


def lost_files(result: RepairResult) -> dict[str, list[str]]:
    return {one.upload_id: [file.name for file in one.files] for one in result.lost}


class TestNothingWrong:
    def test_it_says_so_and_writes_nothing(self, any_bench):
        any_bench.push({"a": DATA})
        before = any_bench.objects()
        result = repair(any_bench)
        assert result.ok
        assert (result.problems, result.lost, result.recreated, result.record) == ([], [], [], None)
        assert any_bench.objects() == before

    def test_no_snapshot(self, bench):
        with pytest.raises(NothingThereError):
            repair(bench)

    def test_requests_are_those_the_store_saw(self, bench):
        bench.push({"a": DATA})
        store = RecordingStore(bench.store)
        assert api.repair(store, system_id=SYSTEM).requests == len(store.seen)


class TestADamagedChunk:
    """`first` and `second` share the damaged chunk of file `a`."""

    @pytest.fixture
    def uploads(self, any_bench) -> list[str]:
        first = any_bench.push({"a": DATA, "b": noise(50_000)}).upload_id
        any_bench.clock.advance(60)
        second = any_bench.push({"a": edited(DATA, 900_000), "b": noise(50_000)}).upload_id
        self.chunk = flip_frame(any_bench, any_bench.own_pack(first), 1)
        return [second, first]

    def test_it_says_what_is_lost(self, any_bench, uploads):
        result = repair(any_bench)
        assert not result.ok
        assert [(one.kind, one.snapshots) for one in result.problems] == [("chunk_damaged", sorted(uploads))]
        assert lost_files(result) == {upload_id: ["a"] for upload_id in uploads}
        assert result.lost_bytes == 2 * MIB + 100

    def test_it_writes_down_the_frame_and_nothing_else(self, any_bench, uploads):
        before = any_bench.objects()
        result = repair(any_bench)
        after = any_bench.objects()
        assert after.keys() - before.keys() == {result.record}
        assert {key: after[key] for key in before} == before
        (pack,) = decode_damage(after[result.record], "record").packs
        assert pack.pack in any_bench.own_pack(uploads[1])
        assert pack.chunks == [self.chunk.hex()]

    def test_a_dry_run_writes_nothing(self, any_bench, uploads):
        before = any_bench.objects()
        result = repair(any_bench, dry_run=True, state_dir=any_bench.state)
        assert result.dry_run
        assert not result.ok
        assert result.record is None
        assert any_bench.objects() == before
        assert any_bench.push({"a": edited(DATA, 900_000), "b": noise(50_000)}).requests == 1, "nothing was forgotten"

    def test_what_is_known_is_not_written_again(self, any_bench, uploads):
        assert repair(any_bench).record
        assert repair(any_bench).record is None

    @pytest.mark.parametrize("how", ["here", "elsewhere, --recheck", "elsewhere, a day later", "no state"])
    def test_the_next_push_heals_it(self, any_bench, uploads, how):
        files = {"a": edited(DATA, 900_000), "b": noise(50_000)}
        repair(any_bench, state_dir=any_bench.state if how == "here" else None)
        if how.startswith("elsewhere"):
            assert any_bench.push(files).unchanged, "the store is taken to be as the last push left it"
        any_bench.clock.advance(DAY if "day" in how else 60)
        options = {"recheck": "--recheck" in how} | ({"state_dir": None} if how == "no state" else {})
        healed = any_bench.push(files, **options)
        assert not healed.unchanged
        assert [file.chunks_new for file in healed.files] == [1, 0]
        assert healed.bytes_transferred < 0.3 * MIB
        assert any_bench.restored() == files
        assert any_bench.verify("latest", level="data").ok
        assert any_bench.push(files, recheck=True).unchanged, "once is enough"
        result = repair(any_bench)
        assert lost_files(result) == {upload_id: ["a"] for upload_id in uploads}, "the older ones stay reported"
        assert result.record is None

    def test_once_the_damaged_ones_are_gone_all_is_well(self, any_bench, uploads):
        repair(any_bench)
        any_bench.push({"a": edited(DATA, 900_000), "b": noise(50_000)}, recheck=True)
        for upload_id in uploads:
            any_bench.delete(manifest_key(SYSTEM, upload_id))
        assert any_bench.verify("all", level="data").ok
        result = repair(any_bench)
        assert result.ok
        assert result.record is None, "what is written down stands: its pack is there, and nobody has mended it"

    def test_an_older_record_counts_no_more(self, any_bench, uploads):
        key = any_bench.own_pack(uploads[1])
        repair(any_bench)
        flip_frame(any_bench, key, 1)  # it is whole again: brought back from elsewhere
        assert repair(any_bench).ok
        assert any_bench.push({"a": edited(DATA, 900_000), "b": noise(50_000)}, recheck=True).unchanged


def test_what_depends_on_a_damaged_base_is_healed_with_it(bench):
    base = prose(50_000, "base")
    based = prose(40_000, "base") + prose(5_000, "based")
    twice = prose(30_000, "base") + prose(5_000, "based") + prose(5_000, "twice")
    alone = noise(30_000)
    crafted = craft(
        bench,
        [[Part(base), Part(alone)], [Part(based, (base,)), Part(twice, (based,))]],
        {"a": [based], "b": [twice], "c": [alone]},
    )
    flip_frame(bench, crafted.packs[0], 0)
    result = repair(bench)
    assert lost_files(result) == {crafted.upload_id: ["a", "b"]}
    files = {"a": based, "b": twice, "c": alone}
    healed = bench.push(files)
    assert [file.chunks_new for file in healed.files] == [1, 1, 0]
    assert bench.restored() == files
    assert bench.verify("latest", level="data").ok


def test_a_damaged_footer_costs_the_whole_pack(bench):
    first = bench.push({"a": DATA}).upload_id
    flip(bench, bench.own_pack(first), len(bench.store.get(bench.own_pack(first))) - 60)
    result = repair(bench)
    assert lost_files(result) == {}, "every frame still reads"
    assert decode_damage(bench.store.get(result.record), "record").packs[0].chunks is None
    bench.push({"a": DATA}, recheck=True)
    assert bench.verify("latest", level="data").ok
    assert bench.restored() == {"a": DATA}


@pytest.mark.parametrize("cut", [None, 1000])
def test_a_pack_that_the_list_shows_to_be_lost_needs_no_record(bench, cut):
    first = bench.push({"a": DATA}).upload_id
    key = bench.own_pack(first)
    data = bench.store.get(key)
    bench.push({"a": edited(DATA, 100)})
    bench.delete(key) if cut is None else bench.store.put(key, data[:cut])
    result = repair(bench, state_dir=bench.state)
    assert len(result.lost) == 2
    assert result.record is None
    assert not bench.push({"a": edited(DATA, 100)}).unchanged
    assert bench.restored() == {"a": edited(DATA, 100)}


def test_a_short_pack_has_lost_only_what_lay_behind_its_end(bench):
    crafted = craft(bench, [[Part(noise(20_000, i)) for i in range(2)], [Part(b"list")]],
                    {"a": [noise(20_000, 0)], "b": [noise(20_000, 1)]})  # fmt: skip
    bench.store.put(crafted.packs[0], bench.store.get(crafted.packs[0])[:30_000])
    assert lost_files(repair(bench)) == {crafted.upload_id: ["b"]}


def test_a_pack_lost_since_it_was_listed(bench):
    one, two = prose(5000, 1), prose(5000, 2)
    crafted = craft(bench, [[Part(one)], [Part(two)]], {"a": [one], "b": [two]})
    result = api.repair(Gone(bench.store, crafted.packs[0]), system_id=SYSTEM)
    assert lost_files(result) == {crafted.upload_id: ["a"]}


class TestLists:
    def test_a_lost_manifest_has_lost_even_its_names(self, bench):
        first = bench.push({"a": DATA}).upload_id
        flip(bench, manifest_key(SYSTEM, first), 500)
        assert lost_files(repair(bench)) == {first: []}

    def test_a_lost_chunk_list_loses_all_files(self, bench):
        first = bench.push({"a": DATA, "b": b"1"}).upload_id
        pack = bench.store.get(bench.own_pack(first))
        flip_frame(bench, bench.own_pack(first), read_footer(pack, len(pack)).lists[0])
        assert lost_files(repair(bench)) == {first: ["a", "b"]}

    def test_a_pack_that_no_snapshot_names_is_read_too(self, bench, monkeypatch):
        monkeypatch.setattr(storing, "_LIST_DEPTH", 0)  # else the second needs the chunk list of the first
        first = bench.push({"a": DATA}).upload_id
        key = bench.own_pack(first)
        bench.push({"b": noise(10)})
        bench.delete(manifest_key(SYSTEM, first))
        assert "named by no snapshot" in repair(bench).warnings[-1]
        flip(bench, key, 100)
        result = repair(bench)
        assert [(one.kind, one.object, one.snapshots) for one in result.problems] == [("pack_damaged", key, [])]
        assert decode_damage(bench.store.get(result.record), "record").packs[0].chunks is None


class TestMadeAnew:
    def test_markers(self, bench):
        upload_id = bench.push({"a": DATA}).upload_id
        for key in (upload_marker(SYSTEM, upload_id), system_marker(SYSTEM)):
            bench.delete(key)
            found = bench.verify(level="manifest").problems
            assert [(one.kind, one.object, one.snapshots) for one in found] == [("marker_missing", key, [upload_id])]
            assert not repair(bench, dry_run=True).ok
            result = repair(bench)
            assert result.ok
            assert result.recreated == [key]
            assert bench.verify(level="manifest").ok

    @pytest.mark.parametrize("how", ["missing", "damaged"])
    def test_format(self, any_bench, how):
        any_bench.push({"a": DATA})
        key = format_key(SYSTEM)
        before = any_bench.store.get(key)
        any_bench.delete(key) if how == "missing" else any_bench.store.put(key, b"{")
        assert repair(any_bench).recreated == [key]
        assert any_bench.store.get(key) == before

    @pytest.mark.parametrize("how", ["missing", "cut", "flipped"])
    def test_a_whole_file(self, any_bench, how):
        upload_id = any_bench.push({"a": DATA}, full_file=True).upload_id
        key = any_bench.manifest(upload_id).snapshot.files[0].full_file.uri
        if how == "missing":
            any_bench.delete(key)
        else:
            any_bench.store.put(key, DATA[:1000] if how == "cut" else flipped(DATA, 77))
        assert repair(any_bench).recreated == [key]
        assert any_bench.store.get(key) == DATA

    def test_not_a_whole_file_whose_chunks_are_lost(self, bench):
        upload_id = bench.push({"a": DATA}, full_file=True).upload_id
        bench.delete(bench.manifest(upload_id).snapshot.files[0].full_file.uri)
        flip_frame(bench, bench.own_pack(upload_id), 0)
        result = repair(bench)
        assert result.recreated == []
        assert not result.ok


class TestRecordsOfStrangers:
    """They can only subtract: a push never believes more of a store than it lists."""

    TIME = "20271231T235959Z"

    def pushed(self, bench: Bench, record: bytes) -> list[str]:
        bench.push({"a": DATA})
        bench.store.put(damage_key(SYSTEM, f"{self.TIME}-{content_hash(record).hex()[:8]}"), record)
        result = bench.push({"a": edited(DATA, 5)}, recheck=True)
        assert bench.restored() == {"a": edited(DATA, 5)}
        assert bench.verify("all", level="data").ok
        return result.warnings

    @pytest.mark.parametrize("record", [b"", b"{", b'{"format":1}', b'{"format":0,"packs":[]}', b"[" * 100_000])
    def test_one_that_cannot_be_read_is_said(self, bench, record):
        (warning,) = self.pushed(bench, record)
        assert self.TIME in warning
        key = repair(bench).record
        assert key is not None
        assert key > damage_key(SYSTEM, f"{self.TIME}-ffffffff"), "a later one takes its place"
        assert bench.push({"a": DATA}, recheck=True).warnings == []

    def test_one_that_lies_costs_bytes_only(self, bench):
        bench.push({"a": DATA})
        (pack,) = bench.packs()
        pack = pack.rpartition("/")[2]
        text = f'{{"format":1,"found_at":"2026-11-23T07:15:00Z","tool":"x","packs":[{{"pack":"{pack}"}}]}}'
        assert pack in self.pushed(bench, text.encode())[0]

    def test_one_of_a_later_format_stops_the_push(self, bench):
        with pytest.raises(NewerFormatError):
            self.pushed(bench, b'{"format":2}')

    def test_one_of_another_name_is_none(self, bench):
        bench.push({"a": DATA})
        bench.store.put(damage_key(SYSTEM, "notes"), b"{")
        assert bench.push({"a": DATA}, recheck=True).warnings == []


def test_a_look_at_all_costs_a_request_more_only_where_there_is_a_record(tmp_path):
    bench = Bench(tmp_path, MemoryStore())
    bench.push({"a": DATA})
    before = bench.push({"a": DATA}, recheck=True).requests
    record = b'{"format":1,"found_at":"2026-11-23T07:15:00Z","tool":"x","packs":[]}'
    bench.store.put(damage_key(SYSTEM, f"20261123T071500Z-{content_hash(record).hex()[:8]}"), record)
    assert bench.push({"a": DATA}, recheck=True).requests == before + 1


@pytest.mark.parametrize("how", ["recorded", "short"])
def test_a_prune_keeps_the_newest_whole_snapshot_beside_a_damaged_one(bench, how):
    whole = bench.push({"a": DATA}, state_dir=None).upload_id
    bench.clock.advance(60)
    damaged = bench.push({"a": noise(len(DATA), "other")}, state_dir=None).upload_id
    key = bench.own_pack(damaged)
    if how == "recorded":
        flip_frame(bench, key, 0)
        repair(bench)
    else:
        bench.store.put(key, bench.store.get(key)[:-1])
    result = bench.prune(keep_last=1)
    assert {one.upload_id: one.reasons for one in result.snapshots} == {
        damaged: ["newest", "last 1"],
        whole: ["newest whole"],
    }
    assert bench.restored(whole) == {"a": DATA}


def test_a_record_stays_while_its_pack_does(bench):
    """No snapshot needs the damaged frame after a prune, but another writer may take its chunk from the footer."""
    data = noise(3 * MIB)
    damaged = bench.push({"a": data}, state_dir=None).upload_id
    pack = bench.own_pack(damaged)
    flip_frame(bench, pack, 0)
    record = repair(bench).record
    bench.clock.advance(60)
    bench.push({"a": edited(data, 5)}, state_dir=None)
    bench.prune(keep_last=1)
    assert damaged not in bench.uploads()
    assert pack in bench.packs(), "the rest of it is needed"
    assert repair(bench).record is None
    assert pack.rpartition("/")[2] in bench.store.get(record).decode()


def test_the_push_that_heals_may_name_the_folder_in_another_way(tmp_path):
    bench = Bench(tmp_path, DirectoryStore(tmp_path / "store"))
    first = bench.push({"a": DATA}).upload_id
    flip_frame(bench, bench.own_pack(first), 0)
    elsewhere = DirectoryStore(tmp_path / "live" / ".." / "store")
    assert api.repair(elsewhere, system_id=SYSTEM, state_dir=bench.state, now=bench.clock).record
    bench.push({"a": DATA})
    assert bench.verify("latest", level="data").ok


def test_an_unreadable_record_of_the_last_second_stops_no_repair(bench):
    damaged = bench.push({"a": DATA}, state_dir=None).upload_id
    bench.store.put(damage_key(SYSTEM, "99991231T235959Z-00000000"), b"{")
    flip_frame(bench, bench.own_pack(damaged), 0)
    assert repair(bench).record
    assert bench.push({"a": DATA}, state_dir=None, recheck=True).upload_id != damaged
    assert bench.verify("latest", level="data").ok
