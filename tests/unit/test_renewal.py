"""A memory that does not change for a year: its manifest is committed anew before Akosha refuses it for its age."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from helpers import MIB, SYSTEM, Bench, RecordingStore, noise

from akosha_snap import api
from akosha_snap.manifest.keys import manifest_key, upload_marker
from akosha_snap.stores import MemoryStore

DAY = 86_400
FILES = {"b": noise(MIB), "a": b"a note"}


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore(MemoryStore())


@pytest.fixture
def bench(tmp_path: Path, store: RecordingStore) -> Bench:
    return Bench(tmp_path, store)


def age(bench: Bench, upload_id: str | None) -> dt.timedelta:
    assert upload_id
    return bench.clock() - bench.manifest(upload_id).uploaded_at


@pytest.mark.parametrize("state_dir", ["state", None], ids=["with state", "without"])
def test_the_same_content_gets_a_fresh_manifest(bench: Bench, state_dir: str | None) -> None:
    options = {"state_dir": bench.folder / state_dir if state_dir else None}
    first = bench.push(FILES, **options)
    bench.clock.advance(334 * DAY)
    assert bench.push(FILES, **options).unchanged
    bench.clock.advance(2 * DAY)
    packs = bench.packs()
    renewed = bench.push(FILES, **options)
    assert (renewed.unchanged, renewed.is_first) == (False, False)
    assert [file.chunks_new for file in renewed.files] == [0, 0]
    assert bench.packs() == packs
    assert renewed.bytes_transferred < 6_000
    assert renewed.upload_id
    assert renewed.files_uploaded == [
        upload_marker(SYSTEM, renewed.upload_id),
        manifest_key(SYSTEM, renewed.upload_id),
    ]
    assert age(bench, renewed.upload_id) < dt.timedelta(seconds=2)
    before, after = (bench.manifest(each or "").snapshot for each in (first.upload_id, renewed.upload_id))
    assert after.chunk_list == before.chunk_list
    assert (after.parent, after.root, after.counts) == (first.upload_id, before.root, before.counts)
    assert bench.restored(renewed.upload_id) == FILES
    assert bench.verify(level="data").ok
    again = bench.push(FILES, **options)
    assert (again.unchanged, again.upload_id) == (True, renewed.upload_id)
    changed = bench.push(FILES | {"a": b"another note"}, **options)
    assert not changed.unchanged
    assert bench.verify(level="data").ok


def test_with_warm_state_it_takes_three_requests_and_one_before_and_after(bench: Bench, store: RecordingStore) -> None:
    paths = bench.write(FILES)

    def methods(**options: bool) -> list[str]:
        store.seen.clear()
        api.push(
            paths, store, system_id=SYSTEM, state_dir=bench.state, now=bench.clock, stage_in_child=False, **options
        )
        return [request.method for request in store.seen]

    methods()
    bench.clock.advance(334.9 * DAY)
    methods()  # looks at all of the store, as once a day
    assert methods() == ["list_page"]
    bench.clock.advance(DAY / 2)
    assert len(bench.uploads()) == 1
    assert methods(dry_run=True) == ["list_page"]
    assert methods() == ["list_page", "put", "put"]
    assert methods() == ["list_page"]
    assert len(bench.uploads()) == 2
    assert bench.restored() == FILES


def test_whole_files_go_where_the_fresh_manifest_points(bench: Bench) -> None:
    bench.push(FILES, full_file=True)
    bench.clock.advance(340 * DAY)
    renewed = bench.push(FILES, full_file=True)
    assert not renewed.unchanged
    for entry in bench.manifest(renewed.upload_id or "").snapshot.files:
        assert entry.full_file.stored
        assert bench.store.get(entry.full_file.uri) == FILES[entry.name]
    bench.clock.advance(340 * DAY)
    without = bench.push(FILES)
    assert [entry.full_file.stored for entry in bench.manifest(without.upload_id or "").snapshot.files] == [False] * 2


def test_files_in_another_order_get_a_chunk_list_of_their_own(bench: Bench) -> None:
    bench.push(FILES)
    bench.clock.advance(340 * DAY)
    turned = dict(reversed(FILES.items()))
    assert not bench.push(turned).unchanged
    assert bench.restored() == FILES
    assert bench.verify(level="data").ok


def test_the_manifest_of_a_clock_that_was_ahead(bench: Bench) -> None:
    """Akosha would take it only when that time has come."""
    bench.clock.advance(30 * DAY)
    first = bench.push(FILES)
    bench.clock.advance(-30 * DAY)
    renewed = bench.push(FILES)
    assert renewed.upload_id
    assert first.upload_id
    assert renewed.upload_id > first.upload_id, "the newest snapshot, whatever the clock said"
    assert age(bench, renewed.upload_id) < dt.timedelta(seconds=2)
    assert bench.push(FILES).unchanged


def test_what_the_store_has_lost_is_uploaded_again_all_the_same(bench: Bench) -> None:
    first = bench.push(FILES)
    bench.clock.advance(340 * DAY)
    bench.delete(bench.own_pack(first.upload_id or ""))
    bench.push(FILES)
    assert bench.restored() == FILES
