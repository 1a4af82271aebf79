"""A sync from the process that has the databases open: by a child, that outlives it, to a real S3 server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from memory_db import GRAPH, REFLECTION, build

import akosha_snap
from akosha_snap.config import load_settings
from akosha_snap.errors import ConfigError, CredentialsError, NothingThereError
from akosha_snap.sync import (
    AkoshaSync,
    CloudMemoryUploader,
    HybridAkoshaSync,
    cloud_available,
    http_available,
    sync_in_background,
    sync_status,
    sync_to_akosha,
)
from akosha_snap.sync.process import start
from akosha_snap.sync.status import SyncStatus
from akosha_snap.sync.wire import SyncRequest

pytestmark = pytest.mark.seaweed

TOKEN = "tok-hunter2"
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    build(tmp_path, conversations=20)
    return tmp_path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, memory: Path) -> None:
    """The settings of a user without a store, with an Akosha that is down."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AKOSHA_URL", f"http://127.0.0.1:{free.getsockname()[1]}/mcp")
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(memory))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(memory / "state"))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "laptop")
    monkeypatch.setenv("AKOSHA_API_TOKEN", TOKEN)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, seaweed_bucket: str, seaweed: Any) -> str:
    """The same user with a bucket on SeaweedFS; returns its store's URL."""
    monkeypatch.setenv("AKOSHA_CLOUD_BUCKET", seaweed_bucket)
    monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", seaweed.endpoint)
    return f"s3://{seaweed_bucket}?endpoint={seaweed.endpoint}"


@pytest.fixture
def session(memory: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both databases open here for writing, the last conversation in a WAL."""
    with duckdb.connect(str(memory / REFLECTION)) as reflection, duckdb.connect(str(memory / GRAPH)):
        _say(reflection, "said just now")
        yield reflection


def _say(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    connection.execute(
        "INSERT INTO conversations_v2 (id, content, category, timestamp) VALUES (?, ?, 'x', now()::TIMESTAMP)",
        [text, text],
    )


def _status() -> SyncStatus:
    import datetime as dt

    return sync_status(load_settings(), dt.datetime.now(dt.UTC))


def _wait(state: str, seconds: float = 30.0) -> SyncStatus:
    deadline = time.monotonic() + seconds
    while (found := _status()).state != state and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found.state == state, found
    return found


def _conversations(store: str, into: Path) -> set[str]:
    akosha_snap.restore(store, system_id="laptop", to=into)
    with duckdb.connect(str(into / REFLECTION), read_only=True) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM conversations_v2").fetchall()}


def _another_process_can_write(path: Path) -> bool:
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True).returncode == 0


def _all_text(folder: Path) -> str:
    return "".join(path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


def test_an_open_database_is_pushed_and_stays_locked(bucket, session, memory) -> None:
    result = asyncio.run(sync_to_akosha())
    assert (result["method"], result["success"], result["error"]) == ("cloud", True, None)
    assert result["files_uploaded"][-1] == f"systems/laptop/{result['upload_id']}/manifest.json"
    assert result["bytes_transferred"] > 0
    assert not _another_process_can_write(memory / REFLECTION)
    assert "said just now" in _conversations(bucket, memory / "back")
    found = _status()
    assert found.state == "ok"
    assert found.last is not None
    assert found.last.result.upload_id == result["upload_id"]
    again = asyncio.run(sync_to_akosha(method="cloud", enable_fallback=False))
    assert (again["unchanged"], again["upload_id"], again["files_uploaded"]) == (True, result["upload_id"], [])


def test_in_background_it_takes_a_moment_and_outlives_its_parent(bucket, memory) -> None:
    code = """
        import duckdb, os, sys, time
        from akosha_snap.sync import sync_in_background
        connection = duckdb.connect(sys.argv[1])
        connection.execute("INSERT INTO conversations_v2 (id, content, category) VALUES ('last', 'word', 'x')")
        before = time.perf_counter()
        started = sync_in_background()
        print(started, time.perf_counter() - before, flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(memory / REFLECTION)], stdout=subprocess.PIPE, text=True
    )
    started, took = done.stdout.split()
    assert started == "True"
    assert float(took) < 0.05
    found = _wait("ok")
    assert found.last is not None
    assert found.last.result.triggered_by == "session_end"
    assert "last" in _conversations(bucket, memory / "back")


