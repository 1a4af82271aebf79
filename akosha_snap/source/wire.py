"""What stage_in_child and count_in_child say to their child, and it to them, as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

from akosha_snap.failure import Failure
from akosha_snap.source.model import RecordCounts, StagedSource
from akosha_snap.source.seen import Seen

__all__ = ["Reply", "Request"]


class Request(msgspec.Struct, frozen=True):
    """The arguments of `stage` (one path) or `count_records` (any number); paths as the bytes they are on disk."""

    task: Literal["stage", "count"]
    paths: list[bytes]
    into: bytes = b""
    deadline: float = 0.0
    before: Seen | None = None


class Reply(msgspec.Struct, frozen=True):
    """What was returned or raised. The parent knows the folder: only the names of the copies count."""

    staged: StagedSource | None = None
    counts: list[RecordCounts] | None = None
    failure: Failure | None = None
