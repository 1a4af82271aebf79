"""Every row of the matrix, against a real S3 server and the real, unmodified Akosha's running server."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from pathlib import Path
from typing import Literal

import memory_db
import pytest
from akosha_server import AkoshaServer
from seaweed import Seaweed

import akosha_snap
from akosha_snap.config import load_settings
from akosha_snap.errors import NothingThereError, StoreError
from akosha_snap.sync import SyncStatus, sync_in_background, sync_status, sync_to_akosha
from akosha_snap.sync.files import memory_files
from akosha_snap.sync.matrix import sync_files
from akosha_snap.sync.status import complaint

pytest.importorskip("akosha")
pytestmark = [pytest.mark.akosha, pytest.mark.seaweed]

RECORDS = 20 + 20 // 8  # conversations and reflections
NOBODY = "http://127.0.0.1:9/mcp"

Cloud = Literal["works", "fails", "not set"]
Outcome = Literal["cloud", "http", "http, and the store's error", "the store's error", "nothing to sync to"]

ROWS: list[tuple[Cloud, bool, bool, Outcome]] = [
    # store, fallback, Akosha is up
    ("works", True, True, "cloud"),
    ("works", True, False, "cloud"),
    ("works", False, True, "cloud"),
    ("works", False, False, "cloud"),
    ("fails", True, True, "http, and the store's error"),
    ("fails", True, False, "the store's error"),
    ("fails", False, True, "the store's error"),
    ("fails", False, False, "the store's error"),
    ("not set", True, True, "http"),
    ("not set", False, True, "http"),
    ("not set", True, False, "nothing to sync to"),
    ("not set", False, False, "nothing to sync to"),
]


@pytest.fixture
def system_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new system with both memories, and no store; Akosha is down."""
    memory_db.build(tmp_path, conversations=20)
    name = f"matrix-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", name)
    monkeypatch.setenv("AKOSHA_URL", NOBODY)
    return name


def _set_store(monkeypatch: pytest.MonkeyPatch, seaweed: Seaweed, bucket: str, cloud: Cloud) -> None:
    if cloud != "not set":
        monkeypatch.setenv("AKOSHA_CLOUD_BUCKET", bucket if cloud == "works" else "no-such-bucket")
        monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", seaweed.endpoint)


@pytest.mark.parametrize(("cloud", "fallback", "is_up", "outcome"), ROWS)
def test_a_row(
    cloud: Cloud,
    fallback: bool,
    is_up: bool,
    outcome: Outcome,
    system_id: str,
    server: AkoshaServer,
    seaweed_credentials: Seaweed,
    seaweed_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set_store(monkeypatch, seaweed_credentials, seaweed_bucket, cloud)
    if is_up:
        monkeypatch.setenv("AKOSHA_URL", server.url)
    settings = load_settings(enable_fallback=fallback)
    if outcome == "nothing to sync to":
        with pytest.raises(NothingThereError, match=outcome):
            sync_files(settings, memory_files(settings))
        return
    if outcome == "the store's error":
        with pytest.raises(StoreError, match="no-such-bucket"):
            sync_files(settings, memory_files(settings))
        return
    result = sync_files(settings, memory_files(settings))
    assert result.success
    assert bool(result.cloud_error) is (outcome == "http, and the store's error")
    if outcome == "cloud":
        assert (result.method, result.http) == ("cloud", None)
        store = f"s3://{seaweed_bucket}?endpoint={seaweed_credentials.endpoint}"
        assert akosha_snap.verify(store, system_id=system_id, level="data").ok
        return
    assert result.http is not None
    assert (result.method, result.http.stored, result.http.failed) == ("http", RECORDS, 0)
    again = sync_files(settings, memory_files(settings), full=True)
    assert again.http is not None
    assert (again.http.duplicates, again.http.stored) == (RECORDS, 0), "Akosha has each of them, once"


def test_the_hook_of_a_session_with_nothing_to_sync_to(
    system_id: str, server: AkoshaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It succeeds all the same, `status` says why nothing was synced, and the next one loses nothing."""
    assert sync_in_background() is True
    status = _ended()
    wrong = complaint(status)
    assert isinstance(wrong, NothingThereError)
    assert "no store is configured and Akosha does not answer" in str(wrong)
    monkeypatch.setenv("AKOSHA_URL", server.url)
    result = asyncio.run(sync_to_akosha())
    assert (result["method"], result["http"]["stored"]) == ("http", RECORDS)
    assert _ended().state == "ok"


def _ended() -> SyncStatus:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = sync_status(load_settings(), dt.datetime.now(dt.UTC))
        if status.last and status.state != "running":
            return status
        time.sleep(0.1)
    raise AssertionError("no sync has ended")
