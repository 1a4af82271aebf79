"""manifest.json: bytes from struct and back, with its checksum."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from akosha_snap.errors import DamageError
from akosha_snap.frames.limits import MAX_BASES, MAX_DEPTH, MAX_LIST_SIZE
from akosha_snap.manifest.ids import is_file_name
from akosha_snap.manifest.location import FrameLocation
from akosha_snap.manifest.snapshot import Manifest, SnapshotInfo
from akosha_snap.manifest.store_format import check_format

__all__ = ["MAX_MANIFEST_SIZE", "decode_manifest", "encode_manifest"]

MAX_MANIFEST_SIZE = 16 * 1024 * 1024
"""Bytes of a manifest that a reader accepts."""


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
    _check(manifest.snapshot, where)
    return manifest


def _canonical(tree: dict[str, Any]) -> bytes:
    return msgspec.json.encode(tree, order="sorted")


def _checksum(tree: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({**tree, "checksum": None})).hexdigest()


def _check(info: SnapshotInfo, where: str) -> None:
    for file in info.files:
        if not is_file_name(file.name) or file.size < 0 or not _is_hash(file.blake3):
            raise DamageError(f"{where} names an impossible file {file.name!r}")
    if len({file.name for file in info.files}) != len(info.files) or not _is_hash(info.root):
        raise DamageError(f"{where} names a file twice, or no root")
    if not 1 <= len(info.chunk_list) <= MAX_DEPTH * MAX_BASES:
        raise DamageError(f"{where} locates its chunk list by {len(info.chunk_list)} frames")
    depths: list[int] = []
    for i, frame in enumerate(info.chunk_list):
        if not _is_possible(frame, i):
            raise DamageError(f"{where} locates its chunk list at an impossible place")
        depths.append(1 + max((depths[base] for base in frame.bases), default=0))
    if depths[-1] > MAX_DEPTH:
        raise DamageError(f"{where} needs {depths[-1]} frames one after another for its chunk list")


def _is_possible(frame: FrameLocation, index: int) -> bool:
    return (
        _is_hash(frame.hash)
        and _is_hash(frame.pack)
        and 0 <= frame.raw_size <= MAX_LIST_SIZE
        and 0 <= frame.offset
        and 0 <= frame.stored_size <= frame.pack_size - frame.offset
        and len(frame.bases) <= MAX_BASES
        and all(0 <= base < index for base in frame.bases)
    )


def _is_hash(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")