def test_a_loop_that_ends_at_once_is_not_held_up(bucket, session, memory) -> None:
    async def session_end() -> None:
        task = asyncio.create_task(sync_to_akosha())  # fire and forget, as Session-Buddy does
        await asyncio.sleep(0.05)
        assert not task.done()

    before = time.perf_counter()
    asyncio.run(session_end())
    assert time.perf_counter() - before < 1
    assert _wait("ok").last_success is not None
    assert "said just now" in _conversations(bucket, memory / "back")


def test_two_sessions_that_end_at_once(bucket, session, memory) -> None:
    assert sync_in_background()
    assert sync_in_background()
    log = memory / "state" / "sync.log"
    deadline = time.monotonic() + 30
    while (not log.exists() or log.read_text().count("done by cloud") < 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    first, second = (line for line in log.read_text().splitlines() if "done by cloud" in line)
    assert ": snapshot " in first
    assert ": nothing has changed since snapshot " in second
    assert _wait("ok")


def test_no_store_and_no_akosha_is_said_and_nothing_is_raised(session) -> None:
    result = asyncio.run(sync_to_akosha())
    assert (result["method"], result["success"], result["files_uploaded"]) == ("none", False, [])
    assert result["error"].startswith("nothing to sync to: no store is configured and Akosha does not answer at http")
    assert _status().state == "failed"
    with pytest.raises(NothingThereError, match="nothing to sync to"):
        asyncio.run(HybridAkoshaSync().sync_memories())


def test_a_store_that_refuses_us(bucket, session, monkeypatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for method, fallback in [("auto", False), ("auto", True), ("cloud", True)]:
        result = asyncio.run(sync_to_akosha(method, fallback))  # type: ignore[arg-type]
        assert (result["method"], result["success"]) == ("none", False)
        assert "refuse" in result["error"]
    with pytest.raises(CredentialsError):
        asyncio.run(CloudMemoryUploader().upload_memories())
    last = _status().last
    assert last is not None
    assert last.failure is not None
    assert last.failure.exit_code == 12


def test_the_end_of_a_session_can_be_told_not_to(bucket, session, memory, monkeypatch) -> None:
    monkeypatch.setenv("AKOSHA_UPLOAD_ON_SESSION_END", "false")
    assert sync_in_background()
    deadline = time.monotonic() + 30
    log = memory / "state" / "sync.log"
    while not (log.exists() and "upload_on_session_end is off" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "upload_on_session_end is off" in log.read_text()
    assert _status().state == "never"
    assert asyncio.run(sync_to_akosha())["success"] is True  # asked for, not the end of a session


def test_settings_that_cannot_be_right(session, memory, monkeypatch) -> None:
    monkeypatch.setenv("AKOSHA_ENABLE_FALLBACK", "perhaps")
    result = asyncio.run(sync_to_akosha())
    assert (result["success"], "AKOSHA_ENABLE_FALLBACK is neither" in result["error"]) == (False, True)
    with pytest.raises(ConfigError, match="AKOSHA_ENABLE_FALLBACK"):
        asyncio.run(HybridAkoshaSync().sync_memories())
    monkeypatch.delenv("AKOSHA_ENABLE_FALLBACK")
    assert _status().state == "failed"


def test_a_state_folder_that_cannot_be_used_stops_no_sync(bucket, session, memory, monkeypatch) -> None:
    (memory / "file").touch()
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(memory / "file"))
    result = asyncio.run(sync_to_akosha())
    assert (result["method"], result["success"]) == ("cloud", True)
    assert "cannot be remembered" in result["warnings"][-1]


def test_one_memory_alone(bucket, session, memory) -> None:
    result = asyncio.run(CloudMemoryUploader().upload_memories(upload_knowledge_graph=False))
    assert [file["name"] for file in result["files"]] == [REFLECTION, f"{REFLECTION}.wal"]
    result = asyncio.run(HybridAkoshaSync().sync_memories("auto", False, True))
    assert [file["name"] for file in result["files"]] == [GRAPH]
    with pytest.raises(NothingThereError, match="neither memory was asked for"):
        asyncio.run(HybridAkoshaSync().sync_memories("auto", False, False))


def test_given_settings_come_first(bucket, session, memory, tmp_path) -> None:
    folder = tmp_path / "folder"
    sync = HybridAkoshaSync(store=folder, system_id="other", allow_insecure_http=True)  # type: ignore[arg-type]
    result = asyncio.run(sync.sync_memories())
    assert (result["store"], result["system_id"]) == (folder.as_uri(), "other")
    assert (folder / "systems" / "other").is_dir()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"store": 7}, "the argument store is neither text nor a path of text"),
        ({"store": Path}, "the argument store is neither"),
        ({"enable_fallback": "no"}, "the argument enable_fallback is neither true nor false"),
        ({"allow_insecure_http": "no"}, "the argument allow_insecure_http is neither true nor false"),
        ({"bucket": "x"}, "there is no setting 'bucket'"),
    ],
)
def test_given_settings_that_are_none(given: Any, said: str) -> None:
    for kind in (HybridAkoshaSync, CloudMemoryUploader):
        with pytest.raises(ConfigError, match=said):
            kind(**given)


