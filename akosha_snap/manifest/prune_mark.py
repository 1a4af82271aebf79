"""The marks of prune: which packs no snapshot needed when a run looked, and since when."""

from __future__ import annotations

import datetime as dt

import msgspec

from akosha_snap.errors import DamageError
from akosha_snap.manifest.ids import id_time
from akosha_snap.manifest.store_format import FORMAT, decode_object

__all__ = ["MAX_MARK_SIZE", "PruneMark", "decode_mark", "encode_mark", "mark_name"]

MAX_MARK_SIZE = 16 * 1024 * 1024
"""Bytes of a mark that a reader accepts; that of MAX_PACKS packs is smaller."""

MAX_PACKS = 100_000
"""Packs one mark names: 1.6 TB that nothing needs. Those left out are taken to be needed, and come next time."""


class PruneMark(msgspec.Struct, frozen=True, kw_only=True):
    """Written by each run of prune, never changed. `time`: the run's clock when it wrote this.

    `since`, by pack id in hex: every look at the store from then to this run found no snapshot
    that needs the pack. A pack that is not named was needed, or not there.
    """

    format: int = FORMAT
    time: dt.datetime
    since: dict[str, dt.datetime]


def encode_mark(mark: PruneMark) -> bytes:
    """The object's bytes; of more than MAX_PACKS packs, those that have waited longest."""
    oldest = sorted(mark.since.items(), key=lambda item: (item[1], item[0]))[:MAX_PACKS]
    return msgspec.json.encode(msgspec.structs.replace(mark, since=dict(oldest)), order="sorted")


def decode_mark(data: bytes, where: str) -> PruneMark:
    """Parse a mark. Raises NewerFormatError for a later format, DamageError for what does not parse."""
    mark = decode_object(data, PruneMark, where, hint="the next prune writes another")
    if any(time.tzinfo is None for time in (mark.time, *mark.since.values())):
        raise DamageError(f"{where} names a time without its zone")
    return mark


def mark_name(time: dt.datetime, token: str) -> str:
    """What a mark is called: its time in UTC, and `token`, 8 hex digits that no other run has."""
    return f"{id_time(time)}-{token}"
