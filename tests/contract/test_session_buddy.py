"""The end of a session in the real, unmodified Session-Buddy (Python 3.13, `nox -s contract`)."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_akosha import running_fake
from seaweed import Seaweed
from session_buddy_server import running_session_buddy

import akosha_snap
from akosha_snap.config import load_settings
from akosha_snap.errors import NothingThereError
from akosha_snap.sync import SyncStatus, sync_status
from akosha_snap.sync.host_settings import host_settings
from akosha_snap.sync.status import complaint

pytest.importorskip("session_buddy")

pytestmark = [pytest.mark.akosha, pytest.mark.filterwarnings("ignore")]

LOCKED = "import duckdb, sys; duckdb.connect(sys.argv[1])"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "laptop")
    monkeypatch.setenv("AKOSHA_URL", "http://127.0.0.1:9/mcp")
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def _ended(since: dt.datetime) -> SyncStatus:
    """The status, once a sync has ended that started after `since`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = sync_status(load_settings(), dt.datetime.now(dt.UTC))
        if status.last and status.last.started_at >= since and status.state != "running":
            return status
        time.sleep(0.1)
    raise AssertionError("no sync has ended")


def _logged(environment: Path, words: str) -> str:
    """Session-Buddy's log, once it has these words."""
    log = environment / "home" / "session-buddy.log"
    deadline = time.monotonic() + 60
    while words not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert words in log.read_text()
    return log.read_text()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.mark.seaweed
def test_the_end_of_a_session_with_its_database_open(
    environment, seaweed_credentials: Seaweed, seaweed_bucket, monkeypatch
) -> None:
    monkeypatch.setenv("AKOSHA_CLOUD_BUCKET", seaweed_bucket)
    monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", seaweed_credentials.endpoint)
    with running_session_buddy(environment / "home") as session:
        session.call("store_reflection", content="DuckDB keeps one writer out", tags=["duckdb"])
        before = _now()
        session.end_session()
        status = _ended(before)
        assert status.state == "ok", status
        assert status.last is not None
        assert (status.last.result.method, status.last.result.triggered_by) == ("cloud", "session_end")
        # the session still owns its database: nobody else can write to it
        locked = subprocess.run([sys.executable, "-c", LOCKED, str(session.data / "reflection.duckdb")])
        assert locked.returncode != 0
        assert "KeyError" not in _logged(environment, "Akosha sync complete: method=cloud, files=")

    import duckdb

    store = f"s3://{seaweed_bucket}?endpoint={seaweed_credentials.endpoint}"
    assert akosha_snap.verify(store, system_id="laptop", level="open").ok
    akosha_snap.restore(store, system_id="laptop", to=environment / "back")
    # attached, and to be written to: DuckDB 2.0.1 cannot replay this log as it starts, 1.5.6 not without writing
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{environment / 'back' / 'reflection.duckdb'}' AS back")
        reflections = connection.execute("SELECT content FROM back.reflections_v2").fetchall()
        # the end of a session stores one, and 0.23 still does in its older table
        conversations = connection.execute("SELECT count(*) FROM back.conversations").fetchone()
    assert ("DuckDB keeps one writer out",) in reflections
    assert conversations == (1,)


def test_nothing_to_sync_to_ends_a_session_all_the_same(environment) -> None:
    with running_session_buddy(environment / "home") as session:
        before = _now()
        session.end_session()
        _logged(environment, "All 3 sync methods failed")
        session.call("store_reflection", content="still alive", tags=[])
    status = _ended(before)
    assert status.state == "failed"
    wrong = complaint(status)
    assert isinstance(wrong, NothingThereError)
    assert "nothing to sync to: no store is configured and Akosha does not answer at http" in str(wrong)
    assert status.last is not None
    assert status.last.result.triggered_by == "session_end"


