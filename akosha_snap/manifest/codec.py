"""manifest.json: bytes from struct and back, with its checksum."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import msgspec

from akosha_snap.errors import DamageError
from akosha_snap.frames.limits import MAX_BASES, MAX_DEPTH, MAX_LIST_SIZE, MAX_PACK_SIZE, MAX_POINTERS_SIZE
from akosha_snap.manifest.ids import is_file_name, is_upload_id
from akosha_snap.manifest.location import FrameLocation
from akosha_snap.manifest.root import snapshot_root
from akosha_snap.manifest.snapshot import Manifest
from akosha_snap.manifest.store_format import check_format

__all__ = ["MAX_MANIFEST_SIZE", "MAX_VALUES", "decode_manifest", "encode_manifest"]

MAX_MANIFEST_SIZE = 16 * 1024 * 1024
"""Bytes of a manifest that a reader accepts."""

MAX_VALUES = 2_000_000
"""Commas and opening brackets of a manifest. Each value takes some 70 bytes of memory, an empty list three of JSON."""


def encode_manifest(manifest: Manifest) -> bytes:
    """Canonical JSON (sorted keys, no white space, UTF-8) with `checksum` filled in.

    The checksum is the SHA-256 of these same bytes with `checksum` null.
    """
    tree = msgspec.to_builtins(manifest, str_keys=True)
    tree["checksum"] = _checksum(tree)
    return _canonical(tree)


def decode_manifest(data: bytes, where: str) -> Manifest:
    """Parse and check a manifest; `where` names it in errors.

    Raises NewerFormatError for a later format; DamageError for bad JSON, a wrong
    checksum, missing fields or values outside their bounds.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise DamageError(f"{where} has more than {MAX_VALUES} values")
    try:
        tree = msgspec.json.decode(data)
        if not isinstance(tree, dict):
            raise DamageError(f"{where} is not a JSON object")
        info = (tree.get("metadata") or {}).get("akosha_snap")
        if not isinstance(info, dict) or not isinstance(info.get("format"), int):
            raise DamageError(f"{where} has no metadata.akosha_snap: akosha-snap did not write it")
        check_format(info["format"], where)
        if tree.get("checksum") != _checksum(tree):
            raise DamageError(f"{where} does not match its own checksum")
        manifest = msgspec.convert(tree, Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, RecursionError) as error:
        raise DamageError(f"{where} does not parse: {error}") from None
    _check_files(manifest, where)
    _check_pointers(manifest.snapshot.chunk_list, where)
    return manifest


def _canonical(tree: dict[str, Any]) -> bytes:
    return msgspec.json.encode(tree, order="sorted")


def _checksum(tree: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({**tree, "checksum": None})).hexdigest()


def _check_files(manifest: Manifest, where: str) -> None:
    """The files are possible ones, and everything said of them twice is the same."""
    info = manifest.snapshot
    for file in info.files:
        if not is_file_name(file.name) or not _is_hash(file.blake3) or not _is_hash(file.full_file.sha256):
            raise DamageError(f"{where} names an impossible file {file.name!r}")
    if len({file.name for file in info.files}) != len(info.files):
        raise DamageError(f"{where} names a file twice")
    root = snapshot_root((file.name, file.size, bytes.fromhex(file.blake3)) for file in info.files)
    if info.root != root.hex():
        raise DamageError(f"{where} names another root than that of its files")
    if manifest.files != [file.full_file.uri.rpartition("/")[2] for file in info.files]:
        raise DamageError(f"{where} names other files to Akosha")
    if not info.tool.isprintable() or not (info.parent is None or is_upload_id(info.parent)):
        raise DamageError(f"{where} names an impossible tool or parent")
    if manifest.uploaded_at.utcoffset() != dt.timedelta(0):
        raise DamageError(f"{where} does not say in UTC when it was uploaded")


def _check_pointers(frames: list[FrameLocation], where: str) -> None:
    """The chunk list can be found and decoded, in bounded memory."""
    if not 1 <= len(frames) <= MAX_DEPTH * MAX_BASES:
        raise DamageError(f"{where} locates its chunk list by {len(frames)} frames")
    depths: list[int] = []
    for i, frame in enumerate(frames):
        if not _is_possible(frame, i):
            raise DamageError(f"{where} locates its chunk list at an impossible place")
        depths.append(1 + max((depths[base] for base in frame.bases), default=0))
    if depths[-1] > MAX_DEPTH:
        raise DamageError(f"{where} needs {depths[-1]} frames one after another for its chunk list")
    if sum(frame.raw_size for frame in frames) > MAX_POINTERS_SIZE:
        raise DamageError(f"{where} needs more than {MAX_POINTERS_SIZE} bytes of chunk lists")
    if {base for frame in frames for base in frame.bases} != set(range(len(frames) - 1)):
        raise DamageError(f"{where} names a chunk list that nothing needs")


def _is_possible(frame: FrameLocation, index: int) -> bool:
    return (
        _is_hash(frame.hash)
        and _is_hash(frame.pack)
        and 0 <= frame.stored_size <= frame.raw_size <= MAX_LIST_SIZE
        and 0 <= frame.offset <= frame.pack_size - frame.stored_size
        and frame.pack_size <= MAX_PACK_SIZE
        and len(frame.bases) <= MAX_BASES
        and all(0 <= base < index for base in frame.bases)
    )


def _is_hash(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")
