"""Sending records to a server that fails as told: what arrives, what is remembered, what is said."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import memory_db
import msgspec
import pytest
from fake_akosha import BATCH_TOOL, MAX_BODY, FakeAkosha, running_fake

from akosha_snap.akosha import SendResult, failures, mcp_client, send_records, sending
from akosha_snap.akosha import batches as batches_module
from akosha_snap.akosha import send as akosha_send
from akosha_snap.akosha.ledger import Ledger
from akosha_snap.errors import AkoshaError, CapabilityError, ConfigError, DamageError, TransientAkoshaError
from akosha_snap.events import Observer
from akosha_snap.source import Record, read_records

SYSTEM = "mac-local"
TABLE = "CREATE TABLE conversations_v2 (id VARCHAR, content VARCHAR, embedding FLOAT[], timestamp TIMESTAMP)"


@pytest.fixture
def fake() -> Iterator[FakeAkosha]:
    with running_fake() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_client, "_FIRST_WAIT", 0.001)


def database(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    """A database whose conversations are these rows: id, text, vector, time."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(TABLE)
        for row in rows:
            connection.execute("INSERT INTO conversations_v2 VALUES (?, ?, ?, ?)", [*row, *[None] * (4 - len(row))])
    return path


def numbered(count: int, start: int = 0) -> list[tuple[Any, ...]]:
    return [(f"c{i}", f"text {i}", [i / 7] * 384) for i in range(start, start + count)]


