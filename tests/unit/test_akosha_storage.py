"""The storage adapter, asked as Akosha's worker asks (ingestion/worker.py); the real one is in tests/contract."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import memory_db
import pytest
from helpers import NOW, prose

from akosha_snap import api
from akosha_snap.akosha import SnapshotStorage, handover, storage
from akosha_snap.errors import ConfigError, DamageError, NewerFormatError, TransientStoreError
from akosha_snap.stores import CountingStore, DirectoryStore, MemoryStore, Store

SYSTEM = "mac-local"


class Worker:
    """Polls as IngestionWorker does: discovers, then takes every upload. `seen` is what the hot store has."""

    def __init__(self, adapter: SnapshotStorage) -> None:
        self.adapter = adapter
        self.seen: dict[str, dict[str, Any]] = {}
        self.twice: list[str] = []
        self.uploads: list[str] = []

    def discover(self) -> list[str]:
        async def prefixes() -> list[str]:
            found = []
            for system in [each async for each in self.adapter.list("systems/")]:
                assert system.endswith("/")
                found += [each async for each in self.adapter.list(system) if each.endswith("/")]
            return [each for each in found if await self.adapter.download(f"{each}manifest.json")]

        return asyncio.run(prefixes())

    def take(self, prefix: str) -> list[dict[str, Any]]:
        data = asyncio.run(self.adapter.get(f"{prefix}/memories.json"))
        assert data is not None
        return list(json.loads(data)["conversations"])

    def poll(self) -> int:
        """One poll; returns how many new records it brought."""
        before = len(self.seen)
        for prefix in self.discover():
            self.uploads.append(prefix)
            for conversation in self.take(prefix):
                if conversation["id"] in self.seen:
                    self.twice.append(conversation["id"])
                self.seen[conversation["id"]] = conversation
        return len(self.seen) - before


@pytest.fixture
def live(tmp_path: Path) -> Path:
    folder = tmp_path / "live"
    folder.mkdir()
    memory_db.build(folder, conversations=40)
    return folder


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(ledger: Path, said: list[str]) -> Iterator[Any]:
    made: list[SnapshotStorage] = []

    def adapter(store: Store, **options: Any) -> Worker:
        while made:
            made.pop().close()
        options = {"ledger": ledger, "now": lambda: NOW + dt.timedelta(minutes=1), "report": said.append, **options}
        made.append(SnapshotStorage(store, **options))
        return Worker(made[-1])

    yield adapter
    for each in made:
        each.close()


def push(store: Store, folder: Path, *, system_id: str = SYSTEM, now: dt.datetime = NOW, **options: Any) -> str:
    paths = sorted(path for path in folder.iterdir() if path.suffix != ".wal")
    for path in folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    result = api.push(paths, store, system_id=system_id, stage_in_child=False, now=lambda: now, **options)
    assert result.upload_id
    return result.upload_id


def test_a_memory_is_handed_over_once(live: Path, make: Any) -> None:
    store = MemoryStore()
    upload = push(store, live)
    worker = make(store)
    assert worker.poll() == 45
    assert worker.uploads == [f"systems/{SYSTEM}/{upload}/"]
    assert [worker.poll() for _ in range(3)] == [0, 0, 0]
    assert worker.uploads == [f"systems/{SYSTEM}/{upload}/"]
    kinds = [record["metadata"]["type"] for record in worker.seen.values()]
    assert (kinds.count("conversation"), kinds.count("reflection")) == (40, 5)
    for key, record in worker.seen.items():
        assert key.startswith(f"{SYSTEM}:{record['metadata']['type']}:{record['metadata']['original_id']}:")
        assert len(record["embedding"]) == 384
        assert dt.datetime.fromisoformat(record["timestamp"]).tzinfo is None
        assert record["source"] == SYSTEM


def test_after_a_second_session_only_what_is_new(live: Path, make: Any) -> None:
    store = MemoryStore()
    push(store, live)
    worker = make(store)
    worker.poll()
    memory_db.live_session(live, seed=1, checkpoint=False)  # in the WAL
    push(store, live)
    assert [worker.poll() for _ in range(3)] == [25, 0, 0]
    assert worker.twice == []
    assert make(store).poll() == 0, "another process goes on from there"


def test_a_poll_costs_one_request_when_nothing_is_new(live: Path, make: Any) -> None:
    bare = MemoryStore()
    for number in range(3):
        push(bare, live, system_id=f"s{number}")
    counting = CountingStore(bare)
    worker = make(counting)
    assert worker.poll() == 3 * 45
    worker.poll()
    before = counting.requests
    assert worker.poll() == 0
    assert counting.requests == before + 1


def test_only_the_newest_of_several(live: Path, make: Any) -> None:
    store = MemoryStore()
    push(store, live)
    memory_db.live_session(live, seed=1)
    newest = push(store, live)
    worker = make(store)
    assert worker.poll() == 70
    assert worker.uploads == [f"systems/{SYSTEM}/{newest}/"]


def test_more_systems_and_uploads_than_a_page_of_a_listing_holds(live: Path, make: Any) -> None:
    store = MemoryStore(page_size=4)
    (live / memory_db.GRAPH).unlink()
    for number in range(6):
        push(store, live, system_id=f"s{number:02d}")
    assert make(store).poll() == 6 * 45


def test_replay_hands_everything_over_again(live: Path, make: Any) -> None:
    store = MemoryStore()
    push(store, live)
    worker = make(store)
    assert [worker.poll(), worker.poll()] == [45, 0]
    assert make(store).poll() == 0
    assert make(store, replay=True).poll() == 45


def test_without_a_ledger_nothing_outlives_the_adapter(live: Path, make: Any) -> None:
    store = MemoryStore()
    push(store, live)
    worker = make(store, ledger=None)
    assert [worker.poll(), worker.poll()] == [45, 0]
    assert make(store, ledger=None).poll() == 45


def test_a_crash_before_the_worker_was_done_loses_nothing(live: Path, make: Any) -> None:
    store = MemoryStore()
    push(store, live)
    worker = make(store)
    (prefix,) = worker.discover()
    first = worker.take(prefix)
    assert worker.take(prefix) == first, "asked again before it is acknowledged, it is the same"
    again = make(store)  # the process died; another starts
    assert again.poll() == 45
    again.poll()
    assert make(store).poll() == 0


def test_settle_acknowledges_without_a_poll(live: Path, make: Any) -> None:
    store = MemoryStore()
    push(store, live)
    worker = make(store)
    worker.poll()
    asyncio.run(worker.adapter.settle())
    assert make(store).poll() == 0


def test_large_memories_come_in_parts(live: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PART_RECORDS", 10)
    store = MemoryStore()
    push(store, live)
    worker = make(store)
    assert [worker.poll() for _ in range(6)] == [10, 10, 10, 10, 5, 0]
    assert worker.twice == []
    worker = make(store, replay=True)
    assert [worker.poll(), worker.poll()] == [10, 10]
    assert [make(store).poll() for _ in range(1)] == [10], "the second part was not acknowledged"


def test_parts_are_limited_in_bytes_too(live: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PART_BYTES", 30_000)
    with duckdb.connect(str(live / memory_db.REFLECTION)) as connection:
        connection.execute("UPDATE conversations_v2 SET content = repeat('x', 100000) WHERE content LIKE 'a%'")
    store = MemoryStore()
    push(store, live)
    worker = make(store)
    brought = [worker.poll() for _ in range(60)]
    assert sum(brought) == 45
    assert max(brought) <= 7


def test_a_newer_snapshot_takes_over_half_way(live: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PART_RECORDS", 30)
    store = MemoryStore()
    push(store, live)
    worker = make(store)
    assert worker.poll() == 30
    memory_db.live_session(live, seed=1)
    push(store, live)
    assert [worker.poll() for _ in range(4)] == [30, 10, 0, 0]
    assert worker.twice == []


def test_few_snapshots_are_restored_at_a_time(live: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PART_RECORDS", 30)
    monkeypatch.setattr(storage, "MAX_OPEN", 2)
    store = MemoryStore()
    for number in range(4):
        push(store, live, system_id=f"s{number}")
    worker = make(store)
    assert [worker.poll() for _ in range(5)] == [60, 30 + 60, 30, 0, 0] or len(worker.seen) == 180
    assert worker.twice == []


def test_no_more_than_so_many_bytes_a_poll(live: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "POLL_BYTES", 1)
    store = MemoryStore()
    for number in range(3):
        push(store, live, system_id=f"s{number}")
    worker = make(store)
    assert [worker.poll() for _ in range(4)] == [45, 45, 45, 0]


# --- confirmation -----------------------------------------------------------------------------------------------


def test_what_did_not_arrive_comes_again(live: Path, make: Any, said: list[str]) -> None:
    store = MemoryStore()
    push(store, live)
    lost: set[str] = set()

    async def confirm(ids: Any) -> set[str]:
        if not lost:
            lost.update(list(ids)[:7])
            return set(ids) - lost
        return set(ids)

    worker = make(store, confirm=confirm)
    assert worker.poll() == 45
    worker.poll()
    assert set(worker.twice) == lost
    worker.poll()
    assert make(store).poll() == 0
    assert said == []


def test_what_never_arrives_is_reported_and_not_tried_for_ever(live: Path, make: Any, said: list[str]) -> None:
    store = MemoryStore()
    push(store, live)

    async def confirm(ids: Any) -> set[str]:
        return {each for each in ids if ":reflection:" not in each}

    worker = make(store, confirm=confirm)
    for _ in range(6):
        worker.poll()
    assert len(worker.twice) == 2 * 5
    assert len(said) == 1
    assert "5 records" in said[0]


# --- strangers and damage ---------------------------------------------------------------------------------------

POISON = [
    b"[]", b"{", b"null", b"\xff", b"",
    b'{"uploaded_at":"2026-11-23T07:00:00","conversation_count":1}',
    b'{"uploaded_at":"2026-11-23T07:00:00Z","conversation_count":1,"metadata":{"akosha_snap":{"format":1}}}',
]  # fmt: skip


@pytest.mark.parametrize("poison", POISON)
def test_a_stranger_hides_nobody(live: Path, make: Any, said: list[str], poison: bytes) -> None:
    store = MemoryStore()
    push(store, live)
    for key in (f"{SYSTEM}/20261123T080000Z-00000000", f"{SYSTEM}/theirs", "other/20261123T080000Z-00000000"):
        store.put(f"systems/{key}/manifest.json", poison)
    store.put("systems/no.such.id/x/manifest.json", poison)
    store.put("systems/readme.txt", b"hello")
    worker = make(store)
    assert [worker.poll() for _ in range(3)] == [45, 0, 0]
    assert len(said) == 3, "each is reported once"
    prefix = f"systems/{SYSTEM}/20261123T080000Z-00000000/"
    assert asyncio.run(worker.adapter.download(f"{prefix}manifest.json")) is None
    assert asyncio.run(worker.adapter.get(f"{prefix}/memories.json")) is None


def test_a_newer_format_is_passed_over(live: Path, make: Any, said: list[str]) -> None:
    store = MemoryStore()
    upload = push(store, live)
    manifest = json.loads(store.get(f"systems/{SYSTEM}/{upload}/manifest.json"))
    manifest["metadata"]["akosha_snap"]["format"] = 99
    store.put(f"systems/{SYSTEM}/20261123T080000Z-00000000/manifest.json", json.dumps(manifest).encode())
    assert make(store).poll() == 45
    assert len(said) == 1


def test_a_damaged_snapshot_gives_way_to_the_one_before(live: Path, make: Any, said: list[str]) -> None:
    store = MemoryStore()
    push(store, live)
    before = set(store._objects)
    memory_db.live_session(live, seed=1)
    damaged = push(store, live)
    for key in set(store._objects) - before:
        if "/packs/" in key:
            store._objects[key] = bytes(len(store._objects[key]))
    worker = make(store)
    (prefix,) = worker.discover()
    assert damaged in prefix
    with pytest.raises(DamageError):
        worker.take(prefix)
    assert worker.poll() == 45
    assert worker.poll() == 0
    assert len(said) == 1


def test_a_clock_ahead_waits_and_a_year_is_too_old(live: Path, make: Any, said: list[str]) -> None:
    store = MemoryStore()
    push(store, live)
    memory_db.live_session(live, seed=1)
    push(store, live, now=NOW + dt.timedelta(minutes=10))
    clock = [NOW]
    worker = make(store, now=lambda: clock[0])
    assert [worker.poll(), worker.poll()] == [45, 0]
    assert "from the future" in said[0]
    clock[0] = NOW + dt.timedelta(minutes=6)
    assert worker.poll() == 25
    push(store, live, system_id="old", now=NOW - dt.timedelta(days=366))
    assert worker.poll() == 0
    assert "over a year old" in said[1]
    push(store, live, system_id="old")
    assert worker.poll() == 70, "the push of the same content brought a fresh manifest"


def test_a_store_that_cannot_answer(live: Path, make: Any, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("akosha_snap.stores.retry.FIRST_WAIT", 0.001)
    failing: list[str] = []

    class Failing(MemoryStore):
        def get(self, key: str, **options: Any) -> bytes:
            if any(part in key for part in failing):
                raise TransientStoreError("no answer")
            return super().get(key, **options)

        def list_page(self, prefix: str, **options: Any) -> Any:
            if "list" in failing:
                raise TransientStoreError("no answer")
            return super().list_page(prefix, **options)

    store = Failing()
    push(store, live, system_id="a")
    push(store, live, system_id="b")
    worker = make(store)
    failing.append("systems/a/")
    assert worker.poll() == 45
    assert "of system a waits: no answer" in said[0]
    failing[:] = ["akosha-snap/a/packs"]
    with pytest.raises(TransientStoreError):
        worker.poll()
    assert isinstance(worker.adapter.upload_failure, TransientStoreError), "of the poll before"
    failing[:] = ["list"]
    with pytest.raises(TransientStoreError):
        worker.poll()
    failing.clear()
    assert worker.poll() == 45
    worker.poll()
    assert worker.adapter.upload_failure is None


@pytest.mark.parametrize("harm", ["{", "newer"])
def test_a_manifest_that_cannot_be_read_is_a_failure_too(live: Path, make: Any, harm: str) -> None:
    store = MemoryStore()
    upload = push(store, live)
    manifest = json.loads(store.get(f"systems/{SYSTEM}/{upload}/manifest.json"))
    manifest["metadata"]["akosha_snap"]["format"] = 99
    data = json.dumps(manifest) if harm == "newer" else harm
    store.put(f"systems/{SYSTEM}/20261123T080000Z-00000000/manifest.json", data.encode())
    worker = make(store)
    assert [worker.poll(), worker.poll()] == [45, 0], "the one before serves"
    assert isinstance(worker.adapter.upload_failure, NewerFormatError if harm == "newer" else DamageError)
    assert worker.poll() == 0
    assert worker.adapter.upload_failure is not None, "it is not forgotten"


# --- the objects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full_file", [False, True])
def test_files_by_their_pointers(live: Path, make: Any, said: list[str], tmp_path: Path, full_file: bool) -> None:
    store = DirectoryStore(tmp_path / "store")
    (live / "notes é.txt").write_bytes(prose(3000))
    memory_db.live_session(live, seed=1, checkpoint=False)
    upload = push(store, live, full_file=full_file)
    adapter = make(store).adapter
    manifest = json.loads(asyncio.run(adapter.download(f"systems/{SYSTEM}/{upload}/manifest.json")))
    entries = manifest["metadata"]["akosha_snap"]["files"]
    assert len(entries) == 5
    for entry in entries:
        data = asyncio.run(adapter.download(entry["full_file"]["uri"]))
        assert data == (live / entry["name"]).read_bytes()
    if full_file:
        stored = tmp_path / "store" / entries[0]["full_file"]["uri"]
        whole = stored.read_bytes()
        assert said == []
        for harm in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:1000], b"", whole + b"x", None):
            stored.unlink()
            if harm is not None:
                stored.write_bytes(harm)
            data = asyncio.run(adapter.download(entries[0]["full_file"]["uri"]))
            assert data == whole, "rebuilt, or cut to what it should be"
        assert len(said) == 1, "and reported once"


@pytest.mark.parametrize(
    "key",
    [
        "", "systems/", f"systems/{SYSTEM}/", f"systems/{SYSTEM}/x/manifest.json", "akosha-snap/format.json",
        f"systems/{SYSTEM}/20261123T080000Z-00000000/manifest.json", "systems/../a/b", "systems/a/b/c/d",
        f"systems/{SYSTEM}/20261123T080000Z-00000000/memories.json",
    ],
)  # fmt: skip
def test_what_is_not_there_is_none(live: Path, make: Any, key: str) -> None:
    store = MemoryStore()
    push(store, live)
    adapter = make(store).adapter
    assert asyncio.run(adapter.download(key)) is None
    assert asyncio.run(adapter.get(key)) is None


def test_listings(live: Path, make: Any) -> None:
    store = MemoryStore()
    upload = push(store, live)
    worker = make(store)
    prefix = f"systems/{SYSTEM}/{upload}/"

    async def listed(of: str) -> list[str]:
        return [each async for each in worker.adapter.list(of)]

    assert asyncio.run(listed(f"systems/{SYSTEM}/")) == [prefix], "even without a poll before"
    assert asyncio.run(listed("systems/")) == [f"systems/{SYSTEM}/"]
    assert asyncio.run(listed(prefix)) == [
        f"{prefix}{name}" for name in ("manifest.json", "memories.json", "knowledge_graph.duckdb", "reflection.duckdb")
    ]
    assert asyncio.run(listed("systems/other/")) == []


def test_memories_json_with_one_slash_and_of_an_older_upload(live: Path, make: Any) -> None:
    store = MemoryStore()
    older = push(store, live)
    memory_db.live_session(live, seed=1)
    push(store, live)
    adapter = make(store).adapter
    data = asyncio.run(adapter.get(f"systems/{SYSTEM}/{older}/memories.json"))
    assert len(json.loads(data)["conversations"]) == 45


def test_the_kinds_and_the_policy(live: Path, make: Any, ledger: Path) -> None:
    with duckdb.connect(str(live / memory_db.REFLECTION)) as connection:
        connection.execute("UPDATE reflections_v2 SET embedding = NULL")
    store = MemoryStore()
    push(store, live)
    worker = make(store, embedding="skip")
    assert [worker.poll(), worker.poll()] == [40, 0]
    assert make(store, embedding="zero").poll() == 5, "what was passed over, though that snapshot was done"
    assert make(store, replay=True, kinds=["conversation", "entity"]).poll() == 80
    with pytest.raises(ConfigError, match="embedding policy"):
        SnapshotStorage(store, embedding="none")  # type: ignore[arg-type]


def test_a_snapshot_without_databases(make: Any, tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "notes.txt").write_bytes(prose(3000))
    store = MemoryStore()
    push(store, tmp_path / "live")
    worker = make(store)
    assert [worker.poll(), worker.poll()] == [0, 0]
    assert len(worker.uploads) == 1


def test_nothing_is_left_behind(live: Path, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PART_RECORDS", 10)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    store = MemoryStore()
    push(store, live)
    worker = make(store, scratch=scratch)
    worker.poll()
    assert len(list(scratch.iterdir())) == 1
    worker.adapter.close()
    assert list(scratch.iterdir()) == []


def test_an_empty_store(make: Any, tmp_path: Path) -> None:
    assert make(MemoryStore()).poll() == 0
