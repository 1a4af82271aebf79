"""Memories to where Akosha finds them: to the store, or to Akosha itself by HTTP.

A database belongs to the process that has it open, and only another process may copy it (see
`akosha_snap.source.spawn`). So everything here that a session calls runs in a child process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from akosha_snap.sync.availability import cloud_available, http_available
    from akosha_snap.sync.deprecated import AkoshaSync
    from akosha_snap.sync.hybrid import HybridAkoshaSync
    from akosha_snap.sync.results import SyncResult
    from akosha_snap.sync.session import sync_in_background, sync_to_akosha
    from akosha_snap.sync.status import SyncStatus, sync_status
    from akosha_snap.sync.uploader import CloudMemoryUploader

__all__ = [
    "AkoshaSync",
    "CloudMemoryUploader",
    "HybridAkoshaSync",
    "SyncResult",
    "SyncStatus",
    "cloud_available",
    "http_available",
    "sync_in_background",
    "sync_status",
    "sync_to_akosha",
]

_HOMES = {
    "AkoshaSync": "deprecated",
    "CloudMemoryUploader": "uploader",
    "HybridAkoshaSync": "hybrid",
    "SyncResult": "results",
    "SyncStatus": "status",
    "cloud_available": "availability",
    "http_available": "availability",
    "sync_in_background": "session",
    "sync_status": "status",
    "sync_to_akosha": "session",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
