"""What a push says of the records, also where the installed DuckDB cannot or must not read them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from helpers import SYSTEM
from test_source_header import seal

from akosha_snap import api
from akosha_snap.errors import DamageError, SourceError
from akosha_snap.manifest import Counts
from akosha_snap.snapshot.results import PushResult

FIXTURES = Path(__file__).parents[1] / "fixtures" / "duckdb"
TODAY = (FIXTURES / "v2_0_closed.duckdb").read_bytes()
COUNTS = Counts(conversations=300, reflections=0, entities=100, relationships=50)


def of_a_later_duckdb() -> bytes:
    """The same database in a storage version that no DuckDB writes yet."""
    raw = bytearray(TODAY)
    struct.pack_into("<Q", raw, 12, 1200)
    seal(raw, 0)
    return bytes(raw)


def push(bench, data: bytes) -> PushResult:
    return bench.push({"memory.duckdb": data})


def test_they_are_counted_by_opening_the_copy(bench):
    result = push(bench, TODAY)
    assert result.counts == bench.manifest(result.upload_id).snapshot.counts == COUNTS
    assert bench.manifest(result.upload_id).conversation_count == 300
    assert api.snapshots(bench.store, system_id=SYSTEM).snapshots[0].conversation_count == 300


def test_a_database_too_new_for_duckdb_is_pushed_with_the_counts_before(bench):
    push(bench, TODAY)
    result = push(bench, of_a_later_duckdb())
    assert (result.counts.conversations, result.counts.counted) == (300, False)
    assert any("pushed without opening it" in warning for warning in result.warnings)
    assert bench.restored() == {"memory.duckdb": of_a_later_duckdb()}


def test_and_verified_as_far_as_possible(bench):
    push(bench, of_a_later_duckdb())
    result = bench.verify(level="open")
    assert result.ok
    assert any("not opened" in warning for warning in result.warnings)


def test_a_database_that_duckdb_cannot_read_is_not_pushed(bench):
    torn = bytearray(TODAY)
    torn[len(torn) // 2 :] = bytes(len(torn) - len(torn) // 2)
    with pytest.raises((DamageError, SourceError)):
        push(bench, bytes(torn))
    assert bench.objects() == {}
