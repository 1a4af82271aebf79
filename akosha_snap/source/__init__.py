"""The DuckDB side: a consistent copy of a live database, and the records it holds.

Nothing here knows of stores or snapshots. A live file is only ever read, and never locked.
"""

from __future__ import annotations

from .model import RecordCounts, StagedFile, StagedSource, UnsupportedStorage
from .records import count_records
from .spawn import stage_in_child
from .staging import stage

__all__ = [
    "RecordCounts",
    "StagedFile",
    "StagedSource",
    "UnsupportedStorage",
    "count_records",
    "stage",
    "stage_in_child",
]
