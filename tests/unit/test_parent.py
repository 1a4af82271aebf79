"""What the next push makes of the snapshots before it: of their bases, and of damage."""

from __future__ import annotations

import pytest
from helpers import (
    MIB,
    SYSTEM,
    Bench,
    Gone,
    InterceptingStore,
    Part,
    PulledPlug,
    as_second_reader,
    craft,
    dies_at,
    edited,
    flipped,
    noise,
    prose,
)

from akosha_snap import api
from akosha_snap.errors import DamageError, NewerFormatError, StoreError
from akosha_snap.manifest.keys import format_key, manifest_key
from akosha_snap.snapshot import packer, plan


class TestADamagedStore:
    """The next push heals what it can and says so."""

    DATA = noise(3 * MIB, "damaged")

    @pytest.fixture(autouse=True)
    def small_packs(self, monkeypatch):
        monkeypatch.setattr(packer, "PACK_TARGET", MIB)

    @pytest.fixture(autouse=True)
    def _a_day_between_pushes(self, monkeypatch):
        """Within a day of the last push the store is taken to be as that left it (test_warm_state.py)."""
        monkeypatch.setattr(plan, "_TRUSTED_FOR", 0.0)

    def test_a_damaged_newest_manifest_is_passed_over_with_a_warning(self, any_bench):
        first = any_bench.push({"a": self.DATA}).upload_id
        second = any_bench.push({"a": edited(self.DATA, 5)}).upload_id
        key = manifest_key(SYSTEM, second)
        any_bench.store.put(key, flipped(any_bench.store.get(key), 1000))
        result = any_bench.push({"a": edited(self.DATA, MIB)})
        assert second in result.warnings[0]
        assert "verify" in result.warnings[0]
        assert any_bench.manifest(result.upload_id).snapshot.parent == first
        assert result.upload_id > second
        assert result.bytes_transferred < 0.5 * len(self.DATA)
        assert any_bench.restored() == {"a": edited(self.DATA, MIB)}

    def test_what_only_an_older_snapshot_holds_is_not_unchanged(self, any_bench):
        """The newest cannot be read: `latest` must be again what was pushed last."""
        first = any_bench.push({"a": self.DATA}).upload_id
        second = any_bench.push({"a": edited(self.DATA, 5)}).upload_id
        key = manifest_key(SYSTEM, second)
        any_bench.store.put(key, flipped(any_bench.store.get(key), 1000))
        result = any_bench.push({"a": self.DATA})
        assert not result.unchanged
        assert sum(file.chunks_new for file in result.files) == 0
        assert result.upload_id > second > first
        assert any_bench.restored() == {"a": self.DATA}
        assert any_bench.push({"a": self.DATA}).unchanged

    def test_a_lost_chunk_list_is_passed_over_too(self, bench):
        first = bench.push({"a": self.DATA}).upload_id
        second = bench.push({"a": edited(self.DATA, 5)}).upload_id
        bench.delete(bench.own_pack(second))
        result = bench.push({"a": edited(self.DATA, 5)})
        assert bench.manifest(result.upload_id).snapshot.parent == first
        assert bench.restored() == {"a": edited(self.DATA, 5)}

    def test_a_manifest_that_is_gone_since_it_was_listed_is_passed_over_too(self, bench):
        first = bench.push({"a": b"1"}).upload_id
        second = bench.push({"a": b"2"}).upload_id
        result = bench.push({"a": b"3"}, store=Gone(bench.store, manifest_key(SYSTEM, second)))
        assert bench.manifest(result.upload_id).snapshot.parent == first

    def test_with_no_readable_snapshot_everything_is_uploaded_again(self, bench):
        upload_id = bench.push({"a": self.DATA}).upload_id
        bench.store.put(manifest_key(SYSTEM, upload_id), b"gone")
        result = bench.push({"a": self.DATA})
        assert result.upload_id > upload_id
        assert bench.restored() == {"a": self.DATA}

    @pytest.mark.parametrize("cut", [None, 0, 1000, -1])
    @pytest.mark.parametrize("number", [0, 1, 2, -1])
    def test_a_lost_or_truncated_pack_is_healed_by_the_next_push(self, bench, cut, number):
        first = bench.push({"a": self.DATA}).upload_id
        own = bench.own_pack(first)
        key = own if number == -1 else sorted(set(bench.packs()) - {own})[number]
        if cut is None:
            bench.delete(key)
        else:
            bench.store.put(key, bench.store.get(key)[:cut])
        result = bench.push({"a": self.DATA})
        assert not result.unchanged
        assert result.warnings
        assert bench.restored() == {"a": self.DATA}
        assert bench.verify("latest", level="data").ok

    def test_healing_that_was_interrupted_is_finished_by_the_next_push(self, bench):
        first = bench.push({"a": self.DATA}).upload_id
        bench.delete(min(set(bench.packs()) - {bench.own_pack(first)}))
        dying = InterceptingStore(bench.store, dies_at(lambda key: key.endswith("manifest.json")))
        with pytest.raises(PulledPlug):
            bench.push({"a": self.DATA}, store=dying)
        assert not bench.push({"a": self.DATA}).unchanged
        assert bench.restored() == {"a": self.DATA}
        assert bench.verify("latest", level="data").ok

    def test_a_missing_format_is_written_again(self, bench):
        bench.push({"a": b"1"})
        before = bench.store.get(format_key(SYSTEM))
        bench.delete(format_key(SYSTEM))
        bench.push({"a": b"2"})
        assert bench.store.get(format_key(SYSTEM)) == before

    def test_a_damaged_format_is_reported_before_anything_is_stored(self, bench):
        bench.push({"a": b"1"})
        bench.store.put(format_key(SYSTEM), b"{}")
        before = bench.objects()
        with pytest.raises(DamageError, match=r"format\.json"):
            bench.push({"a": b"2"})
        assert bench.objects() == before

    @pytest.mark.parametrize("what", ["format", "manifest"])
    def test_a_newer_format_stops_the_push(self, bench, what):
        upload_id = bench.push({"a": b"1"}).upload_id
        key = format_key(SYSTEM) if what == "format" else manifest_key(SYSTEM, upload_id)
        bench.store.put(key, bench.store.get(key).replace(b'"format":1', b'"format":2'))
        before = bench.objects()
        with pytest.raises(NewerFormatError):
            bench.push({"a": b"2"})
        assert bench.objects() == before

    def test_a_store_that_fails_for_good_says_so_and_makes_no_snapshot(self, bench):
        def refuse(key: str, data: bytes, if_absent: bool) -> None:
            raise StoreError("quota exceeded")

        with pytest.raises(StoreError, match="quota exceeded"):
            bench.push({"a": b"1"}, store=InterceptingStore(bench.store, refuse))
        assert bench.objects() == {}


