"""Prune alone: what it keeps, drops, frees and refuses."""

from __future__ import annotations

import datetime as dt

import pytest
from helpers import (
    MIB,
    NOW,
    SYSTEM,
    Bench,
    Gone,
    PulledPlug,
    RecordingStore,
    RunsAt,
    copied,
    edited,
    flipped,
    noise,
    prose,
)

from akosha_snap import api
from akosha_snap.errors import (
    AkoshaSnapError,
    CapabilityError,
    ConfigError,
    DamageError,
    NewerFormatError,
    NothingThereError,
)
from akosha_snap.manifest.keys import format_key, manifest_key, prune_mark_key, prune_prefix, upload_marker
from akosha_snap.stores import CountingStore, Store, list_all

HOUR = 3600
DAY = 24 * HOUR


def marks(bench: Bench) -> list[str]:
    return [key for key in bench.objects() if key.startswith(prune_prefix(SYSTEM))]


def push_days(bench: Bench, count: int) -> dict[str, bytes]:
    """A push a day of a file that changes; what each snapshot holds."""
    data, kept = prose(300_000, "days"), {}
    for day in range(count):
        data = edited(data, 1000 * day)
        kept[bench.push({"a": data}).upload_id] = data
        bench.clock.advance(DAY)
    return kept


def push_unrelated(bench: Bench, count: int = 5) -> dict[str, bytes]:
    """Pushes that share nothing; those before the last few are not even needed for chunk lists."""
    contents = [noise(200_000, number) for number in range(1, count + 1)]
    return {bench.push({"a": data}).upload_id: data for data in contents}


def test_a_dropped_snapshot_is_gone_at_once_and_its_packs_after_the_grace_period(any_bench):
    bench = any_bench
    *old, new = push_unrelated(bench)
    packs, before = bench.packs(), bench.size()
    first = bench.prune()
    assert bench.uploads() == [new]
    assert (first.dropped[::-1], first.packs_deleted) == (old, 0)
    assert first.packs_waiting >= 2
    assert bench.packs() == packs
    assert first.waiting_until == bench.clock.moment + dt.timedelta(hours=24)
    assert first.bytes_freed == before - bench.size()

    bench.clock.advance(24 * HOUR - 1)
    assert bench.prune().packs_deleted == 0
    bench.clock.advance(1)
    before = bench.size()
    last = bench.prune()
    assert (last.packs_deleted, last.packs_waiting, last.waiting_until) == (first.packs_waiting, 0, None)
    assert last.bytes_freed == before - bench.size() > 400_000
    assert set(bench.packs()) < set(packs)
    assert bench.restored() == {"a": noise(200_000, 5)}
    assert bench.verify(level="data").ok


def test_what_a_kept_snapshot_shares_with_dropped_ones_stays(bench):
    kept = push_days(bench, 6)
    keep = sorted(kept)[-2:]
    for _ in range(3):
        bench.prune(keep_last=2)
        bench.clock.advance(DAY)
    assert bench.uploads() == keep[::-1]
    assert {upload: bench.restored(upload)["a"] for upload in keep} == {upload: kept[upload] for upload in keep}
    assert bench.verify(level="data").ok
    assert len(marks(bench)) <= 1


def test_a_dry_run_says_why_and_changes_nothing(bench):
    push_days(bench, 3)
    before = bench.objects()
    dry = bench.prune(keep_daily=2, keep_last=1, dry_run=True)
    assert bench.objects() == before
    assert [snapshot.reasons for snapshot in dry.snapshots] == [
        ["newest", "last 1", "daily 2026-11-25"],
        ["daily 2026-11-24"],
        [],
    ]
    real = bench.prune(keep_daily=2, keep_last=1)
    assert (real.snapshots, real.bytes_freed, real.packs_waiting) == (dry.snapshots, dry.bytes_freed, dry.packs_waiting)


def test_whole_files_go_with_their_snapshot(any_bench):
    bench = any_bench
    old = bench.push({"a": b"old"}, full_file=True).upload_id
    new = bench.push({"a": b"new"}, full_file=True).upload_id
    before = bench.size()
    assert bench.prune().bytes_freed == before - bench.size()
    there = [key for key in bench.objects() if key.startswith("systems/")]
    assert there == [f"systems/{SYSTEM}/{new}/a", f"systems/{SYSTEM}/{new}/manifest.json"]
    with pytest.raises(Exception, match="no object"):
        bench.store.head(upload_marker(SYSTEM, old))


