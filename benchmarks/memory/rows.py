"""Rows of a memory: text like that of developers' sessions, vectors around topics, fingerprints like noise."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import numpy as np

__all__ = ["DIMENSIONS", "Maker"]

DIMENSIONS = 384
TOPICS = 48

_DID = (
    "added", "benchmarked", "cached", "documented", "fixed", "merged", "moved", "profiled", "removed", "renamed",
    "reviewed", "split", "traced",
)  # fmt: skip
_WHAT = (
    "the archive reader", "the batch importer", "the cache eviction", "the config loader", "the cursor handling",
    "the end-of-session hook", "the entity merger", "the event queue", "the export command", "the health probe",
    "the login flow", "the migration script", "the nightly job", "the ranking of results", "the retry policy",
    "the schema check", "the search index", "the timeout handling", "the upload path", "the worker pool",
)  # fmt: skip
_WHY = (
    "because rows were lost after a crash", "so that CI stays under ten minutes", "since two writers met",
    "after the review asked for it", "to keep memory flat", "because the answer came back stale",
    "as the old name misled everybody", "so the hook returns at once", "because time zones were mixed up",
)  # fmt: skip
_CODE = (
    "def {a}({b}: str) -> int:\n    return len(self.{c}[{b}]) + {n}",
    "SELECT {a}, count(*) FROM {b} WHERE {c} > {n} GROUP BY 1",
    'File "src/{a}.py", line {n}, in {b}\nValueError: {c} is not a number',
    "{a} = await client.{b}(timeout={n})\nassert {a}.{c} is not None",
)
_SYLLABLES = (
    "an", "bel", "cor", "dra", "en", "fal", "gri", "hol", "im", "jun", "kar", "lus", "mon", "ner", "ol", "pra", "qui",
    "ras", "sol", "tam", "ul", "ver", "wim", "xen", "yor", "zet",
)  # fmt: skip
_PROJECTS = ("akosha", "crackerjack", "infra", "oneiric", "session-buddy", "snapshots", "website")
_CATEGORIES = ("context", "decision", "error", "preference", "skill", "turn")
_ENTITY_TYPES = ("concept", "file", "function", "library", "person", "project", "test")
_RELATIONS = ("depends_on", "extends", "mentions", "owns", "related_to", "tests", "uses")


class Maker:
    """Makes rows, all different, the same for the same seed, in any interpreter and version of DuckDB."""

    def __init__(self, seed: int, now: dt.datetime) -> None:
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        self.now = now
        fixed = random.Random(20_26)  # one vocabulary and one set of topics for all seeds
        self.vocabulary = ["".join(fixed.choices(_SYLLABLES, k=fixed.choice((2, 2, 3)))) for _ in range(5000)]
        self.names = [f"{fixed.choice(self.vocabulary)}_{fixed.choice(self.vocabulary)}" for _ in range(900)]
        self.topics = _unit(np.random.default_rng(384).standard_normal((TOPICS, DIMENSIONS)))

    def sentence(self) -> str:
        """One sentence: a frame that recurs, a tail that does not."""
        pick = self.random.choice
        tail = " ".join(self.random.choices(self.vocabulary, k=self.random.randint(3, 13)))
        issue = self.random.randint(1, 4000)
        return f"We {pick(_DID)} {pick(_WHAT)} {pick(_WHY)}; {tail}, see {pick(self.names)} (#{issue})."

    def text(self, mean: int) -> str:
        """Sentences and now and then some code, about `mean` characters, seldom far more."""
        want = min(12_000, self.random.lognormvariate(0, 0.6) * mean * 0.8)
        parts, size = [], 0
        while size < want:
            part = self.sentence() if self.random.random() > 0.15 else self._code()
            parts.append(part)
            size += len(part) + 1
        return "\n".join(parts)

    def _code(self) -> str:
        a, b, c = self.random.choices(self.names, k=3)
        return self.random.choice(_CODE).format(a=a, b=b, c=c, n=self.random.randint(2, 900))

    def moment(self) -> dt.datetime:
        """The next moment, some minutes on."""
        self.now += dt.timedelta(microseconds=int(self.random.expovariate(1 / 240) * 1e6))
        return self.now

    def key(self) -> str:
        """A random key, as long as a UUID."""
        return f"{self.random.getrandbits(128):032x}"

    def vectors(self, count: int) -> Any:
        """`count` vectors of length 1, each near one of the topics."""
        noise = self.numpy.standard_normal((count, DIMENSIONS)) * (1.2 / DIMENSIONS**0.5)
        return _unit(self.topics[self.numpy.integers(0, TOPICS, count)] + noise).astype(np.float32)

    def conversations(self, count: int) -> list[dict[str, Any]]:
        """Conversations of one session."""
        session, vectors = self.key()[:16], self.vectors(count)
        return [self._conversation(session, vectors[i]) for i in range(count)]

    def _conversation(self, session: str, vector: Any) -> dict[str, Any]:
        pick, content, project = self.random.choice, self.text(1200), self.random.choice(_PROJECTS)
        return {
            "id": self.key()[:16], "content": content, "embedding": vector, "category": pick(_CATEGORIES),
            "subcategory": pick(_WHAT)[4:], "importance_score": round(self.random.betavariate(3, 3), 3),
            "memory_tier": pick(("long_term",) * 6 + ("short_term",)), "access_count": 0, "project": project,
            "timestamp": self.moment(), "session_id": session, "searchable_content": content,
            "reasoning": self.sentence() if self.random.random() < 0.3 else None,
            "metadata": json.dumps({"project": project, "quality": self.random.randint(40, 100)}),
            "source_type": pick(("claude_code", "manual")), "fingerprint": self.random.randbytes(1024),
        }  # fmt: skip

    def reflections(self, count: int, conversations: list[str]) -> list[dict[str, Any]]:
        """Reflections, a third of them on one of the conversations."""
        vectors, pick, session = self.vectors(count), self.random.choice, self.key()[:16]
        return [
            {
                "id": self.key(), "conversation_id": pick(conversations) if self.random.random() < 0.3 else None,
                "content": self.text(300), "embedding": vectors[i], "category": "context",
                "subcategory": pick(_WHAT)[4:], "tags": self.random.sample(self.names, self.random.randint(1, 4)),
                "project": pick(_PROJECTS), "timestamp": self.moment(), "updated_at": self.now,
                "fingerprint": self.random.randbytes(1024), "source_session_id": session,
            }
            for i in range(count)
        ]  # fmt: skip

    def accesses(self, conversations: list[str]) -> list[dict[str, Any]]:
        """One row of the access log for each of the conversations."""
        return [
            {"id": self.key(), "memory_id": key, "access_type": "search",
             "query_text": self.sentence()[:80], "timestamp": self.moment()}
            for key in conversations
        ]  # fmt: skip

    def entities(self, count: int) -> list[dict[str, Any]]:
        """Entities with a few observations each."""
        vectors, pick = self.vectors(count), self.random.choice
        return [
            {
                "id": self.key(), "name": f"{pick(_PROJECTS)}/{pick(self.names)}", "entity_type": pick(_ENTITY_TYPES),
                "observations": [self.sentence() for _ in range(self.random.randint(1, 6))],
                "properties": json.dumps({"path": f"src/{pick(self.names)}.py", "score": self.random.random()}),
                "created_at": self.moment(), "updated_at": self.now, "metadata": "{}", "embedding": vectors[i],
            }
            for i in range(count)
        ]  # fmt: skip

    def relationships(self, count: int, entities: list[str]) -> list[dict[str, Any]]:
        """Relationships between any two of the entities."""
        pick = self.random.choice
        return [
            {
                "id": self.key(), "from_entity": pick(entities), "to_entity": pick(entities),
                "relation_type": pick(_RELATIONS), "created_at": self.moment(), "updated_at": self.now,
                "properties": json.dumps({"confidence": self.random.random(), "evidence": self.sentence()}),
                "metadata": "{}",
            }
            for _ in range(count)
        ]  # fmt: skip


def _unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
