"""kill -9 at every call that changes a disk or reaches a server, of a sync by HTTP and of a worker's handover."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import memory_db
import operations
import pytest
from fake_akosha import BATCH_TOOL, FakeAkosha, running_fake
from survivors import Site, failed, points

from akosha_snap import source
from akosha_snap.akosha import send
from akosha_snap.akosha.ledger import Ledger

RECORDS = 45
"""Conversations and reflections in the memory."""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "site" / "tmp"))
    monkeypatch.setattr(source, "counting_in_child", operations.counting_here)
    monkeypatch.setattr(send, "count_in_child", operations.count_here)


@pytest.fixture
def fake() -> Iterator[FakeAkosha]:
    with running_fake() as server:
        yield server


def _ready(tmp_path: Path, memory: Path) -> Site:
    site = Site(tmp_path)
    shutil.copy(memory / memory_db.REFLECTION, site.folder / "live")
    site.write({})
    site.keep()
    return site


def _settle(threads: int) -> None:
    """Until the server is done with what the dead process has sent."""
    until = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < until:
        time.sleep(0.001)


def _sent(fake: FakeAkosha) -> int:
    return sum(len(arguments["memories"]) for name, arguments in fake.calls if name == BATCH_TOOL)


def _pull_http(pull, fake: FakeAkosha, site: Site, *, every: bool, forgets: bool) -> int:
    """Returns how often the plug was pulled. `forgets`: the server is restarted before the next sync."""
    threads = threading.active_count()
    whole = pull("send", site.folder, url=fake.url)
    assert not whole.error
    pulled = 0
    for at, how in points(whole.calls, every=every, at_most=4):
        site.back()
        fake.restart()
        outcome = pull("send", site.folder, at, how, url=fake.url)
        _settle(threads)
        if not outcome.reached:
            continue
        try:
            there = len(fake.stored)
            if forgets:
                fake.restart()
            fake.calls.clear()
            site.let_time_pass()
            result = operations.send(site.folder, url=fake.url)
            assert result.success
            assert len(fake.stored) == RECORDS
            known = 0 if forgets else max(there - operations.BATCH, 0)
            assert _sent(fake) <= RECORDS - known + 1, "at most a batch again, and one record to ask with"
            fake.calls.clear()
            assert operations.send(site.folder, url=fake.url).http.sent == 0
            assert _sent(fake) == 1
            assert not list((site.folder / "state").glob("sending-*"))
        except BaseException as error:
            error.add_note(failed(outcome, (at, how)))
            raise
        pulled += 1
    return pulled


def _hot(site: Site) -> list[str]:
    with duckdb.connect(str(site.folder / "hot.duckdb")) as hot:
        return [row[0] for row in hot.execute("SELECT conversation_id FROM conversations").fetchall()]


def _pull_handover(pull, site: Site, *, every: bool) -> int:
    """Returns how often the plug was pulled."""
    operations.push(site.folder)
    with duckdb.connect(str(site.folder / "hot.duckdb")) as hot:  # DuckDB itself cannot open one it was killed making
        hot.execute("CREATE TABLE conversations (conversation_id VARCHAR PRIMARY KEY)")
    site.keep()
    whole = pull("handover", site.folder)
    assert not whole.error
    pulled = 0
    for at, how in points(whole.calls, every=every, at_most=4):
        site.back()
        outcome = pull("handover", site.folder, at, how)
        if not outcome.reached:
            continue
        try:
            site.let_time_pass()
            operations.handover(site.folder)
            assert not list(site.folder.glob("tmp/akosha-snap-*"))
            assert len(_hot(site)) == RECORDS
            with Ledger(site.folder / "state" / "ledger.sqlite") as ledger:
                assert len(ledger) == RECORDS + 1, "and that the snapshot is done"
                assert ledger.unknown(_hot(site)) == set()
        except BaseException as error:
            error.add_note(failed(outcome, (at, how)))
            raise
        pulled += 1
    return pulled


def test_a_sync_by_http_loses_nothing_and_goes_on(pull, fake, tmp_path, memory):
    assert _pull_http(pull, fake, _ready(tmp_path, memory), every=False, forgets=False) > 2


def test_a_worker_loses_nothing_and_goes_on(pull, tmp_path, memory):
    assert _pull_handover(pull, _ready(tmp_path, memory), every=False) > 2


@pytest.mark.stress
@pytest.mark.parametrize("forgets", [False, True])
def test_wherever_a_sync_by_http_is_killed(pull, fake, tmp_path, memory, forgets):
    print(_pull_http(pull, fake, _ready(tmp_path, memory), every=True, forgets=forgets), "points of a sync by HTTP")


@pytest.mark.stress
def test_wherever_a_worker_is_killed(pull, tmp_path, memory):
    print(_pull_handover(pull, _ready(tmp_path, memory), every=True), "points of a handover")
