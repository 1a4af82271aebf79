"""The manifest: Akosha's SystemMemoryUploadManifest with our snapshot in its metadata.

Fields are only ever added. No floats, so that one canonical form exists (codec.py).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from akosha_snap.manifest.location import FrameLocation

__all__ = ["Cost", "Counts", "FileEntry", "FullFile", "Manifest", "Metadata", "SnapshotInfo"]


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A number of anything: whoever reads it may add it up, print it or keep it in 64 bits."""


class FullFile(msgspec.Struct, frozen=True):
    """The pointer to a whole file. `uri` is its key; `stored` says whether that object exists.

    Where it does not (the usual case), the storage adapter serves the key from the
    chunks and `restore` rebuilds the file; either way size and hashes hold.
    """

    uri: str
    size: _Count
    blake3: str
    sha256: str
    stored: bool = False


class FileEntry(msgspec.Struct, frozen=True):
    """One file of the snapshot: its own name, kind, size in bytes, BLAKE3 and number of chunks.

    A file of kind `wal` belongs to the database of the same name without `.wal`.
    """

    name: str
    kind: Literal["duckdb", "wal", "plain"]
    size: _Count
    blake3: str
    chunks: _Count
    full_file: FullFile


class Counts(msgspec.Struct, frozen=True):
    """Records in the snapshot. `counted` is false where they were carried over from the parent."""

    conversations: _Count = 0
    reflections: _Count = 0
    entities: _Count = 0
    relationships: _Count = 0
    counted: bool = True


class Cost(msgspec.Struct, frozen=True):
    """What this push cost: bytes read from the live files, bytes of the objects uploaded before this manifest."""

    bytes_read: _Count
    bytes_uploaded: _Count
    chunks_new: _Count
    packs_new: _Count


class SnapshotInfo(msgspec.Struct, frozen=True):
    """`metadata.akosha_snap`: all that rebuilds the files, and what is worth knowing of the push.

    `root` names the content (see `snapshot_root`), `parent` the upload this one was
    compared with. `chunk_list` locates the chunk list, its last entry, after the bases it needs.
    """

    format: int
    root: str
    parent: str | None
    tool: str
    files: list[FileEntry]
    chunk_list: list[FrameLocation]
    counts: Counts
    cost: Cost

    @property
    def list_pack(self) -> bytes:
        """The id of the pack that holds the chunk list."""
        return bytes.fromhex(self.chunk_list[-1].pack)


class Metadata(msgspec.Struct, frozen=True):
    """The manifest's free dict; only our own key is ours to read."""

    akosha_snap: SnapshotInfo


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Akosha's SystemMemoryUploadManifest, field by field (akosha.models.schemas)."""

    uploaded_at: dt.datetime
    conversation_count: _Count
    total_size_bytes: _Count | None
    version: str = "1.0"
    system_type: str | None = "session-buddy"
    checksum: str | None = None
    compressed: bool = False
    compression_format: str | None = None
    files: list[str]
    metadata: Metadata

    @property
    def snapshot(self) -> SnapshotInfo:
        """Our part of it."""
        return self.metadata.akosha_snap
