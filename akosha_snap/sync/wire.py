"""What a session says to the process that syncs for it, and it back, as JSON over pipes."""

from __future__ import annotations

import msgspec

from akosha_snap.config import Given
from akosha_snap.failure import Failure
from akosha_snap.sync.results import SyncResult

__all__ = ["SESSION_END", "SyncReply", "SyncRequest"]

SESSION_END = "session_end"
"""What `triggered_by` says where the end of a session did it: such a sync can be turned off."""


class SyncRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One sync. `flags` and `host` are as in `load_settings`; a token travels here, never in a command line.

    `warnings` are known before it starts; its result has them, however it ends.
    """

    flags: Given = {}
    host: Given = {}
    reflections: bool = True
    knowledge_graph: bool = True
    triggered_by: str = "manual"
    warnings: list[str] = []


class SyncReply(msgspec.Struct, frozen=True):
    """How it went; with `failure`, `result` says the same in a result's own words."""

    result: SyncResult
    failure: Failure | None = None
