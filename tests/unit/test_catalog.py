"""Listing snapshots and showing one."""

from __future__ import annotations

import pytest
from helpers import SYSTEM, chunk_hashes, noise, prose

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError, NewerFormatError, NothingThereError
from akosha_snap.manifest.keys import format_key, manifest_key
from akosha_snap.stores import DirectoryStore, MemoryStore

DATA = prose(300_000)


def test_snapshots_are_listed_newest_first(any_bench):
    pushed = []
    for i in range(3):
        pushed.append(any_bench.push({"a": DATA[: 1000 * (i + 1)], "b": b"1"}))
        any_bench.clock.advance(60)
    listed = api.snapshots(any_bench.store, system_id=SYSTEM).snapshots
    assert [one.upload_id for one in listed] == [one.upload_id for one in reversed(pushed)]
    assert [one.total_size_bytes for one in listed] == [3001, 2001, 1001]
    assert listed[0].files == ["a", "b"]
    assert [one.bytes_transferred for one in listed] == [one.bytes_transferred for one in reversed(pushed)]
    assert (any_bench.clock() - listed[0].uploaded_at).total_seconds() == 60


def test_more_snapshots_than_a_page_of_the_listing(bench):
    bench.store = MemoryStore(page_size=3)
    pushed = [bench.push({"a": bytes([i])}).upload_id for i in range(10)]
    assert bench.uploads() == pushed[::-1]


@pytest.mark.parametrize("make", [lambda path: MemoryStore(), lambda path: DirectoryStore(path)])
def test_an_empty_store_has_none(tmp_path, make):
    (tmp_path / "store").mkdir()
    assert api.snapshots(make(tmp_path / "store"), system_id=SYSTEM).snapshots == []


def test_a_store_that_is_not_there(tmp_path):
    with pytest.raises(AkoshaSnapError) as caught:
        api.snapshots(DirectoryStore(tmp_path / "store"), system_id=SYSTEM)
    assert caught.value.exit_code == 10


def test_a_damaged_snapshot_is_a_warning_not_the_end_of_the_list(bench):
    first = bench.push({"a": b"1"}).upload_id
    second = bench.push({"a": b"2"}).upload_id
    bench.store.put(manifest_key(SYSTEM, second), b"{}")
    result = api.snapshots(bench.store, system_id=SYSTEM)
    assert [one.upload_id for one in result.snapshots] == [first]
    assert second in result.warnings[0]


def test_objects_of_others_under_our_prefix_are_no_snapshots(bench):
    upload_id = bench.push({"a": b"1"}).upload_id
    for name in ("not-ours", "20269999T000000Z-00000000"):
        bench.store.put(f"systems/{SYSTEM}/{name}/manifest.json", b"{}")
    assert bench.uploads() == [upload_id]
    assert api.snapshots(bench.store, system_id=SYSTEM).warnings == []


def test_a_newer_format_is_newer(bench):
    bench.push({"a": b"1"})
    bench.store.put(format_key(SYSTEM), b'{"format":99}')
    with pytest.raises(NewerFormatError, match="newer than 1"):
        bench.uploads()


class TestShow:
    def test_a_snapshot_in_full(self, any_bench):
        first = any_bench.push({"a": DATA}).upload_id
        pushed = any_bench.push({"a": DATA + noise(50_000), "b": b"1"})
        shown = api.show(any_bench.store, system_id=SYSTEM)
        assert (shown.upload_id, shown.parent, shown.system_id) == (pushed.upload_id, first, SYSTEM)
        assert shown.total_size_bytes == len(DATA) + 50_001
        assert shown.bytes_transferred == pushed.bytes_transferred
        assert shown.chunks_new == sum(file.chunks_new for file in pushed.files)
        assert shown.packs == 2
        assert [(file.name, file.kind, file.chunks) for file in shown.files] == [
            (file.name, "plain", file.chunks) for file in pushed.files
        ]
        assert all(file.chunk_hashes is None for file in shown.files)

    def test_every_chunk_hash_if_asked(self, bench):
        bench.push({"a": DATA + DATA, "b": DATA})
        shown = api.show(bench.store, system_id=SYSTEM, chunks=True)
        assert shown.files[0].chunk_hashes == [chunk.hex() for chunk in chunk_hashes(DATA + DATA)]
        assert shown.files[1].chunk_hashes == [chunk.hex() for chunk in chunk_hashes(DATA)]

    def test_an_older_one_by_its_id(self, bench):
        first = bench.push({"a": b"1"}).upload_id
        bench.push({"a": b"2"})
        assert api.show(bench.store, first, system_id=SYSTEM).upload_id == first

    def test_one_that_is_not_there(self, bench):
        bench.push({"a": b"1"})
        with pytest.raises(NothingThereError, match="list"):
            api.show(bench.store, "20260101T000000Z-00000000", system_id=SYSTEM)
        with pytest.raises(NothingThereError, match="no snapshot is called"):
            api.show(bench.store, "newest", system_id=SYSTEM)
        with pytest.raises(NothingThereError, match="no snapshot"):
            api.show(bench.store, system_id="other")
