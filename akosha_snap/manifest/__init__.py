"""What a snapshot is made of on the store: names, manifest and chunk list. Pure: no files, no network."""

from akosha_snap.manifest.chunk_list import ChunkList, ListedFile, decode_chunk_list, encode_chunk_list
from akosha_snap.manifest.codec import decode_manifest, encode_manifest
from akosha_snap.manifest.damage import DamagedPack, DamageRecord, decode_damage, encode_damage
from akosha_snap.manifest.location import FrameLocation
from akosha_snap.manifest.snapshot import Cost, Counts, FileEntry, FullFile, Manifest, Metadata, SnapshotInfo
from akosha_snap.manifest.store_format import StoreFormat, decode_format, encode_format

__all__ = [
    "ChunkList",
    "Cost",
    "Counts",
    "DamageRecord",
    "DamagedPack",
    "FileEntry",
    "FrameLocation",
    "FullFile",
    "ListedFile",
    "Manifest",
    "Metadata",
    "SnapshotInfo",
    "StoreFormat",
    "decode_chunk_list",
    "decode_damage",
    "decode_format",
    "decode_manifest",
    "encode_chunk_list",
    "encode_damage",
    "encode_format",
    "encode_manifest",
]
