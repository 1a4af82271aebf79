"""A damage record: what `repair` found damaged in a system's packs, for the next push to heal."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec

from akosha_snap.frames import HASH_SIZE, MAX_LISTED
from akosha_snap.frames.limits import MAX_FRAMES
from akosha_snap.manifest.store_format import FORMAT, decode_object

__all__ = ["DamageRecord", "DamagedPack", "decode_damage", "encode_damage"]

_Hash = Annotated[str, msgspec.Meta(pattern=rf"\A[0-9a-f]{{{2 * HASH_SIZE}}}\Z")]


class DamagedPack(msgspec.Struct, frozen=True):
    """A pack (its id in hex) and the chunks (hex) whose frames in it are damaged; None for all of them."""

    pack: _Hash
    chunks: Annotated[list[_Hash], msgspec.Meta(max_length=MAX_FRAMES)] | None = None


class DamageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that was damaged at one moment (UTC). The newest record stands for all; one without packs: nothing is."""

    format: int = FORMAT
    found_at: dt.datetime
    tool: str
    packs: Annotated[list[DamagedPack], msgspec.Meta(max_length=MAX_LISTED)]


def encode_damage(value: DamageRecord) -> bytes:
    """The object's bytes."""
    return msgspec.json.encode(value, order="sorted")


def decode_damage(data: bytes, where: str) -> DamageRecord:
    """Parse a damage record. Raises NewerFormatError for a later format, DamageError for what does not parse."""
    return decode_object(data, DamageRecord, where, hint="run `akosha-snap repair` again")
