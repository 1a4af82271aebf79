"""The cloud way: a snapshot in the store, where Akosha's worker finds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from akosha_snap import api
from akosha_snap.config import Settings
from akosha_snap.errors import ConfigError
from akosha_snap.events import Observer
from akosha_snap.stores import Store, open_store
from akosha_snap.sync.results import SyncResult

__all__ = ["open_configured_store", "push_to_store"]


def open_configured_store(settings: Settings) -> Store:
    """The store that the settings name; nothing is read or sent yet. Raises ConfigError."""
    url, origin = settings.need_store()
    try:
        return open_store(
            url,
            endpoint=settings.endpoint,
            region=settings.region,
            allow_insecure_http=settings.allow_insecure_http,
        )
    except ConfigError as error:
        raise ConfigError(f"{error.message} ({origin})", hint=error.hint) from None


def push_to_store(
    settings: Settings,
    files: Sequence[Path],
    observer: Observer | None = None,
    *,
    mirror: bool = True,
    recheck: bool = False,
) -> SyncResult:
    """Push `files` from this process, which must never have any of them open. Raises as `akosha_snap.push` does."""
    result = api.push(
        files,
        open_configured_store(settings),
        system_id=settings.system_id,
        mirror=mirror,
        recheck=recheck,
        state_dir=settings.state_dir,
        stage_in_child=False,
        observer=observer,
    )
    return SyncResult(**msgspec.structs.asdict(result))