def test_whole_files_of_a_push_that_never_committed_go_after_the_grace_period(bench):
    bench.push({"a": b"1"})
    with pytest.raises(PulledPlug):
        bench.push({"a": b"2"}, full_file=True, store=Stops(bench.store, "manifest.json"))
    assert bench.prune().strays == []
    bench.clock.advance(DAY + 1)  # its upload id was one second ahead
    before = bench.size()
    result = bench.prune()
    assert len(result.strays) == 1
    assert result.bytes_freed == before - bench.size()
    assert len([key for key in bench.objects() if key.startswith("systems/")]) == 1


def test_packs_of_a_push_that_never_committed_go_after_two_looks(bench):
    bench.push({"a": b"1"})
    with pytest.raises(PulledPlug):
        bench.push({"a": noise(MIB)}, store=Stops(bench.store, "manifest.json"))
    bench.clock.advance(30 * DAY)
    assert bench.prune().packs_waiting == 1
    bench.clock.advance(DAY)
    assert bench.prune().packs_deleted == 1
    assert bench.verify(level="data").ok


@pytest.mark.parametrize("options", [{"grace": DAY - 1}, {"grace": 0}, {"grace": -1, "no_push_running": True}])
def test_a_short_grace_period_needs_a_word(bench, options):
    bench.push({"a": b"1"})
    with pytest.raises(ConfigError, match="grace"):
        bench.prune(**options)


def test_with_that_word_everything_goes_at_once(bench):
    push_unrelated(bench)
    before = bench.size()
    result = bench.prune(grace=0, no_push_running=True)
    assert (result.packs_deleted >= 2, result.packs_waiting) == (True, 0)
    assert result.bytes_freed == before - bench.size() > 400_000
    assert bench.verify(level="data").ok


@pytest.mark.parametrize("rules", [{"keep_last": 0}, {"keep_last": -1}, {"keep_last": 0, "keep_within": -1.0}])
def test_no_rule_is_an_error(bench, rules):
    bench.push({"a": b"1"})
    with pytest.raises(ConfigError):
        bench.prune(**rules)


def test_a_store_without_a_snapshot_is_left_alone(bench):
    with pytest.raises(NothingThereError):
        bench.prune()
    key = manifest_key(SYSTEM, bench.push({"a": b"1"}).upload_id)
    bench.delete(key)
    for _ in range(3):
        with pytest.raises(NothingThereError, match="no snapshot"):
            bench.prune(grace=0, no_push_running=True)
    assert bench.packs()


def test_a_store_that_cannot_delete_is_refused(bench):
    class PushOnly:
        def __init__(self, inner: Store) -> None:
            self.url, self.get, self.head, self.put = inner.url, inner.get, inner.head, inner.put
            self.list_page = inner.list_page

    bench.push({"a": b"1"})
    with pytest.raises(CapabilityError, match="cannot delete"):
        bench.prune(store=PushOnly(bench.store))


