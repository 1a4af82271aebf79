"""A program that keeps a DuckDB database busy, and one that judges a copy of it. Needs nothing but DuckDB.

    python live_writer.py write PATH ACKS BLOCK_SIZE BALLAST   then commands on stdin, each answered by a line
    python live_writer.py judge                                then paths on stdin, each answered by a line of JSON

Every transaction counts itself and what it did in `ledger`, so that a copy says by itself whether it is
of one moment. A row's text follows from its id. After each commit its number is in the file ACKS, at 8
bytes per writer: a copy begun later must have it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

import duckdb

WRITERS = 2
KEPT, BULK, TABLES = 1_000, 2_500, 2
"""Rows of a writer that a deletion keeps, rows of a bulk load, tables of a writer kept before one is dropped."""

TEXT = "(id * 2654435761)::VARCHAR || '-' || (id * 40503)::VARCHAR"
"""What a row's text is, by its id."""


class Writer:
    """One cursor that commits; `number` is its row of the ledger."""

    def __init__(self, memory: Memory, number: int, seed: int) -> None:
        self.memory, self.number = memory, number
        self.random = random.Random(seed)
        self.cursor = memory.connection.cursor()
        self.cursor.execute("USE live")
        self.n, self.next = self.one("SELECT n, next FROM ledger WHERE writer = ?", number)
        memory.acknowledge(number, self.n)

    def run(self, sql: str, *values: object) -> None:
        self.cursor.execute(sql, list(values))

    def one(self, sql: str, *values: object) -> tuple:
        return self.cursor.execute(sql, list(values)).fetchone()

    def commit(self, kind: str) -> None:
        self.run("BEGIN")
        try:
            rows, total = getattr(self, f"_{kind}")()
            self.run("UPDATE ledger SET n = ?, rows = rows + ?, total = total + ?, next = ? WHERE writer = ?",
                     self.n + 1, rows, total, self.next, self.number)  # fmt: skip
            self.run("COMMIT")
        except duckdb.TransactionException:  # in the way of a checkpoint, or of the other
            with contextlib.suppress(duckdb.TransactionException):
                self.run("ROLLBACK")
            return
        self.n += 1
        self.memory.acknowledge(self.number, self.n)

    def any(self) -> None:
        kinds = ("small", "change", "load", "delete", "table", "drop", "undone")
        self.commit(self.random.choices(kinds, (60, 15, 5, 6, 5, 4, 5))[0])

    def _insert(self, count: int, table: str) -> tuple[int, int]:
        ids = f"range({self.next}, {self.next + count}) AS made(id)"
        self.run(f"{table} SELECT id, 3, {TEXT} FROM {ids}")
        self.next += count
        return count, 3 * count

    def _small(self) -> tuple[int, int]:
        return self._insert(self.random.randint(1, 3), f"INSERT INTO items_{self.number}")

    def _load(self) -> tuple[int, int]:
        return self._insert(BULK, f"INSERT INTO items_{self.number}")

    def _change(self) -> tuple[int, int]:
        which = f"id % 101 = {self.random.randrange(101)}"
        changed = self.one(f"SELECT count(*) FROM items_{self.number} WHERE {which}")[0]
        self.run(f"UPDATE items_{self.number} SET value = value + 1 WHERE {which}")
        return 0, changed

    def _delete(self) -> tuple[int, int]:
        which = f"id < {self.next - KEPT} OR id % 13 = {self.random.randrange(13)}"
        rows, total = self.one(
            f"SELECT count(*), coalesce(sum(value), 0)::BIGINT FROM items_{self.number} WHERE {which}"
        )
        self.run(f"DELETE FROM items_{self.number} WHERE {which}")
        return -rows, -total

    def _table(self) -> tuple[int, int]:
        name = f"big_{self.number}_{self.n}"
        rows, total = self._insert(BULK, f"CREATE TABLE {name} (id, value, text) AS")
        self.run("INSERT INTO tables VALUES (?, ?, ?)", name, self.number, rows)
        return (
            (rows, total)
            if self._tables() <= TABLES
            else tuple(map(sum, zip((rows, total), self._drop(), strict=True)))
        )

    def _tables(self) -> int:
        return self.one("SELECT count(*) FROM tables WHERE writer = ?", self.number)[0]

    def _drop(self) -> tuple[int, int]:
        found = self.one("SELECT name, rows FROM tables WHERE writer = ? ORDER BY name LIMIT 1", self.number)
        if not found:
            return 0, 0
        self.run(f"DROP TABLE {found[0]}")
        self.run("DELETE FROM tables WHERE name = ?", found[0])
        return -found[1], -3 * found[1]

    def _undone(self) -> tuple[int, int]:
        self._insert(BULK, f"INSERT INTO items_{self.number}")
        self.run("ROLLBACK")
        self.run("BEGIN")
        return 0, 0


