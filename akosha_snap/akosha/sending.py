"""One pass over the records, batch by batch, into one Akosha server."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from akosha_snap.akosha.batches import MAX_BODY, Piece, cut
from akosha_snap.akosha.exchange import RequestTooLarge
from akosha_snap.akosha.failures import Failures
from akosha_snap.akosha.graph_tools import TOOLS, graph_arguments
from akosha_snap.akosha.ledger import Ledger
from akosha_snap.akosha.mcp_client import McpClient
from akosha_snap.akosha.memories import EmbeddingPolicy, as_argument, memory_id, memory_of
from akosha_snap.akosha.memory_tool import MAX_PIECES, Outcome, store_batch
from akosha_snap.akosha.results import SendResult
from akosha_snap.errors import AkoshaError, TransientAkoshaError
from akosha_snap.events import Observer
from akosha_snap.source import Record

__all__ = ["Sending", "ServerForgot"]

_GROUP = 200
"""Records looked up in the ledger together."""

_UNVERIFIED = "unverified"
"""The note that a record was sent as a probe, and not yet found to be a duplicate. A server that was restarted
has it then, so asking it again proves nothing."""


class ServerForgot(Exception):
    """The server lost what it was sent: its hot store is in memory, and it was restarted."""


class Sending:
    """Sends records that the ledger does not have, and enters them there once the server has them.

    What went well is counted in `result`, what did not in `failures`. Raises ServerForgot as
    soon as it turns out that the ledger is no longer true; else what McpClient raises.
    """

    def __init__(
        self,
        client: McpClient,
        ledger: Ledger,
        failures: Failures,
        *,
        system_id: str,
        policy: EmbeddingPolicy,
        observer: Observer,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._failures = failures
        self._system_id = system_id
        self._policy = policy
        self._observer = observer
        self._max_bytes = MAX_PIECES
        self._interruptions = client.interruptions
        self._under_way: set[str] = set()
        self._probe: Piece | None = None  # a record that the server must have; the oldest one proves most
        self._is_true = True  # the ledger, as far as anybody can tell
        self.result = SendResult()

    def check_memory(self, records: Iterable[Record]) -> None:
        """Send one of `records` that the server should have; raises ServerForgot where that is new to it, or may be.

        Killed, or without an answer, before it is known: the next one raises ServerForgot. Where the
        server should have none of them, what the ledger has besides cannot be checked: it is dropped
        as soon as something is entered, for else the two could not be told apart later.
        """
        if self._ledger.note(_UNVERIFIED) is not None:
            raise ServerForgot
        if len(self._ledger):
            self._probe = self._known(records)
            self._is_true = self._probe is not None
        self._ask_for_probe()

    def _known(self, records: Iterable[Record]) -> Piece | None:
        """A small one of the first of `records` that are in the ledger."""
        rest = iter(records)
        while group := list(itertools.islice(rest, _GROUP)):
            found = [memory for each in group if (memory := memory_of(each, self._system_id, self._policy))]
            unknown = self._ledger.unknown([memory.memory_id for memory in found])
            pieces = [Piece(each.memory_id, as_argument(each)) for each in found if each.memory_id not in unknown]
            if pieces:
                return min(pieces, key=lambda piece: len(piece.data))
        return None

    def _ask_for_probe(self) -> None:
        self._interruptions = self._client.interruptions
        if self._probe is None:
            return
        self._ledger.add([], {_UNVERIFIED: b""})
        sent = store_batch(self._client, [self._probe])
        if not sent.duplicates or self._client.interruptions > self._interruptions:
            raise ServerForgot
        self._ledger.drop_note(_UNVERIFIED)

    def memories(self, records: Iterable[Record]) -> None:
        """Send records that batch_store_memories takes."""
        for batch in cut(self._pieces(records), max_bytes=lambda: self._max_bytes):
            self._send(batch)

    def graph(self, records: Iterable[Record]) -> None:
        """Send entities or relationships, one by one, for there is no tool that takes more."""
        for record in records:
            key = memory_id(record, self._system_id)
            if not self._ledger.unknown([key]):
                self.result.unchanged += 1
                continue
            arguments = graph_arguments(record, self._system_id)
            if len(arguments) > MAX_PIECES:
                self._failures.add(key, _too_large(len(arguments)))
                continue
            self.result.sent += 1
            self._enter(self._created(record, key, arguments))

    def _created(self, record: Record, key: str, arguments: bytes) -> Outcome:
        try:
            answer = self._client.call_tool(TOOLS[record.kind], arguments)
        except TransientAkoshaError:
            raise
        except AkoshaError as error:
            return Outcome([], [], {key: error.message})
        if answer.get("status") == "failed" or answer.get("success") is False:
            return Outcome([], [], {key: str(answer.get("error", "Akosha does not say why"))})
        return Outcome([key], [], {})

    def _pieces(self, records: Iterable[Record]) -> Iterator[Piece]:
        """What of the records is to be sent, ready to be."""
        rest = iter(records)
        while group := list(itertools.islice(rest, _GROUP)):
            memories = {}
            for record in group:
                memory = memory_of(record, self._system_id, self._policy)
                if memory is None:
                    self.result.skipped += 1
                elif memory.memory_id in memories or memory.memory_id in self._under_way:
                    self.result.unchanged += 1  # the same record twice
                else:
                    memories[memory.memory_id] = memory
            new = self._ledger.unknown(list(memories))
            self.result.unchanged += len(memories) - len(new)
            for key in [each for each in memories if each in new]:
                data = as_argument(memories.pop(key))
                if len(data) > MAX_PIECES:
                    self._failures.add(key, _too_large(len(data)))
                    continue
                self._under_way.add(key)
                yield Piece(key, data)

    def _send(self, batch: list[Piece]) -> None:
        try:
            outcome = store_batch(self._client, batch)
        except RequestTooLarge:
            size = sum(len(piece.data) for piece in batch)
            if len(batch) == 1:
                self._enter(Outcome([], [], {batch[0].memory_id: _too_large(size)}))
                return
            self._max_bytes = size // 2  # something between us and Akosha takes less than Akosha does
            for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                self._send(half)
            return
        if self._client.interruptions > self._interruptions:
            self._ask_for_probe()  # before this batch can be one: a server that was restarted has it
        self.result.sent += len(batch)
        self._enter(outcome)
        there = {*outcome.stored, *outcome.duplicates}
        known = [piece for piece in batch if piece.memory_id in there]
        self._probe = self._probe or min(known, key=lambda piece: len(piece.data), default=None)
        self._observer.advance(sum(len(piece.data) for piece in batch))

    def _enter(self, outcome: Outcome) -> None:
        if not self._is_true:
            self._ledger.forget()
            self._is_true = True
        self._ledger.add([*outcome.stored, *outcome.duplicates])
        self._under_way.difference_update(outcome.stored, outcome.duplicates, outcome.failed)
        self.result.stored += len(outcome.stored)
        self.result.duplicates += len(outcome.duplicates)
        for key, why in outcome.failed.items():
            self._failures.add(key, why)


def _too_large(size: int) -> str:
    return f"{size:,} bytes are too large for a request, which takes {MAX_BODY:,}; a snapshot in a store has it"
