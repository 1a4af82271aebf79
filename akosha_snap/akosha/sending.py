"""One pass over the records, batch by batch, into one Akosha server."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import msgspec

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

_PROBE = "probe"
"""The note with a record, as it was sent, that the server must still have."""

_UNVERIFIED = "unverified"
"""The note that the probe was sent, and not yet found to be a duplicate. A server that was restarted has the
probe then, so asking it again proves nothing."""


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
        self.result = SendResult()

    def check_memory(self) -> None:
        """Send one record the server should have; raises ServerForgot where that is new to it, or may have been.

        Killed, or without an answer, before it is known: the next one raises ServerForgot.
        """
        probe = self._ledger.note(_PROBE)
        self._interruptions = self._client.interruptions
        if probe is None:
            return
        if self._ledger.note(_UNVERIFIED) is not None:
            raise ServerForgot
        self._ledger.add([], {_UNVERIFIED: b""})
        sent = store_batch(self._client, [Piece(str(msgspec.json.decode(probe)["memory_id"]), probe)])
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
            self._enter(self._created(record, key, arguments), {})

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
                self._enter(Outcome([], [], {batch[0].memory_id: _too_large(size)}), {})
                return
            self._max_bytes = size // 2  # something between us and Akosha takes less than Akosha does
            for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                self._send(half)
            return
        if self._client.interruptions > self._interruptions:
            self.check_memory()
        self.result.sent += len(batch)
        there = {*outcome.stored, *outcome.duplicates}
        known = [piece.data for piece in batch if piece.memory_id in there]
        self._enter(outcome, {_PROBE: min(known, key=len)} if known else {})
        self._observer.advance(sum(len(piece.data) for piece in batch))

    def _enter(self, outcome: Outcome, notes: dict[str, bytes]) -> None:
        self._ledger.add([*outcome.stored, *outcome.duplicates], notes)
        self._under_way.difference_update(outcome.stored, outcome.duplicates, outcome.failed)
        self.result.stored += len(outcome.stored)
        self.result.duplicates += len(outcome.duplicates)
        for key, why in outcome.failed.items():
            self._failures.add(key, why)


def _too_large(size: int) -> str:
    return f"{size:,} bytes are too large for a request, which takes {MAX_BODY:,}; a snapshot in a store has it"
