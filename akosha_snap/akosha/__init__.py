"""Akosha: sending records to its server by HTTP, and feeding its ingestion worker from a store.

`send_records` and `is_up` are the first, `SnapshotStorage` and `python -m akosha_snap.akosha` the
second. Each is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from akosha_snap.akosha.availability import is_up
    from akosha_snap.akosha.results import RecordError, SendResult
    from akosha_snap.akosha.send import send_records
    from akosha_snap.akosha.storage import SnapshotStorage

__all__ = ["RecordError", "SendResult", "SnapshotStorage", "is_up", "send_records"]

_HOMES = {
    "RecordError": "results",
    "SendResult": "results",
    "SnapshotStorage": "storage",
    "is_up": "availability",
    "send_records": "send",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