class TestBases:
    """Frames with bases, which the reader knows from the start: taken over by the next push as they are."""

    OLD, SHARED = prose(50_000, "old"), noise(30_000, "shared")
    NEW = prose(40_000, "old") + prose(5_000, "new")
    NEWEST = prose(35_000, "old") + prose(5_000, "new") + prose(5_000, "newest")

    def crafted(self, bench: Bench) -> None:
        craft(
            bench,
            [[Part(self.OLD), Part(self.SHARED)],
             [Part(self.SHARED), Part(self.NEW, (self.OLD,)), Part(self.NEWEST, (self.OLD, self.NEW))]],
            {"a": [self.NEW, self.SHARED, self.NEW], "b": [self.NEWEST]},
        )  # fmt: skip

    def test_they_are_restored_and_verified(self, any_bench):
        self.crafted(any_bench)
        assert any_bench.restored() == {"a": self.NEW + self.SHARED + self.NEW, "b": self.NEWEST}
        assert any_bench.restored(file="b") == {"b": self.NEWEST}
        result = any_bench.verify(level="data")
        assert result.ok, result.problems

    def test_the_next_push_uses_them_and_lists_their_bases(self, bench):
        self.crafted(bench)
        result = bench.push({"b": self.NEWEST, "c": noise(20_000, "c")})
        assert [file.chunks_new for file in result.files] == [0, 1]
        assert bench.restored() == {"b": self.NEWEST, "c": noise(20_000, "c")}
        assert api.show(bench.store, system_id=SYSTEM).packs == 3
        assert bench.verify(level="data").ok

    def test_a_lost_base_takes_what_needs_it_along_and_is_healed(self, bench):
        self.crafted(bench)
        first = next(key for key in bench.packs() if key != bench.own_pack(bench.uploads()[0]))
        bench.delete(first)
        files = {"a": self.NEW + self.SHARED + self.NEW, "b": self.NEWEST}
        result = bench.push(files)
        assert not result.unchanged
        assert bench.restored() == files
        assert bench.verify("latest", level="data").ok


def test_a_file_that_the_newest_snapshot_does_not_have_may_have_any_bases_before_it(bench):
    """The newest needs only the second of two packs, in which a chunk has its base in the first."""
    a, b = noise(20_000, "a"), noise(20_000, "b")
    bench.push({"a": noise(20_000, "before"), "b": b})
    bench.push({"a": a, "b": edited(b, 10_000)})
    bench.push({"a": a})
    assert len(as_second_reader(bench)) == 3
    for _ in range(2):
        b = edited(b, 10_000)
        result = bench.push({"a": a, "b": b})
        assert result.bytes_transferred < 5_000
        assert bench.restored() == {"a": a, "b": b}
    assert bench.verify(level="data").ok
    assert as_second_reader(bench)[-1] == {"a": a, "b": b}