def many(path: Path, count: int) -> Path:
    """A database of so many conversations, without vectors: quickly made."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(TABLE)
        connection.execute(f"INSERT INTO conversations_v2 SELECT 'c' || i, 'text', NULL, NULL FROM range({count}) t(i)")
    return path


def send(fake: FakeAkosha, *paths: Path, **options: Any) -> SendResult:
    return send_records(list(paths), **{"url": fake.url, "system_id": SYSTEM, **options})


def counts(result: SendResult) -> tuple[int, ...]:
    return result.sent, result.stored, result.duplicates, result.unchanged, result.skipped, result.failed


def batches(fake: FakeAkosha) -> list[int]:
    """How many records each call had."""
    return [len(arguments["memories"]) for name, arguments in fake.calls if name == BATCH_TOOL]


def test_a_memory(fake: FakeAkosha, tmp_path: Path) -> None:
    reflection, graph = memory_db.build(tmp_path, conversations=40)
    result = send(fake, reflection, graph, state_dir=tmp_path / "state")
    assert counts(result) == (45, 45, 0, 0, 0, 0)
    assert result.success
    assert (result.server, result.system_id) == (fake.url, SYSTEM)
    assert result.not_sent_kinds == {"entity": 40, "relationship": 80}
    assert result.failures_file is None
    assert result.requests == len(fake.asked) - 1, "the session's end is not one of them"
    with duckdb.connect(str(reflection), read_only=True) as connection:
        rows = connection.execute("SELECT id, content, embedding, timestamp FROM conversations_v2").fetchall()
    of = {memory["metadata"]["original_id"]: memory for memory in fake.stored.values()}
    for key, content, embedding, moment in rows:
        memory = of[key]
        assert memory["memory_id"].startswith(f"{SYSTEM}:conversation:{key}:")
        assert memory["text"] == content
        assert memory["embedding"] == pytest.approx(list(embedding), rel=1e-7)
        assert memory["metadata"] == {
            "source": SYSTEM, "original_id": key, "type": "conversation", "created_at": moment.isoformat(),
        }  # fmt: skip
    types = [memory["metadata"]["type"] for memory in fake.stored.values()]
    assert (types.count("conversation"), types.count("reflection")) == (40, 5)


def test_only_what_is_new_the_next_time(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", numbered(30))
    assert counts(send(fake, path, state_dir=tmp_path)) == (30, 30, 0, 0, 0, 0)
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO conversations_v2 SELECT 'new', 'newer', NULL, '2020-01-01'")
    result = send(fake, path, state_dir=tmp_path)
    assert counts(result) == (1, 1, 0, 30, 0, 0)
    assert not result.resent_all
    assert batches(fake) == [30, 1, 1], "the one between is a look whether the server still has them"


def test_without_a_state_folder_everything_is_sent_and_nothing_is_there_twice(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", numbered(30))
    send(fake, path)
    assert counts(send(fake, path)) == (30, 0, 30, 0, 0, 0)
    assert len(fake.stored) == 30
    assert sorted(tmp_path.iterdir()) == [path]


def test_full_sends_all(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", numbered(30))
    send(fake, path, state_dir=tmp_path)
    assert counts(send(fake, path, state_dir=tmp_path, full=True)) == (30, 0, 30, 0, 0, 0)
    assert counts(send(fake, path, state_dir=tmp_path)) == (0, 0, 0, 30, 0, 0)


def test_systems_and_servers_are_remembered_apart(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", numbered(3))
    send(fake, path, state_dir=tmp_path)
    assert counts(send(fake, path, state_dir=tmp_path, system_id="other"))[1] == 3
    with running_fake() as another:
        assert counts(send(another, path, state_dir=tmp_path))[1] == 3
    assert len(fake.stored) == 6


def test_a_changed_record_becomes_a_new_one_beside_the_old(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", numbered(3))
    send(fake, path, state_dir=tmp_path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE conversations_v2 SET content = 'rewritten' WHERE id = 'c1'")
    assert counts(send(fake, path, state_dir=tmp_path)) == (1, 1, 0, 2, 0, 0)
    assert counts(send(fake, path)) == (3, 0, 3, 0, 0, 0), "and without the ledger it is the same record"
    texts = [m["text"] for m in fake.stored.values() if m["metadata"]["original_id"] == "c1"]
    assert texts == ["text 1", "rewritten"]


# --- the server loses its memory --------------------------------------------------------------------------------


def test_a_server_restarted_between_two_runs_gets_everything(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", numbered(30))
    send(fake, path, state_dir=tmp_path)
    fake.restart()
    result = send(fake, path, state_dir=tmp_path)
    assert result.resent_all
    assert len(fake.stored) == 30
    assert result.stored + result.duplicates == 30
    assert not send(fake, path, state_dir=tmp_path).resent_all


def test_no_text_of_a_record_is_kept_here(fake: FakeAkosha, tmp_path: Path) -> None:
    rows = [(f"c{i}", f"a secret {i}", None) for i in range(300)]
    path = database(tmp_path / "a.duckdb", rows)
    state = tmp_path / "state"
    for _ in range(2):
        send(fake, path, state_dir=state)
    fake.restart()
    send(fake, path, state_dir=state)
    kept = [file for file in state.rglob("*") if file.is_file()]
    assert [file.name for file in kept] == ["sent.sqlite"]
    assert b"secret" not in kept[0].read_bytes()


def test_what_cannot_be_checked_does_not_count(fake: FakeAkosha, tmp_path: Path) -> None:
    """Of two databases one is sent, the server restarted, the other sent: what the ledger has of the first is lost."""
    one, other = database(tmp_path / "a.duckdb", numbered(30)), database(tmp_path / "b.duckdb", numbered(10, 100))
    send(fake, one, state_dir=tmp_path)
    fake.restart()
    assert counts(send(fake, other, state_dir=tmp_path)) == (10, 10, 0, 0, 0, 0)
    assert counts(send(fake, other, one, state_dir=tmp_path)) == (30, 30, 0, 10, 0, 0)
    assert len(fake.stored) == 40


def test_an_empty_database_costs_the_ledger_nothing(fake: FakeAkosha, tmp_path: Path) -> None:
    path, empty = database(tmp_path / "a.duckdb", numbered(30)), database(tmp_path / "b.duckdb", [])
    send(fake, path, state_dir=tmp_path)
    send(fake, empty, state_dir=tmp_path)
    assert counts(send(fake, path, state_dir=tmp_path)) == (0, 0, 0, 30, 0, 0)


def test_a_server_restarted_half_way_gets_everything(
    fake: FakeAkosha, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "a.duckdb", 2500)
    fake.faults.extend([None, None, "restart"])
    result = send(fake, path, state_dir=tmp_path)
    assert result.resent_all
    assert len(fake.stored) == 2500
    assert counts(send(fake, path, state_dir=tmp_path)) == (0, 0, 0, 2500, 0, 0)


@pytest.mark.parametrize("answers", [["lose"] * 5, ["lose", *["drop"] * 4]])
def test_a_restart_that_nobody_heard_of_is_not_forgotten(fake: FakeAkosha, tmp_path: Path, answers: list[str]) -> None:
    """The restarted server has the record that it is asked for since it was asked, but no answer came."""
    path = database(tmp_path / "a.duckdb", numbered(30))
    send(fake, path, state_dir=tmp_path)
    fake.restart()
    fake.faults.extend(answers)
    with pytest.raises(TransientAkoshaError):
        send(fake, path, state_dir=tmp_path)
    assert len(fake.stored) == 1
    result = send(fake, path, state_dir=tmp_path)
    assert (result.resent_all, result.stored, result.duplicates) == (True, 29, 1)
    assert len(fake.stored) == 30
    assert counts(send(fake, path, state_dir=tmp_path)) == (0, 0, 0, 30, 0, 0)


def test_killed_before_the_ledger_is_emptied(fake: FakeAkosha, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = database(tmp_path / "a.duckdb", numbered(30))
    send(fake, path, state_dir=tmp_path)
    fake.restart()
    with monkeypatch.context() as patch:

        def killed(_: Ledger) -> None:
            raise KeyboardInterrupt

        patch.setattr(Ledger, "forget", killed)
        with pytest.raises(KeyboardInterrupt):
            send(fake, path, state_dir=tmp_path)
    assert len(fake.stored) == 1
    assert send(fake, path, state_dir=tmp_path).resent_all
    assert len(fake.stored) == 30


def test_a_server_that_is_always_restarted(fake: FakeAkosha, tmp_path: Path) -> None:
    path = many(tmp_path / "a.duckdb", 1001)
    fake.faults.extend([None, "restart", None, None] * 3)
    with pytest.raises(AkoshaError, match="lost everything it was sent, 3 times"):
        send(fake, path, state_dir=tmp_path)


@pytest.mark.parametrize("fault", ["drop", "lose", "cut", "forget_session", 500, 503, 429])
def test_a_fault_in_the_middle_costs_nothing(fake: FakeAkosha, tmp_path: Path, fault: Any) -> None:
    path = many(tmp_path / "a.duckdb", 1500)
    fake.faults.extend([None, fault])
    result = send(fake, path, state_dir=tmp_path)
    assert (result.success, result.resent_all, result.failed) == (True, False, 0)
    assert result.stored + result.duplicates == 1500
    assert len(fake.stored) == 1500


def test_a_server_that_dies_for_good_in_the_middle(fake: FakeAkosha, tmp_path: Path) -> None:
    path = many(tmp_path / "a.duckdb", 2500)
    fake.faults.extend([None, *["drop"] * 5])
    with pytest.raises(TransientAkoshaError, match="cannot be reached"):
        send(fake, path, state_dir=tmp_path)
    done = len(fake.stored)
    assert 0 < done < 2500
    assert counts(send(fake, path, state_dir=tmp_path)) == (2500 - done, 2500 - done, 0, done, 0, 0)


# --- what the server does not take ------------------------------------------------------------------------------


def test_refused_records_are_counted_listed_and_kept(fake: FakeAkosha, tmp_path: Path) -> None:
    rows = [*numbered(5), *[(f"bad{i}", f"refuse {i}", None) for i in range(30)]]
    path = database(tmp_path / "a.duckdb", rows)
    result = send(fake, path, state_dir=tmp_path / "state")
    assert counts(result) == (35, 5, 0, 0, 0, 30)
    assert not result.success
    assert len(result.errors) == 20
    assert result.errors[0].error == "Embedding is required"
    assert result.failures_file
    kept = Path(result.failures_file)
    assert kept.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [line["memory_id"].split(":")[2] for line in lines] == [f"bad{i}" for i in range(30)]
    assert set(lines[0]) == {"memory_id", "error"}
    again = send(fake, path, state_dir=tmp_path / "state")
    assert counts(again) == (30, 0, 0, 5, 0, 30), "they are tried again"
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM conversations_v2 WHERE id LIKE 'bad%'")
    assert send(fake, path, state_dir=tmp_path / "state").failures_file is None
    assert not kept.exists()


def test_the_file_of_failures_is_bounded(fake: FakeAkosha, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MAX_BYTES", 2000)
    rows = [(f"bad{i}" + "x" * 100, "refuse", None) for i in range(100)] + [("y" * 5000, "refuse", None)]
    path = database(tmp_path / "a.duckdb", rows)
    left = tmp_path / "state" / "akosha"
    result = send(fake, path, state_dir=tmp_path / "state")
    assert result.failed == 101
    assert result.failures_file
    lines = Path(result.failures_file).read_text().splitlines()
    assert sum(len(line) + 1 for line in lines[:-1]) <= 2000
    assert len(lines) > 10
    assert json.loads(lines[-1]) == {"memory_id": "", "error": f"and {101 - len(lines) + 1} more, which are not listed"}
    # what one that was killed a day ago has left is swept
    (folder,) = left.iterdir()
    for name in (f".tmp-{'0' * 16}", ".tmp-mine"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    send(fake, path, state_dir=tmp_path / "state")
    assert sorted(file.name for file in folder.iterdir()) == [".tmp-mine", "failed.jsonl", "sent.sqlite"]


def test_an_id_that_is_a_book(fake: FakeAkosha, tmp_path: Path) -> None:
    result = send(fake, database(tmp_path / "a.duckdb", [("y" * 1_000_000, "refuse", None)]))
    assert len(result.errors[0].memory_id) == 300


def test_a_batch_refused_as_a_whole(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", numbered(3))
    fake.faults.append({"structuredContent": {"status": "failed", "total": 3, "stored": 0, "failed": 3, "error": "no"}})
    result = send(fake, path, state_dir=tmp_path)
    assert counts(result) == (3, 0, 0, 0, 0, 3)
    assert {error.error for error in result.errors} == {"no"}
    assert counts(send(fake, path, state_dir=tmp_path)) == (3, 3, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "answer", [{"stored": 2, "failed": 0}, {"stored": 3, "failed": 0, "errors": [{"memory_id": "x"}]}, {"ok": True}]
)
def test_counts_that_do_not_add_up_are_not_believed(fake: FakeAkosha, tmp_path: Path, answer: dict[str, Any]) -> None:
    path = database(tmp_path / "a.duckdb", numbered(3))
    fake.faults.append({"structuredContent": answer})
    with pytest.raises(AkoshaError, match="counts do not fit"):
        send(fake, path, state_dir=tmp_path)
    assert counts(send(fake, path, state_dir=tmp_path)) == (3, 3, 0, 0, 0, 0)


def test_no_tool_to_store_anything(fake: FakeAkosha, tmp_path: Path) -> None:
    fake.tools = ["search_all_systems", "get_status"]
    with pytest.raises(CapabilityError, match=r"has no tool batch_store_memories.*AKOSHA_TOOL_PROFILE=full"):
        send(fake, database(tmp_path / "a.duckdb", numbered(3)))


def test_entities_and_relationships_go_to_their_tools_where_there_are_some(fake: FakeAkosha, tmp_path: Path) -> None:
    reflection, graph = memory_db.build(tmp_path, conversations=8)
    fake.tools += ["create_entity", "create_relation"]
    state = tmp_path / "state"
    fake.faults.extend([None, None, {"isError": True, "content": [{"type": "text", "text": "bad"}]}])
    result = send(fake, reflection, graph, state_dir=state)
    assert result.not_sent_kinds == {}
    assert counts(result) == (33, 32, 0, 0, 0, 1)
    assert result.errors[0].error == "Akosha's tool create_entity failed: bad"
    _, entity = next(call for call in fake.calls if call[0] == "create_entity")
    assert set(entity) == {"name", "entity_type", "observations", "properties", "metadata"}
    assert {"score", "source_system", "original_id", "created_at"} == set(entity["properties"])
    _, relation = next(call for call in fake.calls if call[0] == "create_relation")
    assert set(relation) == {"from_entity", "to_entity", "relation_type", "properties", "metadata"}
    assert counts(send(fake, reflection, graph, state_dir=state)) == (1, 1, 0, 32, 0, 0)


def test_only_the_kinds_asked_for(fake: FakeAkosha, tmp_path: Path) -> None:
    reflection, graph = memory_db.build(tmp_path, conversations=8)
    result = send(fake, reflection, graph, kinds=["conversation"])
    assert counts(result)[0] == 8
    assert result.not_sent_kinds == {}


# --- what the records are like ----------------------------------------------------------------------------------


def test_bodies_never_exceed_the_limit_and_are_well_filled(fake: FakeAkosha, tmp_path: Path) -> None:
    rows = [(f"c{i}", "é" * 8_000, [0.123456789] * 384) for i in range(700)]
    result = send(fake, database(tmp_path / "a.duckdb", rows))
    assert counts(result) == (700, 700, 0, 0, 0, 0)
    assert max(batches(fake)) < 1000
    assert result.bytes_sent > 0.9 * MAX_BODY * (len(batches(fake)) - 1)


def test_never_more_than_a_thousand_records(fake: FakeAkosha, tmp_path: Path) -> None:
    send(fake, many(tmp_path / "a.duckdb", 2300))
    assert batches(fake) == [1000, 1000, 300]


def test_records_are_read_as_they_are_sent(fake: FakeAkosha, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, no more than a batch and the group after it are read and not yet answered."""
    ahead: list[int] = []
    read = 0

    def watched(*args: Any) -> Iterator[Record]:
        nonlocal read
        for record in read_records(*args):
            read += 1
            ahead.append(read - len(fake.stored))
            yield record

    monkeypatch.setattr(akosha_send, "read_records", watched)
    assert send(fake, many(tmp_path / "a.duckdb", 5000)).stored == 5000
    assert read == 5000
    assert max(ahead) <= batches_module.MAX_RECORDS + sending._GROUP


