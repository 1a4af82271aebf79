"""Count the records in databases, so that a snapshot is called good only when DuckDB can read it."""

from __future__ import annotations

from collections.abc import Iterable

from akosha_snap.manifest import Counts
from akosha_snap.source import RecordCounts

__all__ = ["add_up"]


def add_up(found: Iterable[RecordCounts]) -> Counts:
    """The records of several databases together."""
    totals = [0, 0, 0, 0]
    for one in found:
        for i, number in enumerate((one.conversations, one.reflections, one.entities, one.relationships)):
            totals[i] += number
    conversations, reflections, entities, relationships = totals
    return Counts(conversations, reflections, entities, relationships)
