"""Make a snapshot exist: full files and format first, then the manifest, the one commit point."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from akosha_snap.errors import ConfigError, ConflictError, ObjectExists, ObjectNotFound
from akosha_snap.manifest import (
    Cost,
    Counts,
    FileEntry,
    FrameLocation,
    FullFile,
    Manifest,
    Metadata,
    SnapshotInfo,
    StoreFormat,
    decode_manifest,
    encode_format,
    encode_manifest,
)
from akosha_snap.manifest.codec import MAX_MANIFEST_SIZE
from akosha_snap.manifest.ids import bare_name
from akosha_snap.manifest.keys import format_key, full_file_key, manifest_key, system_marker, upload_marker
from akosha_snap.manifest.store_format import FORMAT
from akosha_snap.snapshot.chunk_listing import ChunkedFile
from akosha_snap.snapshot.system import System
from akosha_snap.source import StagedFile
from akosha_snap.stores import put_file
from akosha_snap.version import __version__

__all__ = [
    "Committed",
    "commit_manifest",
    "file_entries",
    "has_full_files",
    "is_out_of_date",
    "make_manifest",
    "markers",
    "store_format",
    "store_full_files",
]

_MAX_CONVERSATIONS = 1_000_000
_MAX_TOTAL_SIZE = 100_000_000_000
"""Akosha refuses a manifest that names more (SystemMemoryUploadManifest); the true counts are in ours."""

_RENEWED_AFTER = dt.timedelta(days=335)
_AHEAD = dt.timedelta(minutes=5)
"""Akosha refuses a manifest older than 365 days, or from further ahead (SystemMemoryUploadManifest). A month is left
for its worker to come by."""


def is_out_of_date(manifest: Manifest, now: dt.datetime) -> bool:
    """Whether Akosha refuses this manifest for its time, or soon will: the same content is then committed anew."""
    return not -_AHEAD <= now - manifest.uploaded_at <= _RENEWED_AFTER


def file_entries(system: System, upload_id: str, files: Sequence[ChunkedFile], *, stored: bool) -> list[FileEntry]:
    """Each file as the manifest names it, with the pointer to it as a whole."""
    return [
        FileEntry(
            name=file.name,
            kind=file.kind,
            size=file.size,
            blake3=file.blake3.hex(),
            chunks=len(file.chunks),
            full_file=FullFile(
                uri=full_file_key(system.id, upload_id, bare_name(file.name)),
                size=file.size,
                blake3=file.blake3.hex(),
                sha256=file.sha256,
                stored=stored,
            ),
        )
        for file in files
    ]


def store_full_files(system: System, staged: Sequence[StagedFile], entries: Sequence[FileEntry]) -> list[str]:
    """Upload each whole file to where its pointer says; returns their keys."""
    for file, entry in zip(staged, entries, strict=True):
        put_file(system.store, entry.full_file.uri, Path(file.path))
    return [entry.full_file.uri for entry in entries]


def has_full_files(system: System, entries: Sequence[FileEntry]) -> bool:
    """Whether each whole file is in the store with its size."""
    try:
        return all(
            entry.full_file.stored and system.store.head(entry.full_file.uri).size == entry.size for entry in entries
        )
    except ObjectNotFound:
        return False


def store_format(system: System) -> list[str]:
    """Create format.json with a system's first snapshot; returns its key where this push made it."""
    key = format_key(system.id)
    try:
        system.store.put(key, encode_format(StoreFormat()), if_absent=True)
    except ObjectExists:
        system.check_format()
        return []
    return [key]


def make_manifest(
    *,
    root: bytes,
    parent: str | None,
    entries: list[FileEntry],
    chunk_list: list[FrameLocation],
    counts: Counts,
    cost: Cost,
    now: dt.datetime,
) -> Manifest:
    """The manifest of a snapshot, within the bounds Akosha sets."""
    total = sum(entry.size for entry in entries)
    return Manifest(
        uploaded_at=now.astimezone(dt.UTC).replace(microsecond=0),
        conversation_count=min(counts.conversations, _MAX_CONVERSATIONS),
        total_size_bytes=total if total <= _MAX_TOTAL_SIZE else None,
        files=[entry.full_file.uri.rsplit("/", 1)[1] for entry in entries],
        metadata=Metadata(
            SnapshotInfo(
                format=FORMAT,
                root=root.hex(),
                parent=parent,
                tool=f"akosha-snap {__version__}",
                files=entries,
                chunk_list=chunk_list,
                counts=counts,
                cost=cost,
            )
        ),
    )


def markers(system: System, upload_id: str, *, is_first: bool) -> list[str]:
    """The keys of the markers that let Akosha find this upload. They go before the manifest: a marker
    without a manifest is passed over, a manifest without its marker would never be found."""
    return [upload_marker(system.id, upload_id)] + ([system_marker(system.id)] if is_first else [])


class Committed(NamedTuple):
    """The manifest that stands in the store: its key and bytes. `ours`: they are those of this push."""

    key: str
    data: bytes
    ours: bool


def commit_manifest(system: System, upload_id: str, manifest: Manifest) -> Committed:
    """Store the manifest, which makes the snapshot exist.

    A conditional create that was retried after a lost answer finds its own object: that
    is no conflict. Raises ConflictError where another snapshot's is there.
    """
    key = manifest_key(system.id, upload_id)
    data = encode_manifest(manifest)
    if len(data) > MAX_MANIFEST_SIZE:
        raise ConfigError(
            f"the manifest of this snapshot has {len(data)} bytes, more than the {MAX_MANIFEST_SIZE} a reader accepts",
            hint="push fewer files, or some of them as a different system",
        )
    decode_manifest(data, "the manifest of this snapshot")
    try:
        system.store.put(key, data, if_absent=True)
    except ObjectExists:
        there = system.manifest(upload_id)
        if there.snapshot.root != manifest.snapshot.root:
            raise ConflictError(f"{key} already holds another snapshot", hint="push again") from None
        return Committed(key, data, ours=there == decode_manifest(data, key))
    return Committed(key, data, ours=True)