def test_a_proxy_that_takes_less(fake: FakeAkosha, tmp_path: Path) -> None:
    fake.max_body = 100_000
    result = send(fake, database(tmp_path / "a.duckdb", numbered(200)))
    assert counts(result) == (200, 200, 0, 0, 0, 0)
    fake.max_body = 1_000
    result = send(fake, database(tmp_path / "b.duckdb", numbered(2, 500)))
    assert counts(result) == (0, 0, 0, 0, 0, 2)
    assert "too large for a request" in result.errors[0].error


def test_ten_megabytes_in_one_record(fake: FakeAkosha, tmp_path: Path) -> None:
    rows = [*numbered(2), ("large", "x" * 10_000_000, None), ("after", "x", None)]
    result = send(fake, database(tmp_path / "a.duckdb", rows), state_dir=tmp_path)
    assert counts(result) == (3, 3, 0, 0, 0, 1)
    assert result.errors[0].memory_id.startswith("mac-local:conversation:large:")
    assert "10,0" in result.errors[0].error


def test_the_largest_record_that_fits(fake: FakeAkosha, tmp_path: Path) -> None:
    """Exactly the limit; one byte more is not even tried."""
    small = send(fake, database(tmp_path / "a.duckdb", [("a", "x", None)])).bytes_sent
    call = next(message for method, _, message in fake.asked if method == "tools/call")
    frame = len(msgspec.json.encode(call))
    assert small > frame
    rows = [("b", "x" * (MAX_BODY - frame - 20), None), ("c", "x" * (MAX_BODY - frame + 2), None)]
    result = send(fake, database(tmp_path / "b.duckdb", rows))
    assert counts(result) == (1, 1, 0, 0, 0, 1)


