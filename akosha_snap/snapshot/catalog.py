"""List a system's snapshots, and show one in full."""

from __future__ import annotations

from akosha_snap.manifest import Manifest
from akosha_snap.snapshot.results import ListResult, ShownFile, ShowResult, SnapshotSummary
from akosha_snap.snapshot.system import LATEST, System

__all__ = ["list_snapshots", "show_snapshot"]


def list_snapshots(system: System) -> ListResult:
    """Every snapshot, newest first; one that cannot be read becomes a warning. Raises NewerFormatError."""
    warnings = system.refuse_newer()
    uploads = system.uploads()
    snapshots = []
    for upload_id, found in zip(uploads, system.manifests(uploads), strict=True):
        if isinstance(found, Exception):
            warnings.append(f"snapshot {upload_id} left out: {found}")
        else:
            snapshots.append(_summary(upload_id, *found))
    return ListResult(snapshots, warnings)


def _summary(upload_id: str, manifest: Manifest, manifest_size: int) -> SnapshotSummary:
    info = manifest.snapshot
    return SnapshotSummary(
        upload_id=upload_id,
        uploaded_at=manifest.uploaded_at,
        files=[file.name for file in info.files],
        conversation_count=info.counts.conversations,
        total_size_bytes=sum(file.size for file in info.files),
        bytes_transferred=info.cost.bytes_uploaded + manifest_size,
    )


def show_snapshot(system: System, upload_id: str = LATEST, *, with_chunks: bool = False) -> ShowResult:
    """One snapshot, with every chunk hash if asked. Raises NothingThereError, DamageError."""
    system.refuse_newer()
    upload_id = system.resolve(upload_id)
    manifest, manifest_size = system.sized_manifest(upload_id)
    chunk_list = system.chunk_list(manifest)
    info = manifest.snapshot
    hashes = {
        file.name: [chunk_list.hash(i).hex() for i in file.frames] if with_chunks else None for file in chunk_list.files
    }
    return ShowResult(
        upload_id=upload_id,
        system_id=system.id,
        uploaded_at=manifest.uploaded_at,
        parent=info.parent,
        root=info.root,
        tool=info.tool,
        counts=info.counts,
        total_size_bytes=sum(file.size for file in info.files),
        bytes_read=info.cost.bytes_read,
        bytes_transferred=info.cost.bytes_uploaded + manifest_size,
        chunks_new=info.cost.chunks_new,
        packs=len(set(chunk_list.pack)),
        stored_size=sum(chunk_list.stored_sizes),
        files=[
            ShownFile(
                name=file.name,
                kind=file.kind,
                size=file.size,
                blake3=file.blake3,
                sha256=file.full_file.sha256,
                chunks=file.chunks,
                full_file=file.full_file.uri,
                full_file_stored=file.full_file.stored,
                chunk_hashes=hashes[file.name],
            )
            for file in info.files
        ],
    )
