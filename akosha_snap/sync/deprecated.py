"""The old name, for whoever still has it in their code."""

from __future__ import annotations

import warnings
from typing import Any, Unpack

from akosha_snap.config import Given
from akosha_snap.sync.hybrid import HybridAkoshaSync

__all__ = ["AkoshaSync"]


class AkoshaSync:
    """Deprecated: use HybridAkoshaSync. Sends to Akosha by HTTP alone, as it always did.

    `embedding_service` is not used: the embeddings are those in the database.
    """

    def __init__(self, embedding_service: object = None, **given: Unpack[Given]) -> None:  # noqa: ARG002
        warnings.warn(
            "AkoshaSync is deprecated: use akosha_snap.sync.HybridAkoshaSync", DeprecationWarning, stacklevel=2
        )
        self._sync = HybridAkoshaSync(**given)

    async def sync_memories(
        self, upload_reflections: bool = True, upload_knowledge_graph: bool = True
    ) -> dict[str, Any]:
        """Send by HTTP, in a child process, and return the fields of `SyncResult`; raises an AkoshaSnapError."""
        return await self._sync.sync_memories("http", upload_reflections, upload_knowledge_graph)