class Memory:
    """The database, open; small blocks and row groups make many of both in a small file.

    `ballast` rows, of half a KB each, make the copy take its time.
    """

    def __init__(self, path: str, acks: str, block_size: int, ballast: int) -> None:
        self.path, self.block_size, self.ballast = path, block_size, ballast
        self.acks = os.open(acks, os.O_RDWR)
        self.connection = duckdb.connect(":memory:", config={"threads": 2})
        self.open()

    def open(self) -> None:
        options = f"(BLOCK_SIZE {self.block_size}, ROW_GROUP_SIZE 2048)"
        self.connection.execute(f"ATTACH '{self.path}' AS live {options}")
        self.connection.execute("USE live")
        self.connection.execute("SET checkpoint_threshold = '1TB'")
        if not self.connection.execute("SELECT * FROM duckdb_tables() WHERE database_name = 'live'").fetchall():
            self._fill()
        self.writers = [Writer(self, number, random.randrange(1 << 30)) for number in range(WRITERS)]

    def _fill(self) -> None:
        """All in one transaction: a copy has all of it or none."""
        self.connection.execute("BEGIN")
        self.connection.execute(
            "CREATE TABLE ledger (writer INTEGER, n BIGINT, rows BIGINT, total BIGINT, next BIGINT)"
        )
        if self.ballast:
            text = " || ".join(f"md5((id * 32 + {number})::VARCHAR)" for number in range(32))
            ids = f"range({self.ballast}) AS made(id)"
            self.connection.execute(f"CREATE TABLE ballast AS SELECT id, {text} AS text FROM {ids}")
        self.connection.execute("CREATE TABLE tables (name VARCHAR, writer INTEGER, rows BIGINT)")
        for number in range(WRITERS):
            self.connection.execute(f"CREATE TABLE items_{number} (id BIGINT, value BIGINT, text VARCHAR)")
            self.connection.execute("INSERT INTO ledger VALUES (?, ?, 0, 0, 0)", [number, self.acked(number)])
        self.connection.execute("COMMIT")

    def close(self) -> None:
        for writer in self.writers:
            writer.cursor.close()
        self.connection.execute("USE memory")
        self.connection.execute("DETACH live")

    def checkpoint(self) -> None:
        with contextlib.closing(self.connection.cursor()) as cursor, contextlib.suppress(duckdb.TransactionException):
            cursor.execute("CHECKPOINT live")

    def acked(self, number: int) -> int:
        return int.from_bytes(os.pread(self.acks, 8, 8 * number), "little")

    def acknowledge(self, number: int, n: int) -> None:
        os.pwrite(self.acks, n.to_bytes(8, "little"), 8 * number)

    def run(self, pause: float, checkpoint_every: float, reopen_every: float) -> None:
        """Write until killed: two writers, each in a thread, and checkpoints meanwhile; times in seconds."""
        ended = threading.Event()

        def keep(writer: Writer) -> None:
            try:
                while not ended.is_set():
                    writer.any()
                    time.sleep(writer.random.uniform(0, 2 * pause))
            except BaseException:
                os._exit(3)

        while True:
            ended.clear()
            threads = [threading.Thread(target=keep, args=(writer,)) for writer in self.writers]
            for thread in threads:
                thread.start()
            until = time.monotonic() + reopen_every if reopen_every else float("inf")
            while time.monotonic() < until:
                time.sleep(random.uniform(0, 2 * checkpoint_every) if checkpoint_every else 0.5)
                if checkpoint_every:
                    self.checkpoint()
            ended.set()
            for thread in threads:
                thread.join()
            self.close()
            self.open()

    def obey(self, command: str) -> None:
        match command.split():
            case ["run", *numbers]:
                print("done", flush=True)
                self.run(*map(float, numbers))
            case ["checkpoint"]:
                self.checkpoint()
            case ["reopen"]:
                self.close()
                self.open()
            case ["replace"]:  # as a restore does: another file, by rename, under the same name
                self.close()
                copy = Path(f"{self.path}.new")
                copy.write_bytes(Path(self.path).read_bytes())
                copy.replace(self.path)
                self.open()
            case ["anew"]:
                self.close()
                Path(self.path).unlink()
                self.open()
            case ["crash"]:
                os._exit(9)
            case [kind, number]:
                self.writers[int(number)].commit(kind)


class Judge:
    """Says what each writer had committed, by the copy at a path; or what is wrong with it."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(":memory:", config={"threads": 1})

    def verdict(self, path: str) -> dict:
        try:
            self.connection.execute(f"ATTACH '{path}' AS copy (READ_ONLY)")
            try:
                self.connection.execute("USE copy")
                return self._judged()
            finally:
                self.connection.execute("USE memory")
                self.connection.execute("DETACH copy")
        except (duckdb.Error, RuntimeError, ValueError) as error:
            self.connection = duckdb.connect(":memory:", config={"threads": 1})
            return {"refused": f"{type(error).__name__}: {str(error)[:300]}"}

    def rows(self, sql: str) -> list[tuple]:
        return self.connection.execute(sql).fetchall()

    def _judged(self) -> dict:
        names = {name for (name,) in self.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'copy'")}
        if not names:  # just made
            return {"n": [0] * WRITERS}
        listed = self.rows("SELECT name, writer FROM tables")
        if {name for name, _ in listed} != {name for name in names if name.startswith("big_")}:
            return {"wrong": "tables"}
        seen = {}
        for writer, n, rows, total in self.rows("SELECT writer, n, rows, total FROM ledger"):
            mine = [f"items_{writer}", *(name for name, owner in listed if owner == writer)]
            union = " UNION ALL ".join(f"SELECT id, value, text FROM {name}" for name in mine)
            counts = "count(*), coalesce(sum(value), 0), count(DISTINCT id)"
            have = self.rows(f"SELECT {counts}, count(*) FILTER (text IS DISTINCT FROM {TEXT}) FROM ({union})")
            if have != [(rows, total, rows, 0)]:
                return {"wrong": f"writer {writer} at {n}: {have}, not {rows} rows, {total} in all"}
            seen[writer] = n
        return {"n": [seen.get(number, 0) for number in range(WRITERS)]}


def main() -> None:
    if sys.argv[1] == "judge":
        judge = Judge()
        for line in sys.stdin:
            print(json.dumps(judge.verdict(line.rstrip("\n"))), flush=True)
        return
    memory = Memory(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    print("ready", flush=True)
    for line in sys.stdin:
        memory.obey(line.strip())
        print("done", flush=True)


if __name__ == "__main__":
    main()