def test_a_setting_of_the_host_that_cannot_be_right_is_said(session, memory, tmp_path) -> None:
    from types import SimpleNamespace

    host = SimpleNamespace(akosha_force_method="fax", akosha_cloud_bucket=(tmp_path / "folder").as_uri())
    word = "force_method of the host program is not one of auto, cloud, http: it counts as not set"
    result = asyncio.run(sync_to_akosha(settings=host))
    assert (result["success"], result["warnings"]) == (True, [word])
    assert f"warning: {word}" in (memory / "state" / "sync.log").read_text()
    host.akosha_cloud_bucket = None
    assert asyncio.run(sync_to_akosha(settings=host))["warnings"] == [word], "of a sync that fails, too"
    assert asyncio.run(HybridAkoshaSync(host, store=tmp_path / "b").sync_memories())["warnings"] == [word]


def test_the_old_name_warns_and_takes_http_alone(bucket, session) -> None:
    with pytest.warns(DeprecationWarning, match="HybridAkoshaSync"):
        sync = AkoshaSync(object())
    with pytest.raises(akosha_snap.AkoshaSnapError):
        asyncio.run(sync.sync_memories())


@posix
def test_a_killed_sync_is_noticed(seaweed_credentials, session, memory, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AKOSHA_SNAP_STORE", f"s3://bucket?endpoint=http://127.0.0.1:{silent.getsockname()[1]}")
        process = start(SyncRequest(), reply=False)
        _wait("running")
        process.send_signal(signal.SIGKILL)
        _wait("killed")
    deadline = time.monotonic() + 5
    while process.returncode is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL  # waited for: no zombie


@posix
def test_a_process_that_dies_without_a_word(session, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    result = asyncio.run(sync_to_akosha())
    assert result["success"] is False
    assert "ended with code 1 and did not say how it went" in result["error"]
    assert sync_in_background() is True
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "cannot be started" in asyncio.run(sync_to_akosha())["error"]
    assert sync_in_background() is False


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_a_token_shows_nowhere(seaweed_credentials, session, memory, monkeypatch) -> None:
    monkeypatch.delenv("AKOSHA_API_TOKEN")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AKOSHA_SNAP_STORE", f"s3://bucket?endpoint=http://127.0.0.1:{silent.getsockname()[1]}")
        process = start(SyncRequest(flags={"api_token": TOKEN}), reply=False)
        _wait("running")
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes() + Path(f"/proc/{process.pid}/environ").read_bytes()
        process.kill()
    assert TOKEN.encode() not in seen
    assert TOKEN not in _all_text(memory / "state")
    result = asyncio.run(HybridAkoshaSync(api_token=TOKEN, store=str(memory / "folder")).sync_memories())
    assert TOKEN not in str(result) + _all_text(memory / "state")
    bad = asyncio.run(sync_to_akosha())
    assert TOKEN not in str(bad)


def test_availability(bucket, monkeypatch) -> None:
    assert cloud_available(load_settings())
    assert not http_available(load_settings())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert not cloud_available(load_settings())
    monkeypatch.delenv("AKOSHA_CLOUD_BUCKET")
    assert not cloud_available(load_settings())
    assert cloud_available(load_settings(store="/tmp/no/such/store"))
    assert not cloud_available(load_settings(store="s3://not a url"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        before = time.monotonic()
        assert not cloud_available(load_settings(store=f"s3://bucket?endpoint={url}"))
        assert not http_available(load_settings(akosha_url=f"{url}/mcp"))
        assert time.monotonic() - before < 3
