"""Snapshots into the real HotStore by the real, unmodified IngestionWorker."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import memory_db
import pytest

from akosha_snap import api
from akosha_snap.akosha import SnapshotStorage
from akosha_snap.akosha import __main__ as cli
from akosha_snap.config import load_settings
from akosha_snap.errors import StoreNotCreated
from akosha_snap.stores import open_store
from akosha_snap.sync import sync_in_background, sync_status

with warnings.catch_warnings():
    # What akosha 0.11 depends on still uses pydantic's json_encoders
    warnings.filterwarnings("ignore", "`json_encoders` is deprecated", DeprecationWarning, r"pydantic\.")
    pytest.importorskip("akosha")
    from akosha.ingestion.worker import IngestionWorker
    from akosha.storage import HotStore

pytestmark = pytest.mark.akosha

SYSTEM = "mac-local"


@pytest.fixture
def live(tmp_path: Path) -> Path:
    folder = tmp_path / "live"
    folder.mkdir()
    memory_db.build(folder, conversations=60)
    return folder


@pytest.fixture(params=["folder", pytest.param("seaweed", marks=pytest.mark.seaweed)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "store")
    return str(request.getfixturevalue("seaweed_url"))


@pytest.fixture
def storage(store_url: str, tmp_path: Path) -> Iterator[SnapshotStorage]:
    with_ledger = SnapshotStorage(store_url, ledger=tmp_path / "ledger.sqlite")
    yield with_ledger
    with_ledger.close()


def push(store_url: str, live: Path, system_id: str = SYSTEM) -> None:
    files = [live / memory_db.REFLECTION, live / memory_db.GRAPH]
    assert api.push(files, store_url, system_id=system_id, stage_in_child=False).upload_id


def ids(live: Path) -> dict[str, set[str]]:
    with duckdb.connect(str(live / memory_db.REFLECTION), read_only=True) as connection:
        return {
            kind: {row[0] for row in connection.execute(f"SELECT id FROM {kind}s_v2").fetchall()}
            for kind in ("conversation", "reflection")
        }


async def rows(hot_store: Any) -> list[dict[str, Any]]:
    """Everything in the hot store, by its own query."""
    return list(await hot_store.query_traces(limit=100_000))


def polled(check: Callable[[Any, Any], Any], storage: SnapshotStorage) -> None:
    """Run `check(poll, hot_store)` with a worker and a hot store of its own; `poll` is one turn of its loop."""

    async def main() -> None:
        hot_store = HotStore()
        await hot_store.initialize()
        worker = IngestionWorker(storage, hot_store)  # type: ignore[arg-type]

        async def poll() -> int:
            uploads = await worker._discover_uploads()
            if uploads:
                await worker.run(uploads)
            return len(uploads)

        try:
            await check(poll, hot_store)
        finally:
            await hot_store.close()

    asyncio.run(main())


@pytest.mark.parametrize("concurrent", ["true", "false"])
def test_every_conversation_is_there_once(
    concurrent: str, live: Path, store_url: str, storage: SnapshotStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USE_CONCURRENT_DISCOVERY", concurrent)

    async def check(poll: Any, hot_store: Any) -> None:
        for uploads in (1, 0, 0, 0):
            assert await poll() == uploads
            assert_holds(await rows(hot_store), live)
        memory_db.live_session(live, seed=1, checkpoint=False)
        push(store_url, live)
        for uploads in (1, 0, 0, 0):
            assert await poll() == uploads
            assert_holds(await rows(hot_store), live)

    push(store_url, live)
    polled(check, storage)


def assert_holds(found: list[dict[str, Any]], live: Path) -> None:
    expected = ids(live)
    by_kind: dict[str, list[str]] = {kind: [] for kind in expected}
    for row in found:
        metadata = json.loads(row["metadata"]) if isinstance(row["metadata"], str) else row["metadata"]
        assert row["system_id"] == SYSTEM
        assert metadata["source"] == SYSTEM
        by_kind[metadata["type"]].append(metadata["original_id"])
    for kind, each in by_kind.items():
        assert sorted(each) == sorted(expected[kind])


def test_text_times_and_vectors_arrive_as_they_were(live: Path, store_url: str, storage: SnapshotStorage) -> None:
    async def check(poll: Any, hot_store: Any) -> None:
        await poll()
        with duckdb.connect(str(live / memory_db.REFLECTION), read_only=True) as connection:
            query = "SELECT content, timestamp, embedding FROM conversations_v2 ORDER BY content"
            wanted = connection.execute(query).fetchall()
        query = "SELECT content, timestamp, embedding FROM conversations WHERE conversation_id LIKE '%:conversation:%'"
        assert hot_store.conn.execute(f"{query} ORDER BY content").fetchall() == wanted

    push(store_url, live)
    polled(check, storage)


def test_systems_beside_each_other_and_a_stranger(live: Path, store_url: str, storage: SnapshotStorage) -> None:
    async def check(poll: Any, hot_store: Any) -> None:
        assert await poll() == 3
        found = await rows(hot_store)
        assert {row["system_id"] for row in found} == {"a", "b", "c"}
        assert len(found) == 3 * 67
        assert await poll() == 0

    for system_id in "abc":
        push(store_url, live, system_id)
    poison = b'{"uploaded_at":"2026-11-23T07:00:00","conversation_count":1}'
    for key in ("a/20991123T080000Z-00000000", "a/theirs", "stranger/x"):
        open_store(store_url).put(f"systems/{key}/manifest.json", poison)
    polled(check, storage)


def test_the_long_lived_loop(live: Path, store_url: str, storage: SnapshotStorage) -> None:
    """`run()` itself, as an operator has it."""

    async def check(_poll: Any, hot_store: Any) -> None:
        worker = IngestionWorker(storage, hot_store, poll_interval_seconds=0)  # type: ignore[arg-type]
        running = asyncio.create_task(worker.run())
        until = time.monotonic() + 60
        while not storage.idle_polls and time.monotonic() < until:
            await asyncio.sleep(0.02)
        worker.stop()
        await asyncio.wait_for(running, 60)
        assert_holds(await rows(hot_store), live)

    push(store_url, live)
    polled(check, storage)


@pytest.mark.seaweed
def test_a_session_that_is_in_the_log_alone(
    seaweed: Any, seaweed_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is open in this very process and was never checkpointed; the end hook pushes, the worker ingests."""
    monkeypatch.setenv("AKOSHA_CLOUD_BUCKET", seaweed_bucket)
    monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", seaweed.endpoint)
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", SYSTEM)
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    path = tmp_path / memory_db.REFLECTION
    with duckdb.connect(str(path), config={"checkpoint_threshold": "1TB"}) as session:
        memory_db.session_without_checkpoint(session, conversations=20)
        assert path.stat().st_size == 12_288, "three headers"
        assert sync_in_background()
        wait_for(lambda: sync_status(load_settings(), dt.datetime.now(dt.UTC)).state == "ok")
        outsider = [sys.executable, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1])", str(path)]
        assert subprocess.run(outsider, stderr=subprocess.DEVNULL).returncode, "it is the session's own, still"
        assert path.stat().st_size == 12_288
        wanted = {row[0] for row in session.execute("SELECT id FROM conversations_v2").fetchall()}

        async def check(poll: Any, hot_store: Any) -> None:
            assert [await poll(), await poll()] == [1, 0]
            found = [json.loads(row["metadata"])["original_id"] for row in await rows(hot_store)]
            assert sorted(found) == sorted(wanted)

        storage = SnapshotStorage(open_store(f"s3://{seaweed_bucket}", endpoint=seaweed.endpoint))
        polled(check, storage)
        storage.close()


