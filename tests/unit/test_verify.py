"""Damage of every kind, found at the level that promises it, with the object and the snapshots it touches."""

from __future__ import annotations

import json
import tempfile
from typing import NamedTuple

import msgspec
import pytest
from helpers import (
    SYSTEM,
    Bench,
    Gone,
    Part,
    RecordingStore,
    chunk_hashes,
    craft,
    flipped,
    noise,
    prose,
)

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError, ConfigError, NewerFormatError, NothingThereError
from akosha_snap.frames import TRAILER_SIZE, read_footer, read_trailer
from akosha_snap.manifest import ChunkList, encode_manifest
from akosha_snap.manifest.keys import format_key, manifest_key
from akosha_snap.snapshot import storing
from akosha_snap.snapshot.results import Level, VerifyResult

LEVELS: list[Level] = ["manifest", "index", "data", "open"]
OLD = {"a": noise(700_000, "a")}
BOTH = {"a": OLD["a"][:300_000] + noise(50_000, "b") + OLD["a"][300_000:]}
NEW = {"c": noise(100_000, "c")}


class History(NamedTuple):
    """Three snapshots: `old`, `both` that shares chunks with it, and `new` that shares none."""

    bench: Bench
    old: str
    both: str
    new: str

    def verify(self, level: Level) -> VerifyResult:
        return self.bench.verify(level=level)

    def assert_only(self, *touched: str) -> None:
        """Every snapshot but the touched ones verifies and restores."""
        for upload_id, files in [(self.old, OLD), (self.both, BOTH), (self.new, NEW)]:
            if upload_id not in touched:
                assert self.bench.verify(upload_id, level="data").ok
                assert self.bench.restored(upload_id) == files


@pytest.fixture
def history(any_bench, monkeypatch) -> History:
    monkeypatch.setattr(storing, "_LIST_DEPTH", 0)  # else every snapshot needs the chunk lists before it
    return History(any_bench, *(any_bench.push(files).upload_id for files in (OLD, BOTH, NEW)))


class Region(NamedTuple):
    """A stretch of a pack."""

    start: int
    end: int
    level: Level
    """The first that sees a flipped bit in it."""


def regions(pack: bytes) -> dict[str, Region]:
    """Where the parts of a pack lie, from its own footer."""
    footer_end = len(pack) - TRAILER_SIZE
    footer_start = footer_end - read_trailer(pack[footer_end:])
    footer = read_footer(pack, len(pack))
    entries = list(footer.entries())
    (listed,) = [entries[i] for i in footer.lists]
    return {
        "first frame": Region(0, entries[0].stored_size, "data"),
        "chunk list": Region(listed.offset, listed.offset + listed.stored_size, "manifest"),
        "footer": Region(footer_start, footer_end, "index"),
        "trailer": Region(footer_end, len(pack), "index"),
    }


def kinds(result: VerifyResult) -> set[str]:
    return {problem.kind for problem in result.problems}


class TestWhole:
    @pytest.mark.parametrize("level", LEVELS)
    def test_all_is_well(self, history, level):
        result = history.verify(level)
        assert result.ok
        assert result.problems == []
        assert result.level == level
        assert result.snapshots == [history.new, history.both, history.old]
        assert result.objects == 1 + 3 + 3

    def test_latest_or_one_checks_nothing_else(self, history):
        assert history.bench.verify("latest").snapshots == [history.new]
        assert history.bench.verify(history.old).snapshots == [history.old]
        key = manifest_key(SYSTEM, history.new)
        history.bench.store.put(key, b"gone")
        assert history.bench.verify(history.old, level="data").ok
        assert not history.bench.verify("all").ok

    def test_each_level_reads_more_than_the_one_before(self, history):
        read = [history.verify(level).bytes_read for level in LEVELS]
        assert read == sorted(read)
        assert read[1] < 0.25 * sum(len(history.bench.store.get(key)) for key in history.bench.packs())
        assert read[2] > sum(len(history.bench.store.get(key)) for key in history.bench.packs())

    def test_requests_and_bytes_are_those_the_store_saw(self, history):
        store = RecordingStore(history.bench.store)
        assert api.verify(store, "all", system_id=SYSTEM, level="data").requests == len(store.seen)

    def test_nothing_is_written(self, history):
        before = history.bench.objects()
        history.verify("open")
        assert history.bench.objects() == before

    @pytest.mark.parametrize("sample", [0.001, 10, 99.9])
    def test_a_sample_reads_its_share(self, history, sample):
        result = history.bench.verify(level="data", sample=sample)
        whole = history.bench.verify(level="data")
        assert result.ok
        assert result.bytes_read < whole.bytes_read


