"""A small, realistic memory to test with: Session-Buddy's two databases, and a writer at work.

Schema essentials only (keys, indexes, embeddings, fingerprints); text and vectors are drawn from
a seeded generator, so that the same call makes the same rows.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "GRAPH",
    "REFLECTION",
    "WRITER_TOTAL",
    "build",
    "check_writer",
    "live_session",
    "session_without_checkpoint",
    "writer_process",
]

REFLECTION = "reflection.duckdb"
GRAPH = "knowledge_graph.duckdb"
DIMENSIONS = 384

_REFLECTION_DDL = """
CREATE TABLE conversations_v2 (
  id VARCHAR PRIMARY KEY, content VARCHAR NOT NULL, embedding FLOAT[384], category VARCHAR NOT NULL,
  importance_score FLOAT DEFAULT 0.5, access_count INTEGER DEFAULT 0, last_accessed TIMESTAMP, project VARCHAR,
  timestamp TIMESTAMP, session_id VARCHAR, searchable_content VARCHAR, metadata VARCHAR, fingerprint BLOB);
CREATE TABLE reflections_v2 (
  id VARCHAR PRIMARY KEY, conversation_id VARCHAR, content VARCHAR NOT NULL, embedding FLOAT[384],
  tags VARCHAR[], project VARCHAR, timestamp TIMESTAMP, metadata JSON, fingerprint BLOB,
  FOREIGN KEY (conversation_id) REFERENCES conversations_v2 (id));
CREATE TABLE memory_access_log (id VARCHAR PRIMARY KEY, memory_id VARCHAR, access_type VARCHAR, timestamp TIMESTAMP);
CREATE INDEX idx_conversations_project ON conversations_v2 (project);
CREATE INDEX idx_conversations_timestamp ON conversations_v2 (timestamp);
CREATE INDEX idx_reflections_project ON reflections_v2 (project);
"""

_GRAPH_DDL = """
CREATE TABLE kg_entities (
  id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, entity_type VARCHAR NOT NULL, observations VARCHAR[],
  properties JSON, created_at TIMESTAMP, updated_at TIMESTAMP, metadata JSON, embedding FLOAT[384]);
CREATE TABLE kg_relationships (
  id VARCHAR PRIMARY KEY, from_entity VARCHAR NOT NULL, to_entity VARCHAR NOT NULL, relation_type VARCHAR NOT NULL,
  properties JSON, created_at TIMESTAMP);
