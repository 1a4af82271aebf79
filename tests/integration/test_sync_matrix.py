"""Every row of the matrix, against a real S3 server and an MCP server that speaks as Akosha's does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fake_akosha import FakeAkosha, running_fake
from memory_db import GRAPH, REFLECTION, build
from seaweed import Seaweed

from akosha_snap.config import load_settings
from akosha_snap.errors import AkoshaSnapError, CredentialsError, NothingThereError, PartialError, StoreError
from akosha_snap.sync import AkoshaSync, HybridAkoshaSync, http_available, sync_status, sync_to_akosha
from akosha_snap.sync.files import memory_files
from akosha_snap.sync.matrix import sync_files
from akosha_snap.sync.results import SyncResult
from akosha_snap.sync.status import complaint

pytestmark = pytest.mark.seaweed

CONVERSATIONS = 20
RECORDS = CONVERSATIONS + CONVERSATIONS // 8  # with the reflections


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(tmp_path, conversations=CONVERSATIONS)
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "laptop")
    monkeypatch.setenv("AKOSHA_URL", "http://127.0.0.1:9/mcp")
    return tmp_path


@pytest.fixture
def akosha(memory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAkosha]:
    with running_fake() as fake:
        monkeypatch.setenv("AKOSHA_URL", fake.url)
        yield fake


def _store(monkeypatch: pytest.MonkeyPatch, seaweed: Seaweed, bucket: str) -> None:
    monkeypatch.setenv("AKOSHA_CLOUD_BUCKET", bucket)
    monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", seaweed.endpoint)


@pytest.fixture
def cloud(memory: Path, monkeypatch: pytest.MonkeyPatch, seaweed_credentials: Seaweed, seaweed_bucket: str) -> None:
    """A store that works."""
    _store(monkeypatch, seaweed_credentials, seaweed_bucket)


@pytest.fixture(params=["no such bucket", "wrong secret", "nobody there"])
def broken_cloud(
    request: pytest.FixtureRequest, memory: Path, monkeypatch: pytest.MonkeyPatch, seaweed_credentials: Seaweed
) -> None:
    """A store that is configured, and fails in one of the ways that they do."""
    _store(monkeypatch, seaweed_credentials, "no-such-bucket")
    if request.param == "wrong secret":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    if request.param == "nobody there":
        monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", "http://127.0.0.1:9")


def _sync(**flags: Any) -> SyncResult:
    settings = load_settings(**flags)
    return sync_files(settings, memory_files(settings))


def test_set_and_works_is_cloud(cloud, akosha) -> None:
    for fallback in (True, False):
        result = _sync(enable_fallback=fallback)
        assert (result.method, result.success, result.http, result.cloud_error) == ("cloud", True, None, None)
    assert akosha.asked == []


def test_set_and_works_is_cloud_with_akosha_down(cloud) -> None:
    assert _sync().method == "cloud"


def test_set_and_fails_with_fallback_is_http(broken_cloud, akosha) -> None:
    result = _sync()
    assert (result.method, result.success, result.store) == ("http", True, "")
    assert result.http is not None
    assert (result.http.stored, result.http.failed) == (RECORDS, 0)
    assert len(akosha.stored) == RECORDS
    assert result.cloud_error
    assert result.warnings[-1] == f"the store was passed over: {result.cloud_error}"
    assert _sync().http.sent == 0  # type: ignore[union-attr]


def test_set_and_fails_without_fallback_is_the_stores_error(broken_cloud, akosha) -> None:
    with pytest.raises(StoreError) as caught:
        _sync(enable_fallback=False)
    assert "HTTP" not in str(caught.value)
    with pytest.raises(StoreError):
        _sync(force_method="cloud")
    assert akosha.stored == {}


def test_set_and_fails_with_akosha_down_is_the_stores_error(broken_cloud) -> None:
    with pytest.raises(StoreError):
        _sync()


def test_not_set_is_http(akosha) -> None:
    for fallback in (True, False):
        result = _sync(enable_fallback=fallback)
        assert (result.method, result.success, result.cloud_error) == ("http", True, None)
    assert len(akosha.stored) == RECORDS


def test_not_set_with_akosha_down_is_nothing(memory) -> None:
    with pytest.raises(NothingThereError, match="nothing to sync to"):
        _sync()


def test_http_alone(cloud, akosha) -> None:
    assert _sync(force_method="http").method == "http"


def test_http_alone_with_akosha_down(cloud) -> None:
    with pytest.raises(AkoshaSnapError, match=r"127\.0\.0\.1:9"):
        _sync(force_method="http")


def test_both_fail(broken_cloud, akosha) -> None:
    akosha.tools.clear()
    with pytest.raises(StoreError, match=r"\(and by HTTP to http.*has no tool batch_store_memories"):
        _sync()


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x" * 20_000)])
def test_a_fault_of_the_files_is_no_reason_for_http(
    broken_cloud, akosha, memory, damage: Callable[[Path], Any]
) -> None:
    settings = load_settings()
    files = memory_files(settings)
    damage(memory / REFLECTION)
    with pytest.raises(AkoshaSnapError, match="reflection"):
        sync_files(settings, files)
    assert akosha.asked == []


def test_entities_and_relationships_are_reported(akosha) -> None:
    warnings = " ".join(_sync().warnings)
    assert f"{CONVERSATIONS} of kind entity, {2 * CONVERSATIONS} of kind relationship not sent" in warnings


def test_other_files_do_not_travel_by_http(akosha, memory, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    result = sync_files(load_settings(), [memory / REFLECTION, tmp_path / "notes.txt"])
    assert "notes.txt is no database: HTTP sends records, not files" in result.warnings
    with pytest.raises(AkoshaSnapError, match="no database among the files"):
        sync_files(load_settings(), [tmp_path / "notes.txt"])
    assert [path.name for path in (memory / "state").glob("sending-*")] == []


def test_a_token_is_sent_and_shown_nowhere(akosha, memory, monkeypatch) -> None:
    akosha.token = "hunter2"
    with pytest.raises(CredentialsError, match="AKOSHA_API_TOKEN"):
        _sync()
    monkeypatch.setenv("AKOSHA_API_TOKEN", "hunter2")
    result = asyncio.run(sync_to_akosha())
    assert (result["method"], result["success"]) == ("http", True)
    shown = str(result) + "".join(
        path.read_text("utf-8", "replace") for path in (memory / "state").rglob("*") if path.is_file()
    )
    assert "hunter2" not in shown
    monkeypatch.setenv("AKOSHA_API_TOKEN", "hunter3")  # the server repeats it in its answer
    result = asyncio.run(sync_to_akosha())
    assert result["success"] is False
    log = (memory / "state" / "sync.log").read_text()
    assert "hunter3" not in str(result) + log


def test_a_session_with_its_database_open_by_http(akosha, memory) -> None:
    with duckdb.connect(str(memory / REFLECTION)) as connection, duckdb.connect(str(memory / GRAPH)):
        connection.execute("INSERT INTO conversations_v2 (id, content, category) VALUES ('new', 'just now', 'x')")
        result = asyncio.run(HybridAkoshaSync().sync_memories())
        with pytest.warns(DeprecationWarning, match="HybridAkoshaSync"):
            old = AkoshaSync()
        again = asyncio.run(old.sync_memories())
    assert (result["method"], result["http"]["stored"]) == ("http", RECORDS + 1)
    assert (again["method"], again["http"]["sent"]) == ("http", 0)
    assert "just now" in [memory["text"] for memory in akosha.stored.values()]


def test_some_records_that_are_not_taken(akosha, memory) -> None:
    import datetime as dt

    with duckdb.connect(str(memory / REFLECTION)) as connection:
        connection.execute("INSERT INTO conversations_v2 (id, content, category) VALUES ('bad', 'refuse me', 'x')")
    result = asyncio.run(sync_to_akosha())
    assert (result["success"], result["http"]["failed"]) == (True, 1)
    again = asyncio.run(sync_to_akosha())
    assert (again["success"], again["http"]["stored"], again["http"]["failed"]) == (True, 0, 1), "the others are there"
    status = sync_status(load_settings(), dt.datetime.now(dt.UTC))
    assert complaint(status, max_age=3600) is None
    wrong = complaint(status)
    assert isinstance(wrong, PartialError)
    assert "bad" in str(wrong)
    assert "failed.jsonl" in str(wrong)


def test_availability_of_akosha(akosha) -> None:
    assert http_available(load_settings())
    akosha.healthz = 503
    assert not http_available(load_settings())
    assert not http_available(load_settings(akosha_url="http://127.0.0.1:9/mcp"))
