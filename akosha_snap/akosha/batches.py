"""Cutting records into batches that fit a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

__all__ = ["MAX_BODY", "MAX_RECORDS", "Piece", "cut"]

MAX_BODY = 4_194_304
"""Bytes of a request's whole body that Akosha's server takes (found by trying 0.11: one more is a 413)."""

MAX_RECORDS = 1_000
"""Records that batch_store_memories takes at once (session_buddy_tools.py)."""


class Piece(NamedTuple):
    """A record ready to be sent: its id and its JSON."""

    memory_id: str
    data: bytes


def cut(
    pieces: Iterable[Piece], *, max_bytes: Callable[[], int], max_records: int = MAX_RECORDS
) -> Iterator[list[Piece]]:
    """Batches of at most so many records, whose JSON joined by commas has at most so many bytes.

    `max_bytes` is asked for each batch anew. A piece that is larger by itself comes alone.
    """
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        if batch and (len(batch) == max_records or size + len(piece.data) > max_bytes()):
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += len(piece.data) + 1
    if batch:
        yield batch
