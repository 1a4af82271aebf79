"""The whole way, nothing mocked: Session-Buddy ends a session, and Akosha has its memories, each once."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from akosha_server import AkoshaServer
from seaweed import running_seaweed

from akosha_snap.akosha import SnapshotStorage
from akosha_snap.config import load_settings
from akosha_snap.stores import open_store
from akosha_snap.sync import SyncStatus, sync_status

pytest.importorskip("akosha")
pytest.importorskip("session_buddy")

pytestmark = [pytest.mark.akosha, pytest.mark.seaweed, pytest.mark.filterwarnings("ignore")]

SCRIPT = Path(__file__).parents[1] / "session_buddy_session.py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "laptop")
    monkeypatch.setenv("AKOSHA_URL", "http://127.0.0.1:9/mcp")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):  # nothing is downloaded
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "project").mkdir()
    return tmp_path


def _session(home: Path, name: str, count: int) -> set[str]:
    """One whole session, whose end pushes while all of it is in the database's log; returns the texts it stored."""
    command = [sys.executable, str(SCRIPT), name, str(count)]
    with (home / "session-buddy.log").open("ab") as log:
        done = subprocess.run(command, cwd=home / "project", stdout=subprocess.PIPE, stderr=log, timeout=180)
    assert done.returncode == 0, (home / "session-buddy.log").read_text()[-3000:]
    result = json.loads(done.stdout)
    assert Path(result["path"]) == home / ".claude" / "data" / "reflection.duckdb"
    assert result["in_the_log"] > 10_000
    assert (result["in_the_file"] == 12_288) is (name == "first"), "three headers and no more"
    return set(result["texts"])


def _status() -> SyncStatus:
    status = sync_status(load_settings(), dt.datetime.now(dt.UTC))
    assert status.state == "ok", status
    return status


def _sent() -> dict[str, Any]:
    """What the last sync sent by HTTP."""
    last = _status().last
    assert last is not None
    assert last.result.http is not None
    return {name: getattr(last.result.http, name) for name in ("stored", "duplicates", "failed", "sent")}


def _in_the_database(home: Path) -> dict[str, int]:
    """Every conversation and reflection in Session-Buddy's own database: its text, and how often."""
    import duckdb

    counted: dict[str, int] = {}
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{home / '.claude' / 'data' / 'reflection.duckdb'}' AS theirs (READ_ONLY)")
        for table in ("conversations", "conversations_v2", "reflections", "reflections_v2"):
            for (text,) in connection.execute(f"SELECT content FROM theirs.{table}").fetchall():
                counted[text] = counted.get(text, 0) + 1
    return counted


def test_by_cloud_and_by_http(home, server: AkoshaServer, monkeypatch) -> None:
    from akosha.ingestion.worker import IngestionWorker
    from akosha.storage.hot_store import HotStore

    bucket = f"memories-{uuid.uuid4().hex[:8]}"

    async def by_cloud(endpoint: str) -> None:
        hot = HotStore()
        await hot.initialize()
        storage = SnapshotStorage(open_store(f"s3://{bucket}", endpoint=endpoint), ledger=home / "ledger.sqlite")
        worker = IngestionWorker(storage, hot, poll_interval_seconds=1)

        async def poll() -> None:
            await worker.run(await worker._discover_uploads())

        def held() -> dict[str, int]:
            assert hot.conn is not None
            rows = hot.conn.execute("SELECT content, count(*) FROM conversations GROUP BY content").fetchall()
            return {str(text): int(count) for text, count in rows}

        first = await asyncio.to_thread(_session, home, "first", 3)
        assert _status().last.result.method == "cloud"  # type: ignore[union-attr]
        await poll()
        assert held() == _in_the_database(home)
        assert first <= held().keys()
        second = await asyncio.to_thread(_session, home, "second", 2)
        for _ in range(3):
            await poll()
            assert held() == _in_the_database(home)
        assert first | second <= held().keys()
        assert len(held()) == 3 + 2 + 2 + 2  # with a reflection, and what the end of a session stores
        assert set(held().values()) == {1}
        storage.close()
        await hot.close()

    with running_seaweed(home / "seaweed") as seaweed:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
        monkeypatch.setenv("AKOSHA_CLOUD_BUCKET", bucket)
        monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", seaweed.endpoint)
        _make_bucket(bucket, seaweed.endpoint)
        asyncio.run(by_cloud(seaweed.endpoint))

    # SeaweedFS is gone: the same end of a session reaches the running Akosha by HTTP, once
    monkeypatch.setenv("AKOSHA_URL", server.url)
    _session(home, "third", 2)
    total = sum(_in_the_database(home).values())
    last = _status().last
    assert last is not None
    assert (last.result.method, last.result.triggered_by) == ("http", "session_end")
    assert last.result.cloud_error is not None
    assert _sent() == {"stored": total, "duplicates": 0, "failed": 0, "sent": total}
    _session(home, "fourth", 1)
    assert _sent() == {"stored": 3, "duplicates": 0, "failed": 0, "sent": 3}
    # asked to take everything again, Akosha says that it has each of them
    total = sum(_in_the_database(home).values())
    command = [sys.executable, "-m", "akosha_snap", "push", "--method", "http", "--full", "--json"]
    done = subprocess.run(command, env=os.environ, capture_output=True, check=True)
    again = json.loads(done.stdout)["http"]
    assert (again["stored"], again["duplicates"], again["failed"]) == (0, total, 0)


def _make_bucket(bucket: str, endpoint: str) -> None:
    import boto3

    client = boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    client.close()
