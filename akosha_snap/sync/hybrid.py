"""The class that Session-Buddy's plan promised: the store first, Akosha by HTTP where that fails."""

from __future__ import annotations

from typing import Any, Unpack

import msgspec

from akosha_snap.config import Given, Method, checked_given
from akosha_snap.sync.host_settings import host_settings
from akosha_snap.sync.process import answer
from akosha_snap.sync.wire import SyncRequest

__all__ = ["HybridAkoshaSync"]


class HybridAkoshaSync:
    """Syncs the memories by the way that works; see `akosha_snap.sync.matrix` for which that is.

    `settings` may be Session-Buddy's settings object. `given` are settings that come before all
    others, by the names of the configuration file: `store`, `system_id`, `data_dir`, `akosha_url`...;
    a path may be text or a Path. Raises ConfigError for what is no setting, or of another type.
    """

    def __init__(self, settings: object = None, **given: Unpack[Given]) -> None:
        self._host = host_settings(settings)
        self._given = checked_given(given)

    async def sync_memories(
        self,
        force_method: Method = "auto",
        upload_reflections: bool = True,
        upload_knowledge_graph: bool = True,
        *,
        triggered_by: str = "manual",
    ) -> dict[str, Any]:
        """Sync, in a child process, and return the fields of `SyncResult` as a dict.

        `auto` leaves the method to the settings. Raises an AkoshaSnapError: ConfigError,
        NothingThereError where there is nothing to sync or nothing to sync to, else the
        error of the way taken (the store's where both failed).
        """
        flags = Given(**self._given)
        if force_method != "auto":
            flags["force_method"] = force_method
        reply = await answer(
            SyncRequest(
                flags=flags,
                host=self._host.given,
                warnings=self._host.ignored,
                reflections=upload_reflections,
                knowledge_graph=upload_knowledge_graph,
                triggered_by=triggered_by,
            )
        )
        if reply.failure:
            raise reply.failure.error()
        built: dict[str, Any] = msgspec.to_builtins(reply.result)
        return built
