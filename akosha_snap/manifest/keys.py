"""Every object key of the store, built and read back in this one place."""

from __future__ import annotations

import re

from akosha_snap.manifest.ids import is_upload_id

__all__ = [
    "FORMAT_PREFIX",
    "SYSTEMS_PREFIX",
    "damage_key",
    "damage_name_of",
    "format_key",
    "full_file_key",
    "manifest_key",
    "own_prefix",
    "pack_id_of",
    "pack_key",
    "packs_prefix",
    "prune_mark_key",
    "prune_prefix",
    "system_marker",
    "upload_key",
    "upload_marker",
    "upload_object",
]

SYSTEMS_PREFIX = "systems/"
"""Akosha lists everything under this prefix: nothing lives here that it need not see."""

FORMAT_PREFIX = "akosha-snap/"
"""Our own objects."""

_PACK = re.compile(r"akosha-snap/[^/]+/packs/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_DAMAGE = re.compile(r"akosha-snap/[^/]+/damage/([^/]+)\.json")
_UPLOADED = re.compile(r"systems/[^/]+/([^/]+)/[^/]+")
_MANIFEST = re.compile(r"systems/([A-Za-z0-9_-]{1,100})/([^/]+)/manifest\.json")


def system_marker(system_id: str) -> str:
    """Zero-byte marker that lets Akosha's flat listing find the system."""
    return f"{SYSTEMS_PREFIX}{system_id}/"


def upload_marker(system_id: str, upload_id: str) -> str:
    """Zero-byte marker that lets Akosha's flat listing find the upload."""
    return f"{system_marker(system_id)}{upload_id}/"


def manifest_key(system_id: str, upload_id: str) -> str:
    """The commit point of a snapshot."""
    return f"{upload_marker(system_id, upload_id)}manifest.json"


def full_file_key(system_id: str, upload_id: str, name: str) -> str:
    """A whole file beside its manifest; `name` is the bare name of `files`."""
    return f"{upload_marker(system_id, upload_id)}{name}"


def format_key(system_id: str) -> str:
    """The object that says which format the system's packs have."""
    return f"{own_prefix(system_id)}format.json"


def own_prefix(system_id: str) -> str:
    """All of a system's objects that are not Akosha's to see start with this."""
    return f"{FORMAT_PREFIX}{system_id}/"


def packs_prefix(system_id: str) -> str:
    """All packs of a system start with this."""
    return f"{own_prefix(system_id)}packs/"


def pack_key(system_id: str, pack_id: bytes) -> str:
    """A pack, spread over 256 folders by the first byte of its id."""
    name = pack_id.hex()
    return f"{packs_prefix(system_id)}{name[:2]}/{name}"


def pack_id_of(key: str) -> bytes | None:
    """The id in a pack's key, None for any other key."""
    match = _PACK.fullmatch(key)
    return bytes.fromhex(match[2]) if match else None


def damage_key(system_id: str, name: str) -> str:
    """A damage record; `name` has the shape of an upload id."""
    return f"{own_prefix(system_id)}damage/{name}.json"


def damage_name_of(key: str) -> str | None:
    """The name in a damage record's key, None for any other key."""
    match = _DAMAGE.fullmatch(key)
    return match[1] if match else None


def prune_prefix(system_id: str) -> str:
    """All marks of prune start with this."""
    return f"{own_prefix(system_id)}prune/"


def prune_mark_key(system_id: str, name: str) -> str:
    """What one run of prune saw; `name` is its time and 8 hex digits at random."""
    return f"{prune_prefix(system_id)}{name}.json"


def upload_key(key: str) -> tuple[str, str] | None:
    """System id and upload id in a manifest's key, None for any other key."""
    match = _MANIFEST.fullmatch(key)
    return (match[1], match[2]) if match else None


def upload_object(key: str) -> str | None:
    """The upload id in the key of an object of an upload (its manifest, a whole file), None for any other key."""
    match = _UPLOADED.fullmatch(key)
    return match[1] if match and is_upload_id(match[1]) else None
