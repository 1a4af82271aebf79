"""Two tools for an MCP server: `sync_to_akosha` and `akosha_sync_status`. Needs `akosha-snap[mcp]`."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

from akosha_snap.config import load_settings
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.sync.availability import cloud_available, http_available
from akosha_snap.sync.session import sync_to_akosha as sync
from akosha_snap.sync.status import complaint, sync_status

__all__ = ["akosha_sync_status", "register_akosha_tools", "sync_to_akosha"]


def register_akosha_tools(mcp: Any) -> None:
    """Add both tools to `mcp`, a FastMCP server."""
    mcp.tool()(sync_to_akosha)
    mcp.tool()(akosha_sync_status)


async def sync_to_akosha(
    method: Literal["auto", "cloud", "http"] = "auto", enable_fallback: bool = True
) -> dict[str, Any]:
    """Sync the memories to Akosha: to the store, or by HTTP where that fails.

    Args:
        method: "auto" (as configured, by default the store and then HTTP), "cloud" or "http" alone.
        enable_fallback: False keeps "auto" from turning to HTTP when the store fails.

    Returns method, success, files_uploaded, bytes_transferred, duration_seconds, upload_id, error and more.
    """
    return await sync(method, enable_fallback, triggered_by="tool")


async def akosha_sync_status() -> dict[str, Any]:
    """Whether the last sync worked, when the last did that worked, and what the next would do."""
    import asyncio

    return await asyncio.to_thread(_status)


def _status() -> dict[str, Any]:
    try:
        settings = load_settings()
        status = sync_status(settings, dt.datetime.now(dt.UTC))
    except AkoshaSnapError as error:
        return {"ok": False, "error": str(error)}
    wrong = complaint(status)
    cloud, http = cloud_available(settings), http_available(settings)
    seen = {
        "ok": wrong is None,
        "error": str(wrong) if wrong else None,
        "cloud_configured": settings.store is not None,
        "cloud_available": cloud,
        "http_available": http,
        "should_use_cloud": settings.store is not None and settings.force_method != "http",
        "should_use_http": settings.force_method == "http" or (settings.force_method == "auto" and not cloud and http),
    }
    known: dict[str, Any] = msgspec.to_builtins(status)
    return seen | known
