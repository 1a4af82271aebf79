"""The plug is pulled in the middle of a push; the next one makes a whole snapshot of what is there."""

from __future__ import annotations

import pytest
from helpers import MIB, SYSTEM, Bench, InterceptingStore, PulledPlug, dies_after, dies_at, flipped, noise

from akosha_snap.manifest.keys import system_marker, upload_marker
from akosha_snap.snapshot import packer
from akosha_snap.snapshot.journal import Journal

DATA = noise(5 * MIB, "interrupted")


@pytest.fixture(autouse=True)
def small_packs(monkeypatch):
    monkeypatch.setattr(packer, "PACK_TARGET", MIB)


def interrupt(bench: Bench, key: str) -> None:
    """Push, and die at the first object whose key contains `key`."""
    with pytest.raises(PulledPlug):
        bench.push({"a": DATA}, store=InterceptingStore(bench.store, dies_at(lambda k: key in k)))


@pytest.mark.parametrize("key", ["format.json", "manifest.json"])
def test_uploaded_packs_are_used_by_the_next_push(any_bench, key):
    interrupt(any_bench, key)
    packs = any_bench.packs()
    assert len(packs) >= 5
    result = any_bench.push({"a": DATA})
    assert result.bytes_transferred < 10_000
    assert set(packs) <= set(any_bench.packs())
    assert any_bench.restored() == {"a": DATA}
    assert any_bench.verify(level="data").ok


@pytest.mark.parametrize("puts", range(7))
def test_wherever_a_push_dies_the_store_is_whole_and_the_next_push_goes_on(bench, puts):
    first = bench.push({"a": b"1"}).upload_id
    with pytest.raises(PulledPlug):
        bench.push({"a": DATA}, store=InterceptingStore(bench.store, dies_after(puts)))
    stored = sum(bench.store.head(key).size for key in bench.packs())
    assert bench.verify(level="data").ok
    assert bench.restored(first) == {"a": b"1"}
    result = bench.push({"a": DATA})
    assert result.bytes_transferred < len(DATA) - stored + 20_000
    assert bench.restored() == {"a": DATA}
    assert bench.verify(level="data").ok


def test_a_pack_is_known_before_it_is_uploaded(bench):
    interrupt(bench, "/packs/")
    assert bench.packs() == []
    (journal,) = bench.state.rglob("pending")
    assert journal.read_text().split()
    bench.push({"a": DATA})
    assert bench.restored() == {"a": DATA}


def test_an_interrupted_push_is_no_snapshot(bench):
    interrupt(bench, "manifest.json")
    assert bench.uploads() == []


def test_and_harms_no_earlier_one(bench):
    first = bench.push({"a": b"1"}).upload_id
    interrupt(bench, "manifest.json")
    assert bench.uploads() == [first]
    assert bench.verify(level="data").ok
    assert bench.restored() == {"a": b"1"}


def test_the_journal_is_done_with_after_a_snapshot(bench):
    interrupt(bench, "manifest.json")
    assert list(bench.state.rglob("pending"))
    bench.push({"a": DATA})
    assert not list(bench.state.rglob("pending"))


def test_a_pack_the_journal_names_and_the_store_lost_is_uploaded_again(bench):
    interrupt(bench, "manifest.json")
    bench.delete(bench.packs()[0])
    bench.push({"a": DATA})
    assert bench.restored() == {"a": DATA}


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: flipped(data, -9), lambda data: b"x"])
def test_a_pack_the_journal_names_and_the_store_spoiled_is_not_used(bench, damage):
    interrupt(bench, "manifest.json")
    key = bench.packs()[0]
    bench.store.put(key, damage(bench.store.get(key)))
    bench.push({"a": DATA})
    assert bench.restored() == {"a": DATA}


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xfe\n", b"zz\n12\n\n", b"ab" * 31 + b"\n", b"ab" * 32])
def test_rubbish_in_the_journal_costs_nothing(bench, rubbish):
    interrupt(bench, "manifest.json")
    (journal,) = bench.state.rglob("pending")
    journal.write_bytes(rubbish + b"\n" + journal.read_bytes())
    assert bench.push({"a": DATA}).bytes_transferred < 10_000
    assert bench.restored() == {"a": DATA}


@pytest.mark.parametrize("of_system", [True, False])
def test_a_marker_that_could_not_be_stored_is_there_after_the_next_push(bench, of_system):
    def is_refused(key: str) -> bool:
        return key.endswith("/") and (key == system_marker(SYSTEM)) == of_system

    with pytest.raises(PulledPlug):
        bench.push({"a": b"1"}, store=InterceptingStore(bench.store, dies_at(is_refused)))
    bench.push({"a": b"1"})
    upload_id = bench.uploads()[0]
    for marker in (system_marker(SYSTEM), upload_marker(SYSTEM, upload_id)):
        assert bench.store.get(marker) == b""


class TestJournal:
    def test_it_remembers_in_order_and_forgets(self, tmp_path):
        journal = Journal(tmp_path / "pending")
        assert journal.pending() == []
        for number in (2, 1):
            journal.add(bytes([number]) * 32)
        assert Journal(tmp_path / "pending").pending() == [b"\2" * 32, b"\1" * 32]
        journal.clear()
        journal.clear()
        assert journal.pending() == []

    def test_a_line_torn_by_a_crash_spoils_none_after_it(self, tmp_path):
        (tmp_path / "pending").write_text("ab" * 20)
        journal = Journal(tmp_path / "pending")
        journal.add(b"\1" * 32)
        assert journal.pending() == [b"\1" * 32]

    def test_without_a_file_it_remembers_nothing(self):
        journal = Journal(None)
        journal.add(bytes(32))
        journal.clear()
        assert journal.pending() == []

    def test_one_that_can_be_neither_read_nor_written_is_none(self, tmp_path):
        for path in (tmp_path, tmp_path / "no folder" / "pending"):
            journal = Journal(path)
            journal.add(bytes(32))
            assert journal.pending() == []
            journal.clear()
        assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_used_fails_no_push(bench):
    bench.push({"a": b"1"})
    (folder,) = bench.state.iterdir()
    (folder / "pending").mkdir()
    (folder / "pending" / "in the way").write_bytes(b"")
    result = bench.push({"a": DATA})
    assert bench.uploads()[0] == result.upload_id
    assert bench.restored() == {"a": DATA}
    assert bench.verify(level="data").ok