class TestDamage:
    def test_a_kept_snapshot_that_cannot_be_read_stops_it_before_anything_is_deleted(self, bench):
        kept = push_days(bench, 3)
        middle = sorted(kept)[1]
        key = manifest_key(SYSTEM, middle)
        bench.store.put(key, flipped(bench.store.get(key), 800))
        before = bench.objects()
        with pytest.raises(DamageError, match=f"{middle} is to be kept"):
            bench.prune(keep_last=2)
        assert bench.objects() == before

    def test_so_does_a_lost_chunk_list(self, bench):
        upload = bench.push({"a": noise(1000)}).upload_id
        bench.delete(bench.own_pack(upload))
        with pytest.raises(DamageError, match="cannot be read"):
            bench.prune()

    def test_one_to_be_dropped_is_dropped_and_no_pack_deleted_for_a_day(self, bench):
        kept = push_unrelated(bench, 8)
        assert bench.prune(keep_last=2).packs_waiting > 0
        bench.clock.advance(2 * DAY)
        bench.store.put(manifest_key(SYSTEM, sorted(kept)[-2]), b"{}")
        result = bench.prune()
        assert (result.packs_deleted, result.packs_waiting > 0) == (0, True)
        assert len(bench.uploads()) == 1
        bench.clock.advance(DAY)
        assert bench.prune().packs_waiting == 0
        assert bench.verify(level="data").ok

    def test_a_mark_that_cannot_be_read_only_costs_time(self, bench):
        push_unrelated(bench)
        bench.prune()
        bench.clock.advance(DAY)
        bench.store.put(marks(bench)[0], b"}")
        assert bench.prune().packs_deleted == 0
        bench.clock.advance(DAY)
        assert bench.prune().packs_waiting == 0

    @pytest.mark.parametrize("key", [format_key(SYSTEM), prune_mark_key(SYSTEM, "20261123T071500Z-00000000")])
    def test_what_is_newer_is_refused_whole(self, bench, key):
        push_days(bench, 2)
        bench.store.put(key, b'{"format":2}')
        before = bench.objects()
        with pytest.raises(NewerFormatError):
            bench.prune()
        assert bench.objects() == before

    def test_a_snapshot_from_the_future_means_a_wrong_clock(self, bench):
        push_days(bench, 3)
        bench.clock.moment = NOW
        with pytest.raises(AkoshaSnapError, match="by this machine's clock"):
            bench.prune()


class Stops(Gone):
    """The plug is pulled at the first put of a key that contains this."""

    def put(self, key: str, data: object, *, if_absent: bool = False) -> None:
        if self._key in key:
            raise PulledPlug(key)
        super().put(key, data, if_absent=if_absent)


def pull() -> None:
    raise PulledPlug


def requests_of_prune(bench: Bench) -> int:
    counting = CountingStore(bench.store)
    bench.prune(store=counting, dry_run=True)
    return counting.requests


def test_wherever_it_is_stopped_the_store_is_whole_and_the_next_run_ends_the_work(tmp_path):
    bench, number = Bench(tmp_path), 0
    kept = push_unrelated(bench, 8)
    assert bench.prune(keep_last=3).packs_waiting
    start, then = bench.store, bench.clock.moment + dt.timedelta(days=2)
    while True:
        bench.store, bench.clock.moment = copied(start), then
        dying = RunsAt(bench.store, number, pull)
        if dying_prune(bench, dying):
            break
        left = bench.uploads()
        assert max(kept) in left
        assert bench.verify(level="data").ok
        assert all(bench.restored(upload)["a"] == kept[upload] for upload in left)
        for _ in range(2):
            bench.clock.advance(DAY)
            bench.prune()
        assert bench.uploads() == [max(kept)]
        assert bench.restored() == {"a": kept[max(kept)]}
        assert bench.prune().packs_waiting == 0
        number += 1
    assert number > 10


def dying_prune(bench: Bench, store: RunsAt) -> bool:
    """Whether the prune came to its end before the plug was pulled."""
    try:
        bench.prune(store=store)
    except PulledPlug:
        return False
    return True


def test_the_requests_of_a_prune_are_few(bench):
    push_days(bench, 4)
    recording = RecordingStore(bench.store)
    result = bench.prune(store=recording)
    assert result.requests == len(recording.seen)
    listings = [request for request in recording.seen if request.method == "list_page"]
    assert len(listings) == 4  # uploads, packs, marks twice
    assert len(recording.seen) <= 4 + 1 + 4 * 2 + 1 + 3 * 2


def test_a_prune_that_takes_too_long_drops_no_more(bench):
    push_unrelated(bench)
    slow = RunsAt(bench.store, requests_of_prune(bench), lambda: bench.clock.advance(16 * 60))
    with pytest.raises(AkoshaSnapError, match="16 minutes"):
        bench.prune(store=slow)
    assert slow.ran
    assert len(bench.uploads()) == 5
    assert bench.verify(level="data").ok
    bench.prune()
    assert len(bench.uploads()) == 1


def test_the_library_takes_a_url(tmp_path):
    bench = Bench(tmp_path)
    url = (tmp_path / "store").as_uri()
    for content in (b"1", b"2"):
        api.push(bench.write({"a": content}), url, system_id=SYSTEM, stage_in_child=False)
    result = api.prune(url, system_id=SYSTEM, keep_last=1)
    assert len(result.dropped) == 1
    assert not list(list_all(bench.store, ""))
