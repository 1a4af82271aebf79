"""Tools for entities and relationships, should a server have them. No Akosha known so far does.

Names and arguments are those by which Session-Buddy 0.23 would call them (storage/akosha_sync.py).
"""

from __future__ import annotations

from typing import Any

import msgspec

from akosha_snap.source import Kind, Record

__all__ = ["TOOLS", "graph_arguments"]

TOOLS: dict[Kind, str] = {"entity": "create_entity", "relationship": "create_relation"}


def graph_arguments(record: Record, system_id: str) -> bytes:
    """The arguments that send an entity or a relationship to its tool, as JSON."""
    attributes = record.attributes
    arguments: dict[str, Any] = (
        {name: attributes.get(name, "") for name in ("name", "entity_type")}
        | {"observations": attributes.get("observations", [])}
        if record.kind == "entity"
        else {name: attributes.get(name, "") for name in ("from_entity", "to_entity", "relation_type")}
    )
    properties = {**_dict(attributes.get("properties")), "source_system": system_id, "original_id": record.id}
    if record.created_at:
        properties["created_at"] = record.created_at.isoformat()
    return msgspec.json.encode({**arguments, "properties": properties, "metadata": _dict(attributes.get("metadata"))})


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
