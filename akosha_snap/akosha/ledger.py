"""What has been handed over already: a set of ids that survives the process, and a few notes beside it.

A hint, like all local state: without it everything is handed over again, and Akosha refuses what it
has. It is an SQLite file, because that is durable, bounded in memory, and whole after a kill -9.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from akosha_snap.atomic import make_private
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.frames import content_hash

__all__ = ["Ledger"]

_VERSION = 1
_KEY_SIZE = 16  # bytes of an id's hash: two of 10^9 ids are the same with a chance of 10^-21
_TABLES = """
CREATE TABLE IF NOT EXISTS handed_over (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""
_WAIT = 30.0
"""Seconds for another process that is at the same ledger; it needs milliseconds."""


class Ledger:
    """Ids handed over, in the file at `path`, or in memory with None. Thread-safe.

    A file that is no ledger, or one of another version, is replaced by an empty one. Every
    method may raise AkoshaSnapError where the file cannot be read or written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._errors():
            try:
                self._connection = self._open()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._remove()
                self._connection = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def unknown(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are not in the ledger. At most some thousands at a time."""
        keys = {_key(each): each for each in ids}
        with self._errors(), self._lock:
            for some in _slices(list(keys), 500):
                marks = ", ".join("?" * len(some))
                query = f"SELECT key FROM handed_over WHERE key IN ({marks})"  # noqa: S608 - marks are question marks
                for (key,) in self._connection.execute(query, some):
                    del keys[key]
        return set(keys.values())

    def add(self, ids: Iterable[str], notes: dict[str, bytes] | None = None) -> None:
        """Enter `ids` and `notes`, all of them or, killed before this returns, none."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO handed_over VALUES (?)", ((_key(each),) for each in ids))
            connection.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", (notes or {}).items())

    def note(self, name: str) -> bytes | None:
        """The note of this name, if there is one."""
        with self._errors(), self._lock:
            row = self._connection.execute("SELECT value FROM notes WHERE name = ?", [name]).fetchone()
        return bytes(row[0]) if row else None

    def drop_note(self, name: str) -> None:
        """Remove the note of this name, if there is one."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM notes WHERE name = ?", [name])

    def forget(self) -> None:
        """Empty the ledger, notes too."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM handed_over")
            connection.execute("DELETE FROM notes")

    def __len__(self) -> int:
        with self._errors(), self._lock:
            return int(self._connection.execute("SELECT count(*) FROM handed_over").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            make_private(self._path.parent)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would make it readable by all
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise AkoshaSnapError(
                f"the ledger {self._path or 'in memory'} cannot be used: {error}",
                hint="free some space there, or remove the file: everything is then handed over once more",
            ) from error


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in {0, _VERSION}:
        raise sqlite3.DatabaseError("a ledger of another version")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is not to be found in the file
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def _key(text: str) -> bytes:
    return content_hash(text.encode())[:_KEY_SIZE]


def _slices(items: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
