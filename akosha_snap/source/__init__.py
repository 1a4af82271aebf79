"""The DuckDB side: a consistent copy of a live database, and the records it holds.

Nothing here knows of stores or snapshots. A live file is only ever read, and never locked.
"""

from __future__ import annotations

from akosha_snap.errors import UnsupportedStorage
from akosha_snap.source.beside import CHECKPOINT_SUFFIXES, WAL_SUFFIX
from akosha_snap.source.catalogue import KINDS, Kind
from akosha_snap.source.model import Hashes, RecordCounts, StagedFile, StagedSource
from akosha_snap.source.reading import Record, read_records
from akosha_snap.source.records import count_records
from akosha_snap.source.seen import Seen, space_needed
from akosha_snap.source.spawn import count_in_child, counting_in_child, stage_in_child
from akosha_snap.source.staging import stage

__all__ = [
    "CHECKPOINT_SUFFIXES",
    "KINDS",
    "WAL_SUFFIX",
    "Hashes",
    "Kind",
    "Record",
    "RecordCounts",
    "Seen",
    "StagedFile",
    "StagedSource",
    "UnsupportedStorage",
    "count_in_child",
    "count_records",
    "counting_in_child",
    "read_records",
    "space_needed",
    "stage",
    "stage_in_child",
]
