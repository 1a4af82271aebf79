"""The storage adapter that Akosha's own, unmodified IngestionWorker takes."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from akosha_snap.akosha.handover import NOTHING, Handover
from akosha_snap.akosha.ledger import Ledger
from akosha_snap.akosha.memories import EmbeddingPolicy
from akosha_snap.akosha.offers import Offers, Upload
from akosha_snap.errors import AkoshaSnapError, ConfigError, DamageError, NewerFormatError, ObjectNotFound
from akosha_snap.events import Observer
from akosha_snap.frames import content_hash
from akosha_snap.manifest import Manifest
from akosha_snap.manifest.codec import MAX_MANIFEST_SIZE
from akosha_snap.manifest.ids import is_upload_id
from akosha_snap.manifest.keys import SYSTEMS_PREFIX, manifest_key, system_marker, upload_marker
from akosha_snap.scratch import scratch_folder
from akosha_snap.snapshot.restore import write_files
from akosha_snap.source import Kind
from akosha_snap.stores import Store, open_store

__all__ = ["SnapshotStorage"]

POLL_BYTES = 64 * 1024 * 1024
"""Bytes of records handed over in one poll; what is left waits for the next."""

MAX_OPEN = 4
"""Restored snapshots with records left to hand over, each with up to 32 MB of DuckDB's memory."""

MAX_TRIES = 3
"""Times that records which do not arrive are handed over."""

_KEY = re.compile(r"systems/([A-Za-z0-9_-]{1,100})/([^/]+)/([^/]+)")

_T = TypeVar("_T")

Confirm = Callable[[Sequence[str]], Awaitable[Collection[str]]]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _ignore(_: str) -> None:
    pass


