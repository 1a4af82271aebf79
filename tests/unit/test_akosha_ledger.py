"""The ledger: what it remembers, and that it survives."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from akosha_snap.akosha.bound_ledger import BoundLedger
from akosha_snap.akosha.ledger import Ledger
from akosha_snap.errors import AkoshaSnapError


def test_it_remembers(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.sqlite"
    with Ledger(path) as ledger:
        assert ledger.unknown(["a", "b"]) == {"a", "b"}
        ledger.add(["a", "é"], {"probe": b"x"})
        ledger.add(["a"])
    with Ledger(path) as ledger:
        assert ledger.unknown(["a", "b", "é"]) == {"b"}
        assert len(ledger) == 2
        assert (ledger.note("probe"), ledger.note("other")) == (b"x", None)
        ledger.add([], {"other": b""})
        assert ledger.note("other") == b""
        ledger.drop_note("other")
        assert (ledger.note("probe"), ledger.note("other")) == (b"x", None)
        ledger.forget()
        assert (len(ledger), ledger.note("probe")) == (0, None)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_many_ids_at_once() -> None:
    ids = [f"id {i}" for i in range(5000)]
    with Ledger(None) as ledger:
        ledger.add(ids[::2])
        assert ledger.unknown(ids) == set(ids[1::2])


@pytest.mark.parametrize("content", [b"this is no database, whatever its name says" * 100, b"SQLite format 3\0garbage"])
def test_what_is_no_ledger_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(content)
    with Ledger(path) as ledger:
        ledger.add(["a"])
    with Ledger(path) as ledger:
        assert len(ledger) == 1


def test_another_version_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with Ledger(path) as ledger:
        ledger.add(["a"])
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with Ledger(path) as ledger:
        assert len(ledger) == 0


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(AkoshaSnapError, match="cannot be used"):
        Ledger(tmp_path)


def test_threads(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a.sqlite") as ledger:
        threads = [threading.Thread(target=ledger.add, args=([f"{n} {i}" for i in range(50)],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ledger) == 400


_ADD = """
import sys
from pathlib import Path
from akosha_snap.akosha.bound_ledger import BoundLedger
from akosha_snap.akosha.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for n in range(10**6):
    ledger.add([f"{n} {i}" for i in range(100)])
    print(n, flush=True)
"""


def test_killed_it_has_all_that_was_said_to_be_there(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", _ADD, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.05)
            os.kill(process.pid, signal.SIGKILL)
            said = [int(line) for line in process.stdout.read().split()]
        last = max(said, default=0)
        with Ledger(path) as ledger:
            assert ledger.unknown([f"{last} {i}" for i in range(100)]) == set()
            assert len(ledger) % 100 == 0


# --- tied to a hot store ----------------------------------------------------------------------------------------


class Hot:
    """A hot store, as far as its ledger knows it: a DuckDB file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hot.duckdb"
        self.ledger = folder / "hot.duckdb.handed-over.sqlite"
        self.said: list[str] = []

    def add(self, *ids: str) -> None:
        with duckdb.connect(str(self.path)) as connection, BoundLedger(self.ledger, connection, self.said.append) as it:
            it.add(ids)

    def known(self) -> int:
        self.said.clear()
        with duckdb.connect(str(self.path)) as connection, BoundLedger(self.ledger, connection, self.said.append) as it:
            return len(it)


@pytest.fixture
def hot(tmp_path: Path) -> Hot:
    return Hot(tmp_path)


def test_the_same_hot_store_goes_on(hot: Hot) -> None:
    assert hot.known() == 0
    hot.add("a")
    hot.add("b", "c")
    assert (hot.known(), hot.said) == (3, [])


@pytest.mark.parametrize("how", ["deleted", "replaced", "put back", "the id is gone"])
def test_another_hot_store_at_the_same_path_gets_everything_again(hot: Hot, tmp_path: Path, how: str) -> None:
    hot.add("a")
    earlier = hot.path.read_bytes()
    hot.add("b")
    (tmp_path / "other").mkdir()
    other = Hot(tmp_path / "other")
    for _ in range(9):
        other.add("x")
    if how == "deleted":
        hot.path.unlink()
    elif how == "the id is gone":
        with duckdb.connect(str(hot.path)) as connection:
            connection.execute("DROP SCHEMA akosha_snap CASCADE")
    else:
        hot.path.write_bytes(earlier if how == "put back" else other.path.read_bytes())
    assert hot.known() == 0
    assert "not the hot store" in hot.said[0]
    hot.add("a")
    assert (hot.known(), hot.said) == (1, [])


def test_a_ledger_of_an_earlier_version_is_not_believed(hot: Hot) -> None:
    with Ledger(hot.ledger) as ledger:
        ledger.add(["a"])
    assert hot.known() == 0


def test_a_crash_between_hot_store_and_ledger_loses_nothing_from_it(hot: Hot, monkeypatch: pytest.MonkeyPatch) -> None:
    hot.add("a")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "add", crash)
    with pytest.raises(KeyboardInterrupt):
        hot.add("b")
    assert (hot.known(), hot.said) == (1, [])


def test_a_hot_store_that_cannot_be_written(hot: Hot) -> None:
    hot.add("a")
    with (
        duckdb.connect(str(hot.path), read_only=True) as connection,
        pytest.raises(AkoshaSnapError, match="cannot keep count"),
    ):
        BoundLedger(hot.ledger, connection, hot.said.append)
