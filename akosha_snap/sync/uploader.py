"""The class that Session-Buddy's plan promised for the store alone."""

from __future__ import annotations

from typing import Any, Unpack

from akosha_snap.config import Given
from akosha_snap.sync.hybrid import HybridAkoshaSync

__all__ = ["CloudMemoryUploader"]


class CloudMemoryUploader:
    """Takes snapshots of the memories to the store; the arguments are those of `HybridAkoshaSync`."""

    def __init__(self, settings: object = None, **given: Unpack[Given]) -> None:
        self._sync = HybridAkoshaSync(settings, **given)

    async def upload_memories(
        self, upload_reflections: bool = True, upload_knowledge_graph: bool = True
    ) -> dict[str, Any]:
        """Upload, in a child process, and return the fields of `SyncResult` as a dict; raises an AkoshaSnapError."""
        return await self._sync.sync_memories("cloud", upload_reflections, upload_knowledge_graph)