class SnapshotStorage:
    """Offers a store's snapshots to one IngestionWorker as uploads with a `memories.json`.

    Of each system the newest snapshot is offered until all its records are handed over, in parts
    that fit in memory, a part each poll; and of the records only those that were not handed over
    before. What was, is remembered in the file `ledger` (None: until this object goes), which
    belongs to one hot store: give every hot store a ledger of its own (a BoundLedger notices when the
    hot store is another; it is closed with this object). `replay` forgets it.

    A part counts as handed over when the worker polls again (it does so only when it is done
    with what it took), and with `confirm`, which is asked which of its ids arrived, only these.
    So a crash at any moment loses nothing; a part may then come twice, and Akosha refuses the ids it has.

    `kinds` are handed over, each record with its kind as `type`; `embedding` is the policy for
    records without a vector; `report` is told what is passed over and why; `scratch` is the folder for
    restored files. Close it in the end.
    """

    def __init__(
        self,
        store: Store | str,
        *,
        ledger: Path | Ledger | None = None,
        replay: bool = False,
        kinds: Iterable[Kind] = ("conversation", "reflection"),
        embedding: EmbeddingPolicy = "zero",
        confirm: Confirm | None = None,
        report: Callable[[str], None] = _ignore,
        scratch: Path | None = None,
        now: Callable[[], dt.datetime] = _utc_now,
    ) -> None:
        if embedding not in {"zero", "skip"}:
            raise ConfigError(f"no embedding policy {embedding!r}", hint="choose zero or skip")
        opened = open_store(store) if isinstance(store, str) else store
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        if replay:
            self._ledger.forget()
        self._kinds = list(kinds)
        selection = ",".join([embedding, *sorted(self._kinds)])
        self._offers = Offers(opened, self._ledger, report, now, selection=selection)
        self._policy: EmbeddingPolicy = embedding
        self._confirm = confirm
        self._report = report
        self._scratch = scratch
        self._lock = threading.RLock()  # the worker asks for many uploads at once; one is restored at a time
        # and in one thread: each further one keeps memory of its own, after the work too, 100 MB in all
        self._restoring = ThreadPoolExecutor(1, thread_name_prefix="akosha-snap")
        self._offered: dict[str, tuple[str, Manifest]] | None = None
        self._handovers: dict[Upload, Handover] = {}
        self._tries: dict[Upload, int] = {}
        self._handed_over = 0  # bytes, in this poll
        self._polls = 0
        self.idle_polls = 0
        """Polls, up to the last complete one, in which the worker took nothing."""
        self.failure: AkoshaSnapError | None = None
        """Why the last poll found nothing, where that is the store's fault: the worker only logs it."""
        self.upload_failure: AkoshaSnapError | None = None
        """What kept an upload from being read in the last complete poll; the worker only logs that too."""

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """What lies directly under a prefix; prefixes end in a slash. `systems/` starts a new poll."""
        if prefix == SYSTEMS_PREFIX:
            for system_id in await self._start_poll():
                yield system_marker(system_id)
            return
        if self._offered is None:
            self._offered = await asyncio.to_thread(self._offers.find)
        for system_id, (upload_id, manifest) in self._offered.items():
            if prefix == system_marker(system_id):
                yield upload_marker(system_id, upload_id)
            elif prefix == upload_marker(system_id, upload_id):
                for name in ("manifest.json", "memories.json", *manifest.files):
                    yield f"{prefix}{name}"

    async def check(self) -> None:
        """Raise what is wrong with the store, which the worker would only log."""
        await asyncio.to_thread(self._offers.find)

    async def download(self, key: str) -> bytes | None:
        """An object, or None: a manifest, a file of the snapshot by its pointer, or its memories.json."""
        parsed = _KEY.fullmatch(key.replace("//", "/"))
        if not parsed or not is_upload_id(parsed[2]):
            return None
        upload, name = (parsed[1], parsed[2]), parsed[3]
        if name == "manifest.json":
            return await asyncio.to_thread(self._manifest, upload)
        return await self._in_thread(self._restored, upload, name)

    async def get(self, key: str) -> bytes | None:
        """The same as `download`, by the name the worker uses for memories.json."""
        return await self.download(key)

    def abort(self) -> None:
        """Requests to the store that wait to be repeated end now, from any thread. Nothing can be read after that."""
        self._offers.abort()

    def close(self) -> None:
        """Let go of the ledger and of restored files. What was not acknowledged will come again."""
        with self._lock:
            for handover in self._handovers.values():
                handover.close()
            self._handovers.clear()
            self._ledger.close()
        self._restoring.shutdown(wait=False)

    async def settle(self) -> None:
        """Acknowledge what was handed over, as the last thing before `close`.

        With `confirm` at any time; without, only when the worker is known to be done with what it took.
        """
        await self._acknowledge(last=True)

    async def _start_poll(self) -> Iterable[str]:
        """The worker is done with all the parts it took: it is polling again. Returns the systems to offer."""
        if self._polls and self.failure is None:
            self.idle_polls = 0 if self._handed_over else self.idle_polls + 1
            self.upload_failure = self._offers.failure
        self._polls += 1
        await self._acknowledge()
        self._handed_over = 0
        self._offered = {}
        try:
            self._offered = await asyncio.to_thread(self._offers.find)
        except AkoshaSnapError as error:
            self.failure = error
            raise
        self.failure = None
        self._drop_superseded()
        return list(self._offered)

    async def _acknowledge(self, *, last: bool = False) -> None:
        for upload, handover in list(self._handovers.items()):
            arrived = await self._confirm(handover.ids) if self._confirm and handover.ids else None
            await self._in_thread(self._finish_part, upload, handover, arrived, last)

    async def _in_thread(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._restoring, work, *arguments)

    def _finish_part(self, upload: Upload, handover: Handover, arrived: Collection[str] | None, last: bool) -> None:
        with self._lock:
            handover.acknowledge(arrived)
            if not handover.exhausted or (last and handover.lost):
                return
            del self._handovers[upload]
            tries = self._tries[upload] = self._tries.get(upload, 0) + 1
            if handover.lost and tries < MAX_TRIES:
                return  # it is offered again, with what did not arrive
            if handover.lost:
                self._report(
                    f"{handover.lost} records of upload {upload[1]} of system {upload[0]} did not arrive in"
                    f" {MAX_TRIES} tries: Akosha's log says why"
                )
            self._offers.done(upload)
            del self._tries[upload]

    def _drop_superseded(self) -> None:
        """Only the newest snapshot of a system matters; what was handed over of an older one is in the ledger."""
        offered = {(system_id, upload_id) for system_id, (upload_id, _) in (self._offered or {}).items()}
        with self._lock:
            for upload in self._handovers.keys() - offered:
                self._handovers.pop(upload).close()

    def _restored(self, upload: Upload, name: str) -> bytes | None:
        offered = (self._offered or {}).get(upload[0])
        manifest = offered[1] if offered and offered[0] == upload[1] else self._offers.manifest(upload)
        if manifest is None:
            return None
        return self._memories(upload, manifest) if name == "memories.json" else self._file(upload, manifest, name)

    def _manifest(self, upload: Upload) -> bytes | None:
        if self._offers.manifest(upload) is None:
            return None  # nor may the worker see what is no manifest: some kinds of it would stop it
        return self._offers.system(upload[0]).store.get(manifest_key(*upload), length=MAX_MANIFEST_SIZE)

    def _memories(self, upload: Upload, manifest: Manifest) -> bytes:
        with self._lock:
            handover = self._handovers.get(upload)
            if handover is None:
                busy = sum(not each.exhausted for each in self._handovers.values())
                if busy >= MAX_OPEN or self._handed_over >= POLL_BYTES or self._offers.is_done(upload):
                    return NOTHING
                handover = Handover(
                    self._offers.system(upload[0]),
                    manifest,
                    self._ledger,
                    kinds=self._kinds,
                    policy=self._policy,
                    scratch=self._scratch,
                )
            try:
                part = handover.part()
            except (DamageError, NewerFormatError) as error:
                self._offers.bad(upload, error)
                self._handovers.pop(upload, None)
                raise
            except AkoshaSnapError as error:  # no room, no network: another poll may have more luck
                self._offers.waits(upload, error)
                self._handovers.pop(upload, None)
                raise
            self._handovers[upload] = handover
            self._handed_over += len(part)
            return part

    def _file(self, upload: Upload, manifest: Manifest, name: str) -> bytes | None:
        if name not in manifest.files:
            return None
        entry = manifest.snapshot.files[manifest.files.index(name)]
        system = self._offers.system(upload[0])
        if entry.full_file.stored:
            try:
                data = system.store.get(entry.full_file.uri, length=entry.size)
            except ObjectNotFound:
                data = b""
            if content_hash(data).hex() == entry.blake3:
                return data
            self._offers.say(f"{entry.full_file.uri} is missing or damaged: the file is rebuilt from its chunks")
        with self._lock, scratch_folder(self._scratch) as folder:
            (written,) = write_files(system, manifest, folder, [entry], Observer(), overwrite=False)
            return Path(written.path).read_bytes()
