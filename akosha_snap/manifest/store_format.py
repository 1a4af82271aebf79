"""format.json: what a reader must know of a system's packs before it reads any."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from akosha_snap.chunking import V1, ChunkerParams
from akosha_snap.errors import DamageError, NewerFormatError

__all__ = ["FORMAT", "StoreFormat", "check_format", "decode_format", "decode_object", "encode_format"]

_T = TypeVar("_T")

FORMAT = 1
"""The format this package reads and writes."""


_REMOVE = "run `akosha-snap repair`, which writes that object anew"


class StoreFormat(msgspec.Struct, frozen=True):
    """Created with the first snapshot, never changed. Readers need `format` alone; the rest tells writers."""

    format: int = FORMAT
    hash: str = "blake3-256"
    codecs: list[str] = msgspec.field(default_factory=lambda: ["raw", "zstd"])
    chunker: ChunkerParams = V1


def encode_format(value: StoreFormat) -> bytes:
    """The object's bytes."""
    return msgspec.json.encode(value, order="sorted")


def decode_format(data: bytes, where: str) -> StoreFormat:
    """Parse format.json. Raises NewerFormatError for a later format, DamageError for what does not parse."""
    value = decode_object(data, StoreFormat, where, hint=_REMOVE)
    if value != StoreFormat():
        raise DamageError(f"{where} names other parameters than those of format {FORMAT}", hint=_REMOVE)
    return value


def decode_object(data: bytes, kind: type[_T], where: str, *, hint: str) -> _T:
    """Parse one of our JSON objects, which all name their `format`.

    Raises NewerFormatError for a later format, DamageError (with this `hint`) for what does not parse.
    """
    try:
        check_format(msgspec.json.decode(data, type=_AnyFormat).format, where)
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamageError(f"{where} does not parse: {error}", hint=hint) from None


def check_format(version: int, where: str) -> None:
    """Raises NewerFormatError where `version` is later than ours, DamageError where it cannot be one."""
    if version > FORMAT:
        raise NewerFormatError(
            f"{where} has format {version}, newer than {FORMAT}, the latest this akosha-snap reads",
            hint="upgrade akosha-snap",
        )
    if version < 1:
        raise DamageError(f"{where} claims format {version}")


class _AnyFormat(msgspec.Struct):
    """Of a format that may be later than ours only its number can be relied on."""

    format: int
