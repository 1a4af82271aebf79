"""What stage_in_child and its child say to each other, as JSON."""

from __future__ import annotations

import msgspec

from akosha_snap.source.model import StagedSource

__all__ = ["Failure", "Reply", "Request"]


class Request(msgspec.Struct, frozen=True):
    """The arguments of `stage`; paths as the bytes they are on disk."""

    path: bytes
    into: bytes
    deadline: float


class Failure(msgspec.Struct, frozen=True):
    """An error of ours, to be raised again in the parent."""

    kind: str
    message: str
    hint: str


class Reply(msgspec.Struct, frozen=True):
    """What `stage` returned or raised. The parent knows the folder: only the names of the copies count."""

    staged: StagedSource | None = None
    failure: Failure | None = None