def test_the_launcher_is_session_buddys_own_command(environment) -> None:
    command = [sys.executable, "-m", "akosha_snap.integrations.session_buddy", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "session-buddy version 0." in done.stdout


def _hybrid(**fields: Any) -> Any:
    from session_buddy.storage.akosha_config import AkoshaSyncConfig
    from session_buddy.storage.akosha_sync import HybridAkoshaSync

    return HybridAkoshaSync(AkoshaSyncConfig(**fields))


def test_our_methods_are_theirs(environment) -> None:
    from session_buddy.storage.sync_protocol import SyncMethod

    from akosha_snap.integrations.session_buddy import SnapSyncMethod, install, uninstall

    assert isinstance(SnapSyncMethod(), SyncMethod)
    hybrid = _hybrid()
    theirs = list(hybrid.methods)
    install(hybrid)
    install(hybrid)
    assert all(isinstance(method, SnapSyncMethod) and isinstance(method, SyncMethod) for method in hybrid.methods)
    assert [method.get_method_name() for method in hybrid.methods] == ["auto", "cloud", "http"]
    hybrid = _hybrid()
    install(hybrid, keep=True)
    assert [type(method) for method in hybrid.methods[3:]] == [type(method) for method in theirs]
    install()
    install()
    assert [method.get_method_name() for method in _hybrid().methods] == ["auto", "cloud", "http"]
    uninstall()
    assert [type(method) for method in _hybrid().methods] == [type(method) for method in theirs]
    uninstall()


def test_names_and_availability(environment, monkeypatch) -> None:
    from akosha_snap.integrations.session_buddy import SnapSyncMethod

    assert SnapSyncMethod().is_available()
    config = _hybrid(cloud_bucket="memories").config
    assert [SnapSyncMethod(each, "cloud").is_available() for each in (None, config)] == [False, True]
    assert not SnapSyncMethod(None, "http").is_available()
    monkeypatch.setenv("AKOSHA_FORCE_METHOD", "fax")
    assert SnapSyncMethod(None, "http").is_available(), "to say what is wrong"


def test_cloud_by_name_is_cloud_alone(environment, monkeypatch) -> None:
    """Asked for by name through the real HybridAkoshaSync, as its tool `sync_to_akosha(method="cloud")` does."""
    from memory_db import build
    from session_buddy.storage.sync_protocol import CloudUploadError

    from akosha_snap.integrations.session_buddy import install

    (environment / "data").mkdir()
    build(environment / "data", conversations=3)
    (environment / "file").touch()
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(environment / "data"))
    with running_fake() as akosha:
        monkeypatch.setenv("AKOSHA_URL", akosha.url)
        hybrid = _hybrid()
        install(hybrid, store=environment / "file" / "no-store")  # type: ignore[arg-type]
        with pytest.raises(CloudUploadError):
            asyncio.run(hybrid.sync_memories(force_method="cloud"))
        assert akosha.stored == {}
        assert asyncio.run(hybrid.sync_memories(force_method="auto"))["method"] == "http"
        assert akosha.stored
        install(hybrid)
        with pytest.raises(CloudUploadError, match="no store was given"):
            asyncio.run(hybrid.sync_memories(force_method="cloud"))
        assert asyncio.run(hybrid.sync_memories(force_method="http"))["method"] == "http"


def test_their_errors_and_their_loop(environment, monkeypatch) -> None:
    from session_buddy.storage.sync_protocol import CloudUploadError, HTTPSyncError, HybridSyncError

    from akosha_snap.integrations.session_buddy import SnapSyncMethod, install

    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(environment / "none"))
    with pytest.raises(CloudUploadError, match="nothing to push"):
        asyncio.run(SnapSyncMethod(store=str(environment / "store")).sync())
    with pytest.raises(HTTPSyncError, match="nothing to push"):
        asyncio.run(SnapSyncMethod(None, "http").sync(upload_knowledge_graph=False, batch_size=100))
    hybrid = _hybrid()
    install(hybrid, store=str(environment / "store"))
    with pytest.raises(HybridSyncError) as caught:
        asyncio.run(hybrid.sync_memories())
    assert [error["method"] for error in caught.value.errors] == ["auto"]
    from memory_db import build

    (environment / "data").mkdir()
    build(environment / "data", conversations=3)
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(environment / "data"))
    result = asyncio.run(hybrid.sync_memories())
    assert (result["method"], result["success"], result["error"]) == ("cloud", True, None)
    assert len(result["files_uploaded"]) > 1
    assert result["bytes_transferred"] > 0


def test_their_settings(environment) -> None:
    from session_buddy.settings import SessionMgmtSettings

    theirs = SessionMgmtSettings(
        akosha_cloud_bucket="memories", akosha_cloud_endpoint="http://127.0.0.1:1", akosha_enable_fallback=False
    )
    settings = load_settings(environ={}, host=host_settings(theirs).given)
    assert settings.need_store().value == "s3://memories"
    assert (settings.endpoint, settings.enable_fallback) == ("http://127.0.0.1:1", False)
    assert settings.upload_on_session_end is True


def test_reading_loads_none_of_their_large_libraries(environment) -> None:
    """The client of DuckDB 1.5 would load pandas, which Session-Buddy brings, to look at a parameter."""
    from memory_db import GRAPH, REFLECTION, build

    build(environment, conversations=8)
    code = f"""
import sys
from pathlib import Path
from akosha_snap.source import count_records, read_records
for name in {REFLECTION!r}, {GRAPH!r}:
    path = Path({str(environment)!r}) / name
    print(len(list(read_records(path))), count_records(path) is not None)
print(sorted({{"pandas", "pyarrow", "numpy"}} & sys.modules.keys()))
import pandas
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["9 True", "24 True", "[]"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_reading_is_bounded_with_their_duckdb_too(environment) -> None:
    import duckdb

    path = environment / "large.duckdb"
    with duckdb.connect(str(path), config={"threads": 1}) as connection:
        vector = "list_transform(range(384), lambda x: hash(i * 384 + x)::FLOAT)::FLOAT[384]"
        connection.execute(
            "CREATE TABLE conversations_v2 AS"
            f" SELECT i::VARCHAR AS id, 'text' AS content, {vector} AS embedding FROM range(15000) t(i)"
        )
    # not ru_maxrss, which a child inherits
    code = f"""
from pathlib import Path
from akosha_snap.source import read_records
status = Path("/proc/self/status")
print(sum(1 for _ in read_records(Path({str(path)!r}))), status.read_text().partition("VmHWM:")[2].split()[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    count, peak = map(int, done.stdout.split())
    assert count == 15_000
    assert peak < 125_000, "and 96,000 here, or 146,000 where DuckDB makes 2,048 vectors at once"