def test_the_policies_for_records_without_a_vector(fake: FakeAkosha, tmp_path: Path) -> None:
    rows = [("a", "x", None), ("b", "x", [0.5] * 768), ("c", "x", [0.5] * 384), ("d", "", None), ("e", None, None)]
    path = database(tmp_path / "a.duckdb", rows)
    assert counts(send(fake, path, embedding="skip")) == (1, 1, 0, 0, 4, 0)
    assert counts(send(fake, path, embedding="zero")) == (3, 2, 1, 0, 2, 0)
    zeros = [memory for memory in fake.stored.values() if not any(memory["embedding"])]
    assert len(zeros) == 2
    with pytest.raises(ConfigError, match="embedding policy"):
        send(fake, path, embedding="none")


def test_a_vector_that_comes_later_is_sent(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", [("a", "x", None)])
    send(fake, path, state_dir=tmp_path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE conversations_v2 SET embedding = list_transform(range(384), lambda x: 1)")
    assert counts(send(fake, path, state_dir=tmp_path)) == (1, 1, 0, 0, 0, 0)


def test_records_without_an_id_and_records_twice(fake: FakeAkosha, tmp_path: Path) -> None:
    moment = dt.datetime(2026, 1, 2)
    rows = [(None, "x", None, moment), (None, "x", None, moment), (None, "y", None, moment), ("a", "x"), ("a", "x")]
    path = database(tmp_path / "a.duckdb", rows)
    assert counts(send(fake, path, path)) == (3, 3, 0, 7, 0, 0)


def test_no_record_at_all(fake: FakeAkosha, tmp_path: Path) -> None:
    path = database(tmp_path / "a.duckdb", [])
    result = send(fake, path, state_dir=tmp_path)
    assert counts(result) == (0, 0, 0, 0, 0, 0)
    assert result.success
    assert counts(send(fake)) == (0, 0, 0, 0, 0, 0)


def test_a_damaged_database(fake: FakeAkosha, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    path.write_bytes(b"\0" * 8 + b"DUCK" + bytes(5000))
    with pytest.raises(DamageError):
        send(fake, path)


def test_a_deadline_for_all_of_it(fake: FakeAkosha, tmp_path: Path) -> None:
    path = many(tmp_path / "a.duckdb", 1500)
    fake.faults.extend([None, "hang"])
    started = time.monotonic()
    with pytest.raises(AkoshaError, match=r"did not answer|time allowed"):
        send(fake, path, state_dir=tmp_path, deadline=1.5)
    assert time.monotonic() - started < 5
    assert counts(send(fake, path, state_dir=tmp_path))[3] > 0, "what was answered is remembered"


def test_progress(fake: FakeAkosha, tmp_path: Path) -> None:
    seen: list[int] = []

    class Watching(Observer):
        def advance(self, amount: int) -> None:
            seen.append(amount)

    send(fake, database(tmp_path / "a.duckdb", numbered(3)), observer=Watching())
    assert len(seen) == 1


# --- killed -----------------------------------------------------------------------------------------------------

_SEND = """
import sys
from pathlib import Path
from akosha_snap.akosha import send_records
send_records([Path(sys.argv[2])], url=sys.argv[1], system_id="mac-local", state_dir=Path(sys.argv[3]))
"""


def test_killed_at_any_moment_the_next_run_goes_on(fake: FakeAkosha, tmp_path: Path) -> None:
    path = many(tmp_path / "a.duckdb", 3000)
    command = [sys.executable, "-c", _SEND, fake.url, str(path), str(tmp_path / "state")]
    for calls in (1, 2, 3):
        fake.calls.clear()
        with subprocess.Popen(command) as process:
            until = time.monotonic() + 30
            while len(fake.calls) < calls and time.monotonic() < until and process.poll() is None:
                time.sleep(0.002)
            os.kill(process.pid, signal.SIGKILL)
    result = send(fake, path, state_dir=tmp_path / "state")
    assert len(fake.stored) == 3000
    assert result.unchanged > 0
    assert result.success
    assert not result.resent_all
