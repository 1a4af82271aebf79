"""A record as Akosha stores it: its id, its vector, and the two shapes in which it is handed over."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

from akosha_snap.frames import content_hash
from akosha_snap.source import Kind, Record

__all__ = ["EmbeddingPolicy", "Memory", "as_argument", "as_conversation", "memory_id", "memory_of"]

EmbeddingPolicy = Literal["zero", "skip"]
"""What becomes of a record without a vector that Akosha can take: 384 zeros, as Akosha itself does, or nothing."""

_ZEROS = b"[" + b",".join([b"0.0"] * 384) + b"]"
_HASH_DIGITS = 12
"""48 bits: they only tell the versions of one record apart."""


class Memory(msgspec.Struct, frozen=True):
    """A record on its way to Akosha."""

    memory_id: str
    kind: Kind
    system_id: str
    original_id: str
    text: str
    embedding: bytes
    """JSON of 384 numbers."""
    created_at: dt.datetime | None
    """Naive UTC: 0.11 takes an aware time and shifts it to the server's own zone."""
    attributes: dict[str, Any]


def memory_of(record: Record, system_id: str, policy: EmbeddingPolicy) -> Memory | None:
    """The memory this record becomes; None where it has no text (Akosha stores none) or by the policy no vector."""
    if not record.text or (record.embedding is None and policy == "skip"):
        return None
    return Memory(
        memory_id(record, system_id),
        record.kind,
        system_id,
        record.id,
        record.text,
        record.embedding or _ZEROS,
        record.created_at,
        record.attributes,
    )


def memory_id(record: Record, system_id: str) -> str:
    """`<system>:<kind>:<original id>:<hash of the content>`, the same for the same content, however it travels.

    Akosha has one key for the records of all systems, so it carries the system; and it refuses a
    key it has, so that nothing can be updated: a record whose text has changed, or that has got a
    vector at last, becomes a new memory beside the old. Counters, tags and other attributes do not
    count as content, nor does a vector that was computed anew.
    """
    content = [record.text, record.embedding is not None]
    if not record.id:
        content.append(record.created_at)
    digest = content_hash(msgspec.json.encode(content)).hex()[:_HASH_DIGITS]
    return f"{system_id}:{record.kind}:{record.id}:{digest}"


def as_argument(memory: Memory) -> bytes:
    """One element of batch_store_memories' `memories`: what survives there of the metadata, and nothing else."""
    metadata = {"source": memory.system_id, "original_id": memory.original_id, "type": memory.kind}
    if memory.created_at:
        metadata["created_at"] = memory.created_at.isoformat()
    return msgspec.json.encode(
        {
            "memory_id": memory.memory_id,
            "text": memory.text,
            "embedding": msgspec.Raw(memory.embedding),
            "metadata": metadata,
        }
    )


def as_conversation(memory: Memory) -> bytes:
    """One element of memories.json's `conversations`, which the ingestion worker reads."""
    conversation: dict[str, Any] = {
        "id": memory.memory_id,
        "content": memory.text,
        "embedding": msgspec.Raw(memory.embedding),
        "metadata": {**memory.attributes, "type": memory.kind, "original_id": memory.original_id},
        "source": memory.system_id,
    }
    if memory.created_at:
        conversation["timestamp"] = memory.created_at.isoformat()
    return msgspec.json.encode(conversation)