CREATE INDEX idx_entities_name ON kg_entities (name);
CREATE INDEX idx_relationships_from ON kg_relationships (from_entity);
"""

_WORDS = """
agent branch cache checkpoint chunk client commit config context coverage cursor daemon database debug
deploy diff driver embedding endpoint entity fixture graph handler hook index ingest journal kernel lock
manifest memory merge migration model module parser patch pipeline plugin pool prompt query queue record
refactor reflection registry release replica request retry review rollback schema script server session
shard snapshot socket stream test thread token trace transaction upload vector worker
""".split()  # noqa: SIM905
_PROJECTS = ("akosha", "session-buddy", "crackerjack", "oneiric")


class _Maker:
    """Rows, all different, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.prefix = f"{seed:08x}"
        self.made = 0
        self.now = dt.datetime(2026, 3, 1, 9) + dt.timedelta(days=seed % 300)

    def key(self) -> str:
        self.made += 1
        return f"{self.prefix}-{self.made:06d}-{self.random.getrandbits(48):012x}"

    def text(self, words: int) -> str:
        return " ".join(self.random.choices(_WORDS, k=self.random.randint(words // 2, words)))

    def moment(self) -> dt.datetime:
        self.now += dt.timedelta(seconds=self.random.randint(5, 900))
        return self.now

    def vector(self) -> list[float]:
        values = [self.random.gauss(0, 1) for _ in range(DIMENSIONS)]
        norm = sum(value * value for value in values) ** 0.5
        return [value / norm for value in values]

    def conversation(self) -> dict[str, Any]:
        content = self.text(120)
        return {
            "id": self.key(), "content": content, "embedding": self.vector(), "category": "context",
            "access_count": 0, "project": self.random.choice(_PROJECTS), "timestamp": self.moment(),
            "session_id": self.prefix, "searchable_content": content.lower(),
            "metadata": json.dumps({"quality_score": self.random.randint(40, 100)}),
            "fingerprint": self.random.randbytes(256),
        }  # fmt: skip

    def reflection(self, conversations: list[str]) -> dict[str, Any]:
        return {
            "id": self.key(), "conversation_id": self.random.choice(conversations) if conversations else None,
            "content": self.text(50), "embedding": self.vector(), "tags": self.random.sample(_WORDS, 3),
            "project": self.random.choice(_PROJECTS), "timestamp": self.moment(),
            "fingerprint": self.random.randbytes(256),
        }  # fmt: skip

    def entity(self) -> dict[str, Any]:
        moment = self.moment()
        return {
            "id": self.key(), "name": f"{self.random.choice(_PROJECTS)}/{self.random.choice(_WORDS)}",
            "entity_type": self.random.choice(("file", "function", "concept")),
            "observations": [self.text(12) for _ in range(self.random.randint(1, 4))],
            "properties": json.dumps({"score": self.random.random()}), "created_at": moment, "updated_at": moment,
            "metadata": "{}", "embedding": self.vector(),
        }  # fmt: skip

    def relationship(self, entities: list[str]) -> dict[str, Any]:
        return {
            "id": self.key(), "from_entity": self.random.choice(entities), "to_entity": self.random.choice(entities),
            "relation_type": self.random.choice(("uses", "tests", "extends")),
            "properties": json.dumps({"confidence": self.random.random()}), "created_at": self.moment(),
        }  # fmt: skip


def build(folder: Path, *, conversations: int = 100, seed: int = 1) -> tuple[Path, Path]:
    """Make both databases in `folder`, closed and checkpointed; returns their paths.

    For each conversation an eighth of a reflection, an entity and two relationships.
    """
    import duckdb

    maker = _Maker(seed)
    reflection, graph = folder / REFLECTION, folder / GRAPH
    with duckdb.connect(str(reflection)) as connection:
        connection.execute(_REFLECTION_DDL)
        rows = [maker.conversation() for _ in range(conversations)]
        _insert(connection, "conversations_v2", rows)
        ids = [row["id"] for row in rows]
        _insert(connection, "reflections_v2", [maker.reflection(ids) for _ in range(conversations // 8)])
    with duckdb.connect(str(graph)) as connection:
        connection.execute(_GRAPH_DDL)
        entities = [maker.entity() for _ in range(conversations)]
        _insert(connection, "kg_entities", entities)
        ids = [row["id"] for row in entities]
        _insert(connection, "kg_relationships", [maker.relationship(ids) for _ in range(2 * conversations)])
    return reflection, graph


def live_session(folder: Path, *, seed: int, checkpoint: bool = True) -> None:
    """One session on the databases of `build`: row by row, each its own transaction, as the real one.

    20 conversations, 5 reflections, 20 entities with a relationship each, and 50 counters. Without
    `checkpoint` the changes stay in the WALs, as a live or killed process leaves them.
    """
    if checkpoint:
        _session(folder, seed, leave=False)
        return
    # Only a process that dies leaves a WAL behind: closing a database checkpoints it
    source = "import sys, memory_db as m, pathlib as p; m._session(p.Path(sys.argv[1]), int(sys.argv[2]), leave=True)"
    subprocess.run([sys.executable, "-c", source, str(folder), str(seed)], cwd=Path(__file__).parent, check=True)


def session_without_checkpoint(connection: Any, *, conversations: int, seed: int = 1) -> None:
    """A first session on `connection`, which is open to an empty file: tables and conversations, all in its WAL."""
    maker = _Maker(seed)
    connection.execute(_REFLECTION_DDL)
    for _ in range(conversations):
        _insert(connection, "conversations_v2", [maker.conversation()])


def _session(folder: Path, seed: int, *, leave: bool) -> None:
    import os

    import duckdb

    maker = _Maker(1_000_000 + seed)
    config: dict[str, Any] = {"checkpoint_threshold": "1TB"} if leave else {}
    with (
        duckdb.connect(str(folder / REFLECTION), config=config) as memory,
        duckdb.connect(str(folder / GRAPH), config=config) as graph,
    ):
        known = [row[0] for row in memory.execute("SELECT id FROM conversations_v2 ORDER BY id").fetchall()]
        rows = [maker.conversation() for _ in range(20)]
        for row in rows:
            _insert(memory, "conversations_v2", [row])
        for _ in range(5):
            _insert(memory, "reflections_v2", [maker.reflection([row["id"] for row in rows])])
        for key in maker.random.sample(known, min(50, len(known))):
            memory.execute("UPDATE conversations_v2 SET access_count = access_count + 1 WHERE id = ?", [key])
            _insert(memory, "memory_access_log", [{"id": maker.key(), "memory_id": key, "access_type": "search"}])
        entities = [row[0] for row in graph.execute("SELECT id FROM kg_entities ORDER BY id").fetchall()]
        for _ in range(20):
            entity = maker.entity()
            entities.append(entity["id"])
            _insert(graph, "kg_entities", [entity])
            _insert(graph, "kg_relationships", [maker.relationship(entities)])
        if leave:
            os._exit(0)


def _insert(connection: Any, table: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    columns = ", ".join(rows[0])
    marks = ", ".join("?" for _ in rows[0])
    connection.execute("BEGIN")
    for row in rows:
        connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values()))
    connection.execute("COMMIT")


WRITER_TOTAL = 10_000
"""What the writer's accounts hold together, at every commit."""

_WRITER = """
import random, sys, time
import duckdb
path, checkpoint_every, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
c = duckdb.connect(path)
c.execute("SET checkpoint_threshold = '1TB'")
c.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, amount INTEGER)")
c.execute("CREATE TABLE IF NOT EXISTS transfers (n INTEGER PRIMARY KEY, amount INTEGER, note VARCHAR,"
          " vector FLOAT[64])")
c.execute("CREATE TABLE IF NOT EXISTS progress (n INTEGER)")
if not c.execute("SELECT count(*) FROM accounts").fetchone()[0]:
    c.execute("BEGIN")
    c.execute("INSERT INTO accounts SELECT range, 1000 FROM range(10)")
    c.execute("INSERT INTO progress VALUES (0)")
    c.execute("COMMIT")
r = random.Random(1)
n = c.execute("SELECT n FROM progress").fetchone()[0]
print("ready", flush=True)
while True:
    n += 1
    a, b = r.sample(range(10), 2)
    amount = r.randint(1, 20)
    c.execute("BEGIN")
    c.execute("UPDATE accounts SET amount = amount - ? WHERE id = ?", [amount, a])
    c.execute("INSERT INTO transfers VALUES (?, ?, ?, ?)",
              [n, amount, r.randbytes(100).hex(), [r.random() for _ in range(64)]])
    c.execute("UPDATE accounts SET amount = amount + ? WHERE id = ?", [amount, b])
    c.execute("UPDATE progress SET n = ?", [n])
    c.execute("COMMIT")
    if n % 7 == 0:
        c.execute("BEGIN"); c.execute("UPDATE accounts SET amount = 0"); c.execute("ROLLBACK")
    if checkpoint_every and n % checkpoint_every == 0:
        c.execute("FORCE CHECKPOINT")
    if pause:
        time.sleep(pause)
"""


@contextlib.contextmanager
def writer_process(path: Path, *, checkpoint_every: int = 40, pause: float = 0.0) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has `path` open and moves money about, transaction by transaction.

    Its WAL is seldom empty. It checkpoints every so many transactions (0: never), and sleeps
    `pause` seconds after each. It is killed at the end, as a crash would.
    """
    command = [sys.executable, "-c", _WRITER, str(path), str(checkpoint_every), str(pause)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            until = time.monotonic() + 10
            while not (path.with_name(path.name + ".wal")).exists() and time.monotonic() < until:
                time.sleep(0.005)
            yield process
        finally:
            process.kill()


def check_writer(path: Path) -> int:
    """Open a copy and check what every commit of the writer keeps; returns its transaction count."""
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.execute(
            "SELECT (SELECT sum(amount) FROM accounts), (SELECT n FROM progress),"
            " (SELECT count(*) FROM transfers), (SELECT coalesce(max(n), 0) FROM transfers),"
            " (SELECT sum(length(note)) FROM transfers), (SELECT sum(len(vector)) FROM transfers)"
        ).fetchone()
    assert row is not None
    total, n, count, highest, letters, floats = row
    assert (total, count, highest) == (WRITER_TOTAL, n, n)
    assert (letters or 0, floats or 0) == (200 * n, 64 * n)
    return int(n)
