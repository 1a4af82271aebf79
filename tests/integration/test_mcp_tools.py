"""Our two tools, called through a real FastMCP client."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest
from memory_db import build

from akosha_snap.integrations.mcp import register_akosha_tools

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what FastMCP imports
    from fastmcp import Client, FastMCP

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AKOSHA_SNAP_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "laptop")
    monkeypatch.setenv("AKOSHA_URL", "http://127.0.0.1:9/mcp")
    monkeypatch.setenv("AKOSHA_API_TOKEN", "hunter2")


def _call(*calls: tuple[str, dict[str, Any]]) -> list[Any]:
    async def talk() -> list[Any]:
        mcp: Any = FastMCP("test")
        register_akosha_tools(mcp)
        async with Client(mcp) as client:
            assert {tool.name for tool in await client.list_tools()} == {"sync_to_akosha", "akosha_sync_status"}
            return [(await client.call_tool(name, arguments)).data for name, arguments in calls]

    return asyncio.run(talk())


def test_sync_and_status(environment, tmp_path) -> None:
    build(tmp_path, conversations=5)
    before, synced, after, forced = _call(
        ("akosha_sync_status", {}),
        ("sync_to_akosha", {}),
        ("akosha_sync_status", {}),
        ("sync_to_akosha", {"method": "http", "enable_fallback": False}),
    )
    assert (before["ok"], before["state"]) == (False, "never")
    assert (before["cloud_configured"], before["cloud_available"], before["http_available"]) == (True, True, False)
    assert (before["should_use_cloud"], before["should_use_http"]) == (True, False)
    assert (synced["method"], synced["success"], synced["triggered_by"]) == ("cloud", True, "tool")
    assert (after["ok"], after["error"], after["last"]["result"]["upload_id"]) == (True, None, synced["upload_id"])
    assert (forced["method"], forced["success"]) == ("none", False)
    assert "hunter2" not in str([before, synced, after, forced])


def test_failures_are_answers(environment, tmp_path, monkeypatch) -> None:
    (synced,) = _call(("sync_to_akosha", {}))
    assert synced["success"] is False
    assert "nothing to push" in synced["error"]
    monkeypatch.setenv("AKOSHA_FORCE_METHOD", "fax")
    synced, status = _call(("sync_to_akosha", {}), ("akosha_sync_status", {}))
    assert "AKOSHA_FORCE_METHOD" in synced["error"]
    assert status["ok"] is False
    assert "AKOSHA_FORCE_METHOD" in status["error"]
