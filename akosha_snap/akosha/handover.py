"""The records of one snapshot on their way into Akosha's worker, part by part."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from akosha_snap.akosha.ledger import Ledger
from akosha_snap.akosha.memories import EmbeddingPolicy, Memory, as_conversation, memory_of
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.events import Observer
from akosha_snap.manifest import Manifest
from akosha_snap.scratch import scratch_folder
from akosha_snap.snapshot.restore import write_files
from akosha_snap.snapshot.system import System
from akosha_snap.source import Kind, read_records

__all__ = ["NOTHING", "PART_BYTES", "PART_RECORDS", "Handover"]

PART_BYTES = 8 * 1024 * 1024
"""Bytes of a part: the worker takes all of it into memory, several times over."""

PART_RECORDS = 2_000
"""Records of a part; the worker of Akosha 0.11 needs half a minute for them."""

_HEAD, _TAIL = b'{"conversations":[', b"]}"

NOTHING = _HEAD + _TAIL

_GROUP = 500
"""Records looked up in the ledger together."""


class Handover:
    """Restores a snapshot into a folder of its own and hands over what the ledger does not have.

    `part` gives the same part until `acknowledge` says that the worker is done with it.
    """

    def __init__(
        self,
        system: System,
        manifest: Manifest,
        ledger: Ledger,
        *,
        kinds: Iterable[Kind],
        policy: EmbeddingPolicy,
        scratch: Path | None,
    ) -> None:
        self._system = system
        self._manifest = manifest
        self._ledger = ledger
        self._kinds = list(kinds)
        self._policy: EmbeddingPolicy = policy
        self._scratch = scratch
        self._memories: Iterator[Memory] | None = None
        self._left_over: tuple[str, bytes] | None = None
        self._pending: bytes | None = None
        self.ids: list[str] = []
        """Of the records in the part that is handed over and not acknowledged."""
        self.exhausted = False
        """Every record has been read: there is no part after this one."""
        self.lost = 0
        """Records that were handed over and did not arrive."""

    def part(self) -> bytes:
        """The next part, as memories.json. Raises what a restore or reading the records raises."""
        if self._pending is None:
            self._pending = self._next_part()
        return self._pending

    def acknowledge(self, arrived: Collection[str] | None = None) -> None:
        """The worker is done with the part; with `arrived`, these ids alone are known to be in Akosha."""
        if self._pending is None:
            return
        there = self.ids if arrived is None else [each for each in self.ids if each in arrived]
        self._ledger.add(there)
        self.lost += len(self.ids) - len(there)
        self._pending, self.ids = None, []

    def close(self) -> None:
        """Let go of the restored files."""
        if self._memories is not None:
            self._memories.close()  # type: ignore[attr-defined]  # a generator
            self._memories = None

    def _next_part(self) -> bytes:
        if self._memories is None:
            self._memories = self._new_memories()
        ids: list[str] = []
        part = io.BytesIO()  # which gives its bytes away without a copy
        part.write(_HEAD)
        try:
            for key, piece in self._pieces(self._memories):
                if ids and (len(ids) == PART_RECORDS or part.tell() + len(piece) > PART_BYTES):
                    self._left_over = key, piece
                    break
                part.write(b"," if ids else b"")
                part.write(piece)
                ids.append(key)
            else:
                self.exhausted = True
        except BaseException:
            self.close()  # the next try starts anew; the ledger knows what has arrived
            raise
        if self.exhausted:
            self.close()
        self.ids = ids
        part.write(_TAIL)
        return part.getvalue()

    def _pieces(self, memories: Iterator[Memory]) -> Iterator[tuple[str, bytes]]:
        """The id and the JSON of each memory, that first which the last part had no room for."""
        if self._left_over:
            left, self._left_over = self._left_over, None
            yield left
        for memory in memories:
            yield memory.memory_id, as_conversation(memory)

    def _new_memories(self) -> Iterator[Memory]:
        """The memories of the snapshot that the ledger does not have, each once."""
        with scratch_folder(self._scratch) as folder:
            files = [file for file in self._manifest.snapshot.files if file.kind != "plain"]
            try:
                write_files(self._system, self._manifest, folder, files, Observer(), overwrite=False)
            except OSError as error:
                raise AkoshaSnapError(
                    f"cannot restore into {folder}: {error.strerror or error}",
                    hint="free some space in the temporary folder, or set TMPDIR to another",
                ) from None
            group: dict[str, Memory] = {}
            for memory in self._all(folder / file.name for file in files if file.kind == "duckdb"):
                group.setdefault(memory.memory_id, memory)
                if len(group) == _GROUP:
                    yield from self._new(group)
                    group = {}
            yield from self._new(group)

    def _all(self, databases: Iterable[Path]) -> Iterator[Memory]:
        for path in databases:
            for record in read_records(path, self._kinds):
                memory = memory_of(record, self._system.id, self._policy)
                if memory is not None:
                    yield memory

    def _new(self, group: dict[str, Memory]) -> Iterator[Memory]:
        unknown = self._ledger.unknown(list(group))
        return (memory for key, memory in group.items() if key in unknown)
