"""What each operation returns: the same structs that `--json` prints. Fields are only ever added."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from akosha_snap.manifest import Counts

__all__ = [
    "Level",
    "ListResult",
    "LostFile",
    "LostSnapshot",
    "Problem",
    "PruneResult",
    "PrunedSnapshot",
    "PushResult",
    "PushedFile",
    "RepairResult",
    "RestoreResult",
    "RestoredFile",
    "ShowResult",
    "ShownFile",
    "SnapshotSummary",
    "VerifyResult",
]

Level = Literal["manifest", "index", "data", "open"]
"""How deep `verify` looks; each level includes those before it."""


class PushedFile(msgspec.Struct, frozen=True):
    """One file of a push: size in bytes, chunks in all, chunks the store did not have."""

    name: str
    size: int
    chunks: int
    chunks_new: int


class PushResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a push did.

    `bytes_read` came from the live files; `bytes_transferred` is what was uploaded and
    `bytes_received` what was downloaded (object bodies, every attempt); `requests`
    counts every request to the store. In a dry run nothing was sent and these say
    what would have been. `is_first`: the store had no snapshot of this system before.
    """

    method: Literal["cloud", "http", "none"] = "cloud"
    success: bool = True
    upload_id: str | None = None
    unchanged: bool = False
    dry_run: bool = False
    is_first: bool = False
    system_id: str = ""
    store: str = ""
    files: list[PushedFile] = []
    files_uploaded: list[str] = []
    counts: Counts | None = None
    bytes_read: int = 0
    bytes_transferred: int = 0
    bytes_received: int = 0
    requests: int = 0
    duration_seconds: float = 0.0
    warnings: list[str] = []
    error: str | None = None


class SnapshotSummary(msgspec.Struct, frozen=True):
    """One snapshot in a listing; `bytes_transferred` is what its push uploaded, its manifest included."""

    upload_id: str
    uploaded_at: dt.datetime
    files: list[str]
    conversation_count: int
    total_size_bytes: int
    bytes_transferred: int


class ListResult(msgspec.Struct, frozen=True):
    """The snapshots of a system, newest first."""

    snapshots: list[SnapshotSummary]
    warnings: list[str] = []


class ShownFile(msgspec.Struct, frozen=True):
    """One file of a snapshot; `chunk_hashes` (hex, in file order) only where they were asked for."""

    name: str
    kind: str
    size: int
    blake3: str
    sha256: str
    chunks: int
    full_file: str
    full_file_stored: bool
    chunk_hashes: list[str] | None = None


class ShowResult(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot in full; `packs` and `stored_size` (bytes) count what restoring all of it needs."""

    upload_id: str
    system_id: str
    uploaded_at: dt.datetime
    parent: str | None
    root: str
    tool: str
    counts: Counts
    total_size_bytes: int
    bytes_read: int
    bytes_transferred: int
    chunks_new: int
    packs: int
    stored_size: int
    files: list[ShownFile]


class RestoredFile(msgspec.Struct, frozen=True):
    """One file put back: where, its size in bytes, its BLAKE3."""

    name: str
    path: str
    size: int
    blake3: str


class RestoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did."""

    upload_id: str
    files: list[RestoredFile]
    bytes_received: int
    requests: int
    duration_seconds: float
    warnings: list[str] = []


class Problem(msgspec.Struct, frozen=True):
    """One thing found wrong: what kind, which object (its key), the snapshots it touches, and what was seen."""

    kind: str
    object: str
    snapshots: list[str]
    detail: str


class VerifyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found. `objects` is how many were checked, `bytes_read` what that downloaded."""

    ok: bool
    level: Level
    snapshots: list[str]
    objects: int
    bytes_read: int
    problems: list[Problem]
    requests: int = 0
    duration_seconds: float = 0.0
    warnings: list[str] = []


class LostFile(msgspec.Struct, frozen=True):
    """A file of a snapshot that cannot be restored any more: name, size in bytes."""

    name: str
    size: int


class LostSnapshot(msgspec.Struct, frozen=True):
    """A snapshot that has lost these files, or, where it names none, all of them with their names."""

    upload_id: str
    files: list[LostFile]


class RepairResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair found and did.

    `ok`: nothing is damaged (any more); `lost_bytes` the size of all files lost; `recreated` the keys of
    the objects that were made anew (in a dry run: that would be); `record` the key of the damage
    record it left, if what is damaged had changed.
    """

    ok: bool
    dry_run: bool
    snapshots: list[str]
    objects: int
    problems: list[Problem]
    lost: list[LostSnapshot]
    lost_bytes: int
    recreated: list[str]
    record: str | None
    bytes_read: int
    bytes_transferred: int
    requests: int
    duration_seconds: float
    warnings: list[str] = []


class PrunedSnapshot(msgspec.Struct, frozen=True):
    """One snapshot that a prune looked at: kept or dropped, and each rule that keeps it."""

    upload_id: str
    kept: bool
    reasons: list[str]


class PruneResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune did; of a dry run, what it would have done.

    `bytes_freed` is the size of all objects deleted but the marks of earlier prunes. Packs that are
    waiting are needed by no snapshot any more and too young to be deleted: a prune at `waiting_until`
    deletes the last of them. `strays` are uploads that never became a snapshot.
    """

    system_id: str
    store: str
    dry_run: bool = False
    snapshots: list[PrunedSnapshot] = []
    dropped: list[str] = []
    strays: list[str] = []
    packs_deleted: int = 0
    bytes_freed: int = 0
    packs_waiting: int = 0
    bytes_waiting: int = 0
    waiting_until: dt.datetime | None = None
    requests: int = 0
    duration_seconds: float = 0.0
