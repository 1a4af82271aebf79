"""Akosha's tool batch_store_memories: send a batch, and tell what its answer means for each record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from akosha_snap.akosha.batches import MAX_BODY, Piece
from akosha_snap.akosha.mcp_client import McpClient
from akosha_snap.errors import AkoshaError

__all__ = ["MAX_PIECES", "TOOL", "Outcome", "store_batch"]

TOOL = "batch_store_memories"

_BEFORE, _AFTER = b'{"memories":[', b"]}"

MAX_PIECES = MAX_BODY - McpClient.overhead(TOOL) - len(_BEFORE) - len(_AFTER)
"""Bytes that the records of one batch, joined by commas, may have."""


class Outcome(NamedTuple):
    """The ids of a batch by what became of them; of the failed ones, why."""

    stored: list[str]
    duplicates: list[str]
    failed: dict[str, str]


def store_batch(client: McpClient, batch: Sequence[Piece]) -> Outcome:
    """Send one batch. Raises RequestTooLarge, and whatever McpClient raises."""
    pieces = [each for piece in batch for each in (b",", piece.data)]
    answer = client.call_tool(TOOL, _BEFORE, *pieces[1:], _AFTER)
    ids = [piece.memory_id for piece in batch]
    errors = _errors(answer)
    if not errors and answer.get("failed"):  # refused as a whole
        reason = str(answer.get("error") or "Akosha does not say why")
        return Outcome([], [], dict.fromkeys(ids, reason))
    if not _adds_up(answer, len(ids), errors, set(ids)):
        raise AkoshaError(f"Akosha's tool {TOOL} answered nonsense: its counts do not fit what it was sent")
    duplicates = [each for each in ids if each in errors and _is_duplicate(errors[each])]
    failed = {each: why for each, why in errors.items() if not _is_duplicate(why)}
    return Outcome([each for each in ids if each not in errors], duplicates, failed)


def _errors(answer: dict[str, Any]) -> dict[str, str]:
    listed = answer.get("errors")
    return {
        str(error.get("memory_id")): str(error.get("error"))
        for error in (listed if isinstance(listed, list) else [])
        if isinstance(error, dict)
    }


def _adds_up(answer: dict[str, Any], total: int, errors: dict[str, str], ids: set[str]) -> bool:
    """Ids in a batch are unique, so each error is of one record, and the rest was stored."""
    return answer.get("stored") == total - len(errors) and answer.get("failed") == len(errors) and errors.keys() <= ids


def _is_duplicate(error: str) -> bool:
    """`Constraint Error: Duplicate key "..." violates primary key constraint.` (DuckDB): it is there already."""
    lowered = error.lower()
    return "duplicate key" in lowered and ("primary key" in lowered or "unique" in lowered)
