"""The demo's other process: a program that has its memory open and goes on writing.

It owns the databases the way Session-Buddy does: open read-write, row by row in autocommit,
changes in the WAL. It is told what to do in lines of JSON on stdin, answers each with one
line on stdout, and leaves when stdin ends, so it never outlives the demo. It needs DuckDB
and nothing else of this package, and is run by its path.
"""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

__all__ = ["DATABASES", "Memory", "digests", "main"]

_EMBEDDING = "[(hash({salt}, n, i) % 20001)::FLOAT / 10000 - 1 for i in range(384)]::FLOAT[384]"
_WORDS = (  # noqa: SIM905 - it is a text
    "the uploader lost rows when a checkpoint moved them so we traced every block and wrote one test for it "
    "then review asked for smaller steps and the search ranker was profiled again after lunch with a warm cache"
).split()
_PICK = f"{_WORDS!r}[1 + (hash({{salt}}, n, i, 'w') % {len(_WORDS)})::INTEGER]"
_TEXT = f"array_to_string([{_PICK} for i in range({{words}})], ' ')"
_TIME = "TIMESTAMP '2026-01-01 09:00:00' + to_minutes(n)"

DATABASES = {
    "reflection.duckdb": {
        "conversations_v2": (
            'id VARCHAR PRIMARY KEY, content VARCHAR NOT NULL, embedding FLOAT[384], "timestamp" TIMESTAMP, '
            "access_count INTEGER DEFAULT 0",
            f"'c' || n, {_TEXT.format(salt=1, words=120)}, {_EMBEDDING.format(salt=1)}, {_TIME}, 0",
        ),
        "reflections_v2": (
            "id VARCHAR PRIMARY KEY, conversation_id VARCHAR REFERENCES conversations_v2(id), "
            'content VARCHAR NOT NULL, embedding FLOAT[384], tags VARCHAR[], "timestamp" TIMESTAMP',
            f"'r' || n, 'c' || n, {_TEXT.format(salt=2, words=30)}, {_EMBEDDING.format(salt=2)}, ['demo'], {_TIME}",
        ),
    },
    "knowledge_graph.duckdb": {
        "kg_entities": (
            "id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, entity_type VARCHAR NOT NULL, observations VARCHAR[], "
            "embedding FLOAT[384], updated_at TIMESTAMP",
            f"'e' || n, 'entity ' || n, 'file', [{_TEXT.format(salt=3, words=40)}], "
            f"{_EMBEDDING.format(salt=3)}, {_TIME}",
        ),
        "kg_relationships": (
            "id VARCHAR PRIMARY KEY, from_entity VARCHAR NOT NULL, to_entity VARCHAR NOT NULL, relation_type VARCHAR",
            "'l' || n, 'e' || n // 2, 'e' || hash(4, n) % (n // 2 + 1), 'uses'",
        ),
    },
}
"""Per database and table: its columns, and the values of row `n` (a subset of Session-Buddy's own)."""

_BUILT = {"conversations_v2": 1600, "reflections_v2": 200, "kg_entities": 800, "kg_relationships": 1600}
_SESSION = {"conversations_v2": 20, "reflections_v2": 5, "kg_entities": 10, "kg_relationships": 20}
_ROUNDS = 4


class Memory:
    """The two databases, open for writing."""

    def __init__(self, folder: Path) -> None:
        import duckdb

        self._open = {name: duckdb.connect(str(folder / name), config={"threads": 1}) for name in DATABASES}
        self._rows = dict.fromkeys(_BUILT, 0)

    def build(self) -> None:
        """A memory of many sessions, checkpointed as it would be by now, with one session more in its WAL."""
        for name, tables in DATABASES.items():
            for table, (columns, _) in tables.items():
                self._open[name].execute(f"CREATE TABLE {table} ({columns})")
        for _ in range(_ROUNDS):  # a file that grew has its parts in many places
            for table, rows in _BUILT.items():
                self._add(table, rows // _ROUNDS)
            for connection in self._open.values():
                connection.execute("CHECKPOINT")
        self.session()

    def session(self) -> None:
        """One session: new rows, and counters that go up. All of it stays in the WAL."""
        for table, rows in _SESSION.items():
            for _ in range(rows):
                self._add(table, 1)
        reflection = self._open["reflection.duckdb"]
        for i in range(50):
            chosen = f"c{(self._rows['conversations_v2'] + i * 31) % _BUILT['conversations_v2']}"
            reflection.execute("UPDATE conversations_v2 SET access_count = access_count + 1 WHERE id = ?", [chosen])

    def digests(self) -> dict[str, tuple[int, str]]:
        """See `digests`, over both databases."""
        return {table: found for c in self._open.values() for table, found in digests(c).items()}

    def close(self) -> None:
        """Let go of the files; DuckDB checkpoints them."""
        for connection in self._open.values():
            connection.close()

    def _add(self, table: str, rows: int) -> None:
        for name, tables in DATABASES.items():
            if table in tables:
                first = self._rows[table]
                values = f"SELECT {tables[table][1]} FROM range({first}, {first + rows}) made(n)"  # noqa: S608
                self._open[name].execute(f"INSERT INTO {table} {values}")
                self._rows[table] += rows


def digests(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, str]]:
    """Per table: how many rows, and a SHA-256 over every value of every row, in order of their ids."""
    found = {}
    tables = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()
    for (table,) in tables:
        digest, count = hashlib.sha256(), 0
        rows = connection.execute(f'SELECT whole::VARCHAR FROM "{table}" whole ORDER BY id')  # noqa: S608
        while batch := rows.fetchmany(1000):
            count += len(batch)
            for (text,) in batch:
                digest.update(f"{text}\n".encode())
        found[table] = (count, digest.hexdigest())
    return found


def main() -> None:
    """Do what stdin says, line by line, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the demo's: it ends us
    memory: Memory | None = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            memory = memory or Memory(Path(order["folder"]))
            answer: Any = getattr(memory, order["do"])()
        except Exception as error:
            _say({"error": f"{type(error).__name__}: {error}"})
        else:
            _say({"answer": answer})


def _say(reply: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
