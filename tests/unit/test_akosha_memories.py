"""What a record becomes on its way to Akosha."""

from __future__ import annotations

import datetime as dt
import json

import msgspec
import pytest

from akosha_snap.akosha.memories import as_argument, as_conversation, memory_id, memory_of
from akosha_snap.source import Record

MOMENT = dt.datetime(2026, 3, 4, 5, 6, 7, 8)
VECTOR = json.dumps([0.25] * 384, separators=(",", ":")).encode()
RECORD = Record("reflection", "r:1", "tëxt", VECTOR, MOMENT, {"tags": ["a"], "type": "x", "metadata": {"k": 1}})


def test_both_shapes() -> None:
    memory = memory_of(RECORD, "mac", "zero")
    assert memory is not None
    key = memory.memory_id
    assert key.startswith("mac:reflection:r:1:")
    assert json.loads(as_argument(memory)) == {
        "memory_id": key,
        "text": "tëxt",
        "embedding": [0.25] * 384,
        "metadata": {"source": "mac", "original_id": "r:1", "type": "reflection", "created_at": MOMENT.isoformat()},
    }
    assert json.loads(as_conversation(memory)) == {
        "id": key,
        "content": "tëxt",
        "embedding": [0.25] * 384,
        "timestamp": MOMENT.isoformat(),
        "source": "mac",
        "metadata": {"tags": ["a"], "metadata": {"k": 1}, "type": "reflection", "original_id": "r:1"},
    }


def test_no_moment_is_left_out() -> None:
    memory = memory_of(msgspec.structs.replace(RECORD, created_at=None), "mac", "zero")
    assert memory is not None
    assert "timestamp" not in json.loads(as_conversation(memory))
    assert "created_at" not in json.loads(as_argument(memory))["metadata"]


def test_the_policies() -> None:
    bare = msgspec.structs.replace(RECORD, embedding=None)
    assert memory_of(bare, "mac", "skip") is None
    memory = memory_of(bare, "mac", "zero")
    assert memory is not None
    assert json.loads(memory.embedding) == [0.0] * 384
    assert memory_of(msgspec.structs.replace(RECORD, text=""), "mac", "zero") is None


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"attributes": {}}, True),
        ({"embedding": VECTOR.replace(b"25", b"75")}, True),
        ({"created_at": None}, True),
        ({"text": "other"}, False),
        ({"embedding": None}, False),
        ({"id": "r:2"}, False),
        ({"kind": "conversation"}, False),
    ],
)
def test_the_id_is_that_of_the_content(change: dict[str, object], same: bool) -> None:
    changed = msgspec.structs.replace(RECORD, **change)
    assert (memory_id(changed, "mac") == memory_id(RECORD, "mac")) is same


def test_the_id_stays_what_it_is() -> None:
    """Another would store every record anew."""
    assert memory_id(RECORD, "mac") == "mac:reflection:r:1:df623fda04fa"
