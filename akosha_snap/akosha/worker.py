"""Running the installed Akosha's own ingestion worker on a store's snapshots."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from akosha_snap.akosha.bound_ledger import BoundLedger
from akosha_snap.akosha.ledger import Ledger
from akosha_snap.akosha.memories import EmbeddingPolicy
from akosha_snap.akosha.storage import SnapshotStorage
from akosha_snap.atomic import make_private
from akosha_snap.errors import AkoshaSnapError, BusyError, ConfigError
from akosha_snap.stores import Store

__all__ = ["IN_MEMORY", "WorkerOptions", "run_worker"]

IN_MEMORY = "memory"
"""Instead of a hot store's path: one that is gone with the process, for a trial."""

_CONCURRENT = 4
"""Uploads the worker takes at a time; it handles their records one after another anyway."""

_LOOK = 0.1
"""Seconds between two looks whether it is time to end."""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker runs.

    `hot_store` is the DuckDB file it fills, IN_MEMORY, or None for the one Akosha is set to.
    `ledger` is where it is remembered what was handed over to it (None: nowhere).
    `poll_seconds` pass between two polls; `once` ends when nothing is new any more. See
    SnapshotStorage for the others.
    """

    hot_store: str | None
    ledger: Path | None = None
    poll_seconds: int = 30
    once: bool = False
    replay: bool = False
    embedding: EmbeddingPolicy = "zero"


def run_worker(
    store: Store, options: WorkerOptions, report: Callable[[str], None], stopping: Callable[[], bool] = lambda: False
) -> None:
    """Ingest snapshots from `store` until `stopping`, which is asked ten times a second.

    Raises ConfigError where Akosha is not installed or the hot store is not DuckDB, BusyError
    where another process has the hot store open, and what is wrong with the store at the start
    (with `once` at any time).
    """
    _need_akosha()
    hot_store = asyncio.run(_open_hot_store(options.hot_store))
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: asyncio.run(hot_store.close()))
        if not hasattr(hot_store, "conn"):  # it is not DuckDB
            raise ConfigError(
                "this hot store cannot be asked which records have arrived, and Akosha's worker tells nobody",
                hint="give --hot-store FILE: only a DuckDB file is filled without losing records",
            )
        storage = SnapshotStorage(
            store,
            ledger=_ledger(options.ledger, hot_store, report),
            replay=options.replay,
            embedding=options.embedding,
            confirm=_confirmation(hot_store, report),
            report=report,
        )
        stack.callback(storage.close)
        asyncio.run(_run(storage, _Breathing(hot_store), options, stopping))
        asyncio.run(storage.settle())  # the hot store tells what has arrived, wherever the worker was stopped


class _Breathing:
    """A hot store that lets the event loop run before each record.

    The worker awaits nothing that waits: it would keep the loop to itself for all of a part, half a minute.
    (An exception that a signal handler raises is no way out: DuckDB swallowed it in 3 of 7 tries.)
    """

    def __init__(self, hot_store: Any) -> None:
        self._hot_store = hot_store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hot_store, name)

    async def insert(self, record: Any) -> None:
        """As the hot store does."""
        await asyncio.sleep(0)
        await self._hot_store.insert(record)


def _need_akosha() -> None:
    try:
        import akosha.ingestion.worker  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"Akosha cannot be imported here: {error}",
            hint="install it beside akosha-snap: pip install akosha (on Python 3.13: 'akosha<0.12')",
        ) from None


async def _open_hot_store(where: str | None) -> Any:
    from akosha.storage import HotStore, create_hot_store

    if where is None:
        hot_store = create_hot_store()
    elif where == IN_MEMORY:
        hot_store = HotStore(database_path=":memory:")
    else:
        make_private(Path(where).parent)
        hot_store = HotStore(database_path=where)
    try:
        await hot_store.initialize()
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        kind = BusyError if "lock" in said.lower() else AkoshaSnapError
        raise kind(
            f"Akosha's hot store {where or ''} cannot be opened: {said}",
            hint="one process alone can have it open: end the other, or choose another file",
        ) from None
    return hot_store


def _ledger(path: Path | None, hot_store: Any, report: Callable[[str], None]) -> Ledger | None:
    """None where the hot store ends with this process, as the one Akosha is set to may: nothing need be remembered."""
    in_memory = str(getattr(hot_store, "db_path", "")) == ":memory:"
    return None if path is None or in_memory else BoundLedger(path, hot_store.conn, report)


def _confirmation(hot_store: Any, report: Callable[[str], None]) -> Any:
    """Asks the hot store, a DuckDB, which records it has."""

    async def confirm(ids: Sequence[str]) -> Collection[str]:
        query = "SELECT conversation_id FROM conversations WHERE conversation_id IN (SELECT unnest(?))"
        arrived = {row[0] for row in hot_store.conn.execute(query, [list(ids)]).fetchall()}
        report(f"{len(arrived):,} records are in the hot store")
        return arrived

    return confirm


async def _run(storage: SnapshotStorage, hot_store: Any, options: WorkerOptions, stopping: Callable[[], bool]) -> None:
    from akosha.ingestion.worker import IngestionWorker

    await storage.check()
    worker = IngestionWorker(
        storage,
        hot_store,
        poll_interval_seconds=0 if options.once else options.poll_seconds,
        max_concurrent_ingests=_CONCURRENT,
    )
    async with _task(worker.run()) as running:
        while not (running.done() or stopping() or (options.once and storage.idle_polls)):
            if options.once and storage.failure:
                raise storage.failure
            await asyncio.wait([running], timeout=_LOOK)
        worker.stop()
        storage.abort()
    if options.once and storage.upload_failure:
        raise storage.upload_failure


@contextlib.asynccontextmanager
async def _task(coroutine: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Runs beside the block and is cancelled with it."""
    running = asyncio.create_task(coroutine)
    try:
        yield running
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