# --- python -m akosha_snap.akosha -------------------------------------------------------------------------------


def runner(
    folder: Path, *arguments: str, prefix: Sequence[str] = ("-m", "akosha_snap.akosha")
) -> subprocess.Popen[str]:
    command = [sys.executable, *prefix, "--store", str(folder / "store"), *arguments]
    env = {**os.environ, "AKOSHA_SNAP_STATE_DIR": str(folder / "state"), "HOME": str(folder)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    """What it said on stderr until its end, which comes within a minute."""
    try:
        return process.communicate(timeout=60)[1]
    finally:
        process.kill()


Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same command to its end in this process, which has Akosha imported already; returns its lines on stderr."""
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(cli, "_log_to_stderr", lambda *, verbose: None)  # the log here is pytest's

    def to_its_end(*arguments: str) -> list[str]:
        capsys.readouterr()
        cli.command.main(["--store", str(tmp_path / "store"), "--once", *arguments], standalone_mode=False)
        return capsys.readouterr().err.splitlines()

    return to_its_end


def in_the_hot_store(count: int) -> list[str]:
    """What the command says, after its first line, when so many records were handed over."""
    said = [f"akosha-snap: {count} records are in the hot store"] if count else []
    return [*said, "nothing is new any more"]


def hot_file(folder: Path) -> Path:
    return folder / "state" / "akosha" / "hot.duckdb"


def stored(folder: Path) -> int:
    with duckdb.connect(str(hot_file(folder)), read_only=True) as connection:
        return int(connection.execute("SELECT count(*) FROM conversations").fetchall()[0][0])


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.005)


def test_the_runner_is_stopped_and_goes_on(live: Path, tmp_path: Path, run: Run) -> None:
    memory_db.live_session(live, seed=1)
    push(str(tmp_path / "store"), live)
    with runner(tmp_path, "--poll", "1") as process:
        wait_for(Path(f"{hot_file(tmp_path)}.handed-over.sqlite").exists)
        time.sleep(0.7)  # it is in the middle of it
        process.send_signal(signal.SIGTERM)
        said = ended(process)
        assert process.returncode == 0, said
        assert said.endswith("stopped\n")
    run()
    assert stored(tmp_path) == 67 + 25
    assert run()[1:] == in_the_hot_store(0)


def test_killed_in_the_middle_of_handing_over(live: Path, tmp_path: Path, run: Run) -> None:
    """A real SIGKILL while Akosha inserts the records: what it had then is not inserted twice, and the rest comes."""
    for seed in range(4):
        memory_db.live_session(live, seed=seed)
    push(str(tmp_path / "store"), live)
    everything = 67 + 4 * 25
    with runner(tmp_path, "--once") as process:
        log = Path(f"{hot_file(tmp_path)}.wal")
        wait_for(lambda: log.exists() and log.stat().st_size > 20 * 384 * 4)  # some 10 to 20 records' vectors
        process.kill()
        ended(process)
    assert process.returncode == -signal.SIGKILL
    arrived = stored(tmp_path)
    assert 0 < arrived < everything, "in the middle of it"
    assert run()[1:] == in_the_hot_store(everything), "the part comes again, and Akosha has some of it"
    assert stored(tmp_path) == everything
    assert run()[1:] == in_the_hot_store(0)
    with duckdb.connect(str(hot_file(tmp_path)), read_only=True) as connection:
        query = "SELECT json_extract_string(metadata, '$.original_id') FROM conversations"
        found = [row[0] for row in connection.execute(query).fetchall()]
    assert sorted(found) == sorted(set().union(*ids(live).values())), "each once"


_KILLED = """
import os, signal, sys
from akosha_snap.akosha.ledger import Ledger
add = Ledger.add
def killed(self, ids, notes=None):
    ids = list(ids)
    if sys.argv[1] == "after" and ids:
        add(self, ids, notes)
    if ids:
        os.kill(os.getpid(), signal.SIGKILL)
Ledger.add = killed
from akosha_snap.akosha.__main__ import command
command.main(sys.argv[2:], standalone_mode=False)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_between_handing_over_and_remembering_it(moment: str, live: Path, tmp_path: Path, run: Run) -> None:
    """A real SIGKILL, when the hot store holds the first records and the ledger does not (or does) know it."""
    push(str(tmp_path / "store"), live)
    with runner(tmp_path, "--once", prefix=["-c", _KILLED, moment]) as process:
        ended(process)
    assert process.returncode == -signal.SIGKILL
    assert stored(tmp_path) == 67
    memory_db.live_session(live, seed=1)
    push(str(tmp_path / "store"), live)
    assert run()[1:] == in_the_hot_store({"before": 67 + 25, "after": 25}[moment])
    assert stored(tmp_path) == 67 + 25


def test_a_hot_store_made_anew_gets_everything(live: Path, tmp_path: Path, run: Run) -> None:
    push(str(tmp_path / "store"), live)
    for anew in (False, True):
        if anew:
            hot_file(tmp_path).unlink()
            with duckdb.connect(str(hot_file(tmp_path))):
                pass  # by somebody else
        said = run()
        assert any("this is not the hot store" in line for line in said) is anew
        assert stored(tmp_path) == 67


@pytest.mark.parametrize("verbose", [False, True])
def test_a_damaged_snapshot_is_a_line_and_an_exit_code(verbose: bool, live: Path, tmp_path: Path) -> None:
    push(str(tmp_path / "store"), live)
    for pack in (tmp_path / "store" / "akosha-snap").glob("*/packs/*/*"):
        pack.write_bytes(bytes(pack.stat().st_size))
    with runner(tmp_path, "--once", "--hot-store", "memory", *(["--verbose"] if verbose else [])) as process:
        said = ended(process)
    assert process.returncode == 4, said
    assert "akosha.ingestion.worker: Failed to process upload" in said
    assert "is passed over: " in said
    assert ("Traceback" in said) is verbose
    assert verbose or all(line.startswith(("akosha", "ingesting")) for line in said.splitlines())


@pytest.mark.parametrize("hot_store", ["memory", "akosha"])
def test_a_hot_store_in_memory_gets_everything_each_time(hot_store: str, live: Path, tmp_path: Path, run: Run) -> None:
    push(str(tmp_path / "store"), live)
    for _ in range(2):
        assert run("--hot-store", hot_store)[1:] == in_the_hot_store(67)


def test_the_runner_says_what_is_wrong(live: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(StoreNotCreated, match="a push creates the store") as caught:
        run()
    assert caught.value.exit_code == 10
    push(str(tmp_path / "store"), live)
    with runner(tmp_path, "--poll", "1") as first:
        assert first.stderr
        while "in the hot store" not in (line := first.stderr.readline()):
            assert line, "it ended"
        with runner(tmp_path, "--once") as second:
            said = ended(second)
        first.kill()
    assert second.returncode == 11, said
    assert "one process alone can have it open" in said