class TestBadRequests:
    @pytest.mark.parametrize("sample", [0, -1, 100.1, float("nan")])
    def test_a_sample_that_is_none(self, history, sample):
        with pytest.raises(ConfigError, match="sample"):
            history.bench.verify(level="data", sample=sample)

    def test_an_unknown_level(self, history):
        with pytest.raises(ConfigError, match="choose one of manifest, index, data, open"):
            history.bench.verify(level="everything")

    def test_an_unknown_upload(self, history):
        with pytest.raises(NothingThereError):
            history.bench.verify("20260101T000000Z-00000000")

    @pytest.mark.parametrize("which", ["latest", "all"])
    def test_nothing_there(self, bench, which):
        with pytest.raises(NothingThereError):
            bench.verify(which)


class TestPacks:
    """`old`'s pack is needed by `old` and `both`; `new`'s by `new` alone."""

    @pytest.mark.parametrize("level", LEVELS)
    def test_a_missing_pack_is_found_at_every_level(self, history, level):
        key = history.bench.own_pack(history.old)
        history.bench.delete(key)
        result = history.verify(level)
        assert not result.ok
        assert {problem.object for problem in result.problems} == {key}
        assert {one for problem in result.problems for one in problem.snapshots} == {history.old, history.both}
        history.assert_only(history.old, history.both)

    @pytest.mark.parametrize("keep", [0, 1, 1000, -100, -1])
    def test_a_truncated_pack_is_found_by_its_size(self, history, keep):
        key = history.bench.own_pack(history.old)
        history.bench.store.put(key, history.bench.store.get(key)[:keep])
        result = history.verify("manifest")
        assert {problem.object for problem in result.problems} == {key}
        assert {one for problem in result.problems for one in problem.snapshots} == {history.old, history.both}

    def test_a_pack_that_grew_is_found_by_its_size(self, history):
        key = history.bench.own_pack(history.new)
        history.bench.store.put(key, history.bench.store.get(key) + b"\0")
        assert kinds(history.verify("manifest")) == {"pack_size"}
        history.assert_only(history.new)

    @pytest.mark.parametrize("name", ["first frame", "chunk list", "footer", "trailer"])
    @pytest.mark.parametrize("owner", ["old", "new"])
    def test_a_flipped_bit_is_found_at_the_level_that_reads_it(self, history, name, owner):
        upload_id = getattr(history, owner)
        key = history.bench.own_pack(upload_id)
        pack = history.bench.store.get(key)
        region = regions(pack)[name]
        for position in sorted({region.start, (region.start + region.end) // 2, region.end - 1}):
            history.bench.store.put(key, flipped(pack, 8 * position + 1))
            for level in LEVELS[:3]:
                found = self._found(history, level)
                if LEVELS.index(level) >= LEVELS.index(region.level):
                    assert found is None or found == {key}, (position, level)
                else:
                    assert found == set()

    @staticmethod
    def _found(history: History, level: Level) -> set[str] | None:
        """The objects named; None where the flip hit a version byte, which then says newer."""
        try:
            return {problem.object for problem in history.verify(level).problems}
        except NewerFormatError:
            return None

    def test_a_flipped_frame_names_only_the_snapshots_that_need_it(self, history):
        pack = history.bench.own_pack(history.both)
        data = history.bench.store.get(pack)
        history.bench.store.put(pack, flipped(data, 8 * (regions(data)["first frame"].end // 2)))
        result = history.verify("data")
        assert [(p.kind, p.object, p.snapshots) for p in result.problems] == [("chunk_damaged", pack, [history.both])]
        assert "is damaged" in result.problems[0].detail
        history.assert_only(history.both)

    def test_a_flipped_chunk_that_no_snapshot_needs_any_more_is_still_said(self, bench):
        first = bench.push(OLD).upload_id
        bench.push({"a": OLD["a"][:200_000]})
        key = bench.own_pack(first)
        bench.store.put(key, flipped(bench.store.get(key), 8 * 650_000))
        bench.delete(manifest_key(SYSTEM, first))
        result = bench.verify(level="data")
        assert result.ok, "every snapshot is whole"
        assert result.warnings == [f"{key} is damaged in bytes that none of these snapshots needs"]
        assert bench.restored() == {"a": OLD["a"][:200_000]}

    def test_two_packs_swapped_are_found_at_the_first_level(self, history):
        one, two = history.bench.own_pack(history.old), history.bench.own_pack(history.new)
        contents = history.bench.objects()
        history.bench.store.put(one, contents[two])
        history.bench.store.put(two, contents[one])
        result = history.verify("manifest")
        assert {problem.object for problem in result.problems} == {one, two}

    def test_a_pack_in_place_of_another_of_the_same_size_is_found_in_its_footer(self, bench):
        one = [Part(noise(20_000, i)) for i in range(2)]
        two = [Part(noise(20_000, i)) for i in (2, 3)]
        crafted = craft(bench, [one, two, [Part(noise(50))]], {"f": [one[0].chunk, two[1].chunk]})
        first, second, _ = crafted.packs
        bench.store.put(first, bench.store.get(second))
        assert bench.verify(level="manifest").ok
        result = bench.verify(level="index")
        assert [(problem.object, problem.snapshots) for problem in result.problems] == [(first, [crafted.upload_id])]
        assert not bench.verify(level="data").ok

    def test_a_newer_pack_is_newer_not_damaged(self, history):
        key = history.bench.own_pack(history.new)
        history.bench.store.put(key, history.bench.store.get(key)[:-1] + b"\2")
        with pytest.raises(NewerFormatError):
            history.verify("index")

    def test_a_sample_of_everything_needed_finds_the_only_chunk_damaged(self, bench):
        bench.push({"a": noise(10_000)})
        (key,) = bench.packs()
        bench.store.put(key, flipped(bench.store.get(key), 800))
        assert any(not bench.verify(level="data", sample=50).ok for _ in range(40))


class TestChainsOfChunkLists:
    def test_a_list_that_others_need_is_named_with_all_of_them(self, any_bench):
        uploads = [any_bench.push({"a": noise(200_000 + step)}).upload_id for step in range(3)]
        assert any_bench.verify(level="data").ok
        key = any_bench.own_pack(uploads[0])
        pack = any_bench.store.get(key)
        any_bench.store.put(key, flipped(pack, 8 * regions(pack)["chunk list"].start + 70))
        result = any_bench.verify(level="manifest")
        assert [(problem.object, problem.snapshots) for problem in result.problems] == [(key, uploads)]


class TestLostMeanwhile:
    """What the store listed and no longer has when it is read: somebody deletes while we look."""

    def test_a_manifest(self, history):
        key = manifest_key(SYSTEM, history.both)
        result = api.verify(Gone(history.bench.store, key), "all", system_id=SYSTEM)
        assert [(p.kind, p.object, p.snapshots) for p in result.problems] == [("manifest_missing", key, [history.both])]

    @pytest.mark.parametrize("sample", [100, 99.9])
    def test_a_pack(self, bench, sample):
        one, two = prose(5000, 1), prose(5000, 2)
        crafted = craft(bench, [[Part(one)], [Part(two)]], {"f": [one, two]})
        store = Gone(bench.store, crafted.packs[0])
        result = api.verify(store, "all", system_id=SYSTEM, level="data", sample=sample)
        assert {p.object for p in result.problems} == {crafted.packs[0]}
        assert {one for p in result.problems for one in p.snapshots} == {crafted.upload_id}


def test_a_pack_of_many_small_frames_is_read_by_its_long_footer(bench):
    chunks = [noise(8, i) for i in range(3000)]
    craft(bench, [list(map(Part, chunks)), [Part(b"last")]], {"f": chunks})
    assert bench.verify(level="data").ok
    assert bench.restored() == {"f": b"".join(chunks)}


def test_a_sample_reads_the_bases_of_what_it_draws(bench):
    base = prose(20_000, "base")
    based = [prose(15_000, "base") + prose(1000, i) for i in range(10)]
    craft(bench, [[Part(base)], [Part(chunk, (base,)) for chunk in based]], {"f": based})
    for sample in (1, 10, 50):
        assert bench.verify(level="data", sample=sample).ok


class TestManifests:
    def test_every_flipped_bit_is_found(self, bench):
        upload_id = bench.push({"a": b"1"}).upload_id
        key = manifest_key(SYSTEM, upload_id)
        data = bench.store.get(key)
        for bit in range(0, 8 * len(data), 29):
            bench.store.put(key, flipped(data, bit))
            try:
                found = bench.verify(level="manifest").problems
            except NewerFormatError:  # the flip made another number of the format's
                continue
            assert [(p.kind, p.object, p.snapshots) for p in found] == [("manifest_damaged", key, [upload_id])]

    @pytest.mark.parametrize("keep", [0, 1, 500, -1])
    @pytest.mark.parametrize("level", LEVELS)
    def test_a_truncated_one_is_found_at_every_level(self, history, keep, level):
        key = manifest_key(SYSTEM, history.both)
        history.bench.store.put(key, history.bench.store.get(key)[:keep])
        result = history.verify(level)
        assert [(p.object, p.snapshots) for p in result.problems] == [(key, [history.both])]
        history.assert_only(history.both)

    def test_two_swapped_are_both_found(self, history):
        keys = [manifest_key(SYSTEM, upload_id) for upload_id in (history.old, history.new)]
        one, two = map(history.bench.store.get, keys)
        history.bench.store.put(keys[0], two)
        history.bench.store.put(keys[1], one)
        result = history.verify("manifest")
        assert {problem.object for problem in result.problems} == set(keys)

    def test_one_of_another_system_is_found(self, history):
        api.push(
            history.bench.write({"x": b"other"}),
            history.bench.store,
            system_id="other",
            stage_in_child=False,
            now=history.bench.clock,
        )
        (theirs,) = [key for key in history.bench.objects() if key.startswith("systems/other/")]
        key = manifest_key(SYSTEM, history.new)
        history.bench.store.put(key, history.bench.store.get(theirs))
        assert not history.verify("manifest").ok

    def test_a_deleted_one_is_no_snapshot_any_more(self, history):
        history.bench.delete(manifest_key(SYSTEM, history.both))
        result = history.verify("data")
        assert result.ok
        assert result.snapshots == [history.new, history.old]

    def test_a_newer_one_is_newer_not_damaged(self, history):
        key = manifest_key(SYSTEM, history.new)
        tree = json.loads(history.bench.store.get(key))
        tree["metadata"]["akosha_snap"]["format"] = 2
        history.bench.store.put(key, json.dumps(tree).encode())
        with pytest.raises(NewerFormatError, match="newer"):
            history.verify("manifest")
        with pytest.raises(NewerFormatError):
            history.bench.restore()
        assert history.bench.verify(history.old, level="data").ok


class TestFormat:
    @pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff"])
    @pytest.mark.parametrize("level", ["manifest", "data"])
    def test_a_missing_or_damaged_one_is_found(self, history, content, level):
        key = format_key(SYSTEM)
        if content is None:
            history.bench.delete(key)
        else:
            history.bench.store.put(key, content)
        result = history.verify(level)
        assert [problem.object for problem in result.problems] == [key]
        assert not result.ok

    def test_a_newer_one_is_newer_not_damaged(self, history):
        history.bench.store.put(format_key(SYSTEM), b'{"format":2}')
        for act in (history.bench.verify, history.bench.restore, history.bench.uploads):
            with pytest.raises(NewerFormatError):
                act()


class TestFullFiles:
    @pytest.fixture
    def stored(self, any_bench) -> tuple[Bench, str, str]:
        any_bench.push({"a": b"before"})
        upload_id = any_bench.push({"a": noise(10_000)}, full_file=True).upload_id
        return any_bench, upload_id, any_bench.manifest(upload_id).snapshot.files[0].full_file.uri

    def test_a_missing_or_truncated_one_is_found_by_its_size(self, stored):
        bench, upload_id, key = stored
        bench.store.put(key, noise(9_999))
        assert [(p.kind, p.object, p.snapshots) for p in bench.verify(level="manifest").problems] == [
            ("full_file_size", key, [upload_id])
        ]
        bench.delete(key)
        assert kinds(bench.verify(level="manifest")) == {"full_file_missing"}
        assert kinds(bench.verify(level="data")) == {"full_file_missing"}

    def test_a_flipped_bit_is_found_by_reading(self, stored):
        bench, _, key = stored
        bench.store.put(key, flipped(noise(10_000), 5))
        assert bench.verify(level="index").ok
        assert kinds(bench.verify(level="data")) == {"full_file_damaged"}
        assert bench.restored() == {"a": noise(10_000)}


class TestOpening:
    def test_counts_that_are_not_what_duckdb_finds(self, history):
        key = manifest_key(SYSTEM, history.new)
        manifest = history.bench.manifest(history.new)
        info = msgspec.structs.replace(
            manifest.snapshot, counts=msgspec.structs.replace(manifest.snapshot.counts, conversations=5)
        )
        metadata = msgspec.structs.replace(manifest.metadata, akosha_snap=info)
        history.bench.store.put(key, encode_manifest(msgspec.structs.replace(manifest, metadata=metadata)))
        assert history.verify("data").ok
        result = history.verify("open")
        assert [(p.kind, p.snapshots) for p in result.problems] == [("counts_differ", [history.new])]


def test_the_two_first_snapshots_share_chunks_and_the_third_none():
    old, both, new = (set(chunk_hashes(next(iter(files.values())))) for files in (OLD, BOTH, NEW))
    assert old & both
    assert not new & (old | both)


@pytest.mark.parametrize("lie", [{"codecs": [0, 1]}, {"raw_sizes": [5001, 5000]}, {"hashes": bytes(64)}])
def test_two_snapshots_that_describe_one_frame_otherwise_are_found(bench, lie):
    one, two = prose(5000, 1), prose(5000, 2)
    packs = [[Part(one)], [Part(two)]]
    honest = craft(bench, packs, {"f": [two]})

    def lying(value: ChunkList) -> ChunkList:
        return msgspec.structs.replace(value, **lie)

    other = craft(bench, packs, {"g": [two]}, lie=lying)
    found = bench.verify(level="manifest").problems
    assert [problem.kind for problem in found] == ["frames_disagree"]
    assert found[0].snapshots[0] in {honest.upload_id, other.upload_id}
    assert honest.packs[0].rpartition("/")[2] in found[0].detail
    for upload_id in (honest.upload_id, other.upload_id):
        assert bench.verify(upload_id, level="manifest").ok
    assert bench.verify(honest.upload_id, level="data").ok
    assert not bench.verify(other.upload_id, level="index").ok


def test_two_that_describe_it_alike_are_no_problem(bench):
    packs = [[Part(prose(5000, 1))], [Part(prose(5000, 2))]]
    for name in ("f", "g"):
        craft(bench, packs, {name: [packs[0][0].chunk]})
    assert bench.verify(level="data").ok


@pytest.mark.parametrize("level", ["data", "open"])
def test_a_temporary_folder_that_cannot_be_used_is_said(history, monkeypatch, tmp_path, level):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(AkoshaSnapError, match=r"cannot verify: .*nowhere") as caught:
        history.verify(level)
    assert caught.value.exit_code == 1
    assert "TMPDIR" in caught.value.hint
    assert history.verify("index").ok
