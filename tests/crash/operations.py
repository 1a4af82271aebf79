"""What the plug is pulled on, each in a folder of its own: `live`, `store`, `state`, `back`, `tmp`.

Started as a process (`python operations.py`) it waits, with everything imported, for requests, one JSON object
a line: the operation, its options, the folder, and where the plug is. It answers with the Outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from akosha_snap import api, source
from akosha_snap.snapshot import packer
from akosha_snap.source import RecordCounts, count_records
from akosha_snap.stores import DirectoryStore

__all__ = ["NOW", "OPERATIONS", "SYSTEM", "handover", "prune", "push", "restore", "send"]

SYSTEM = "mac-local"
NOW = dt.datetime(2026, 11, 23, 7, 15, tzinfo=dt.UTC)
PACK = 96 * 1024
"""Bytes of a full pack here: a push of 1 MB then makes several."""
BATCH = 20
"""Records sent in one request."""


def push(folder: Path, **options: Any) -> Any:
    """Push what is in `live`."""
    files = sorted(path for path in (folder / "live").iterdir() if path.suffix != ".wal")
    with patch.object(packer, "PACK_TARGET", PACK):
        return api.push(files, _store(folder), **_OPTIONS, state_dir=folder / "state", now=lambda: NOW, **options)


def restore(folder: Path, **options: Any) -> Any:
    """Restore into `back`."""
    return api.restore(_store(folder), to=folder / "back", system_id=SYSTEM, **options)


def prune(folder: Path, *, hours: float = 0.0, **options: Any) -> Any:
    """Prune, so many hours after the pushes."""
    rules = {"keep_last": 1, **options}
    return api.prune(_store(folder), system_id=SYSTEM, now=lambda: NOW + dt.timedelta(hours=hours), **rules)


def send(folder: Path, *, url: str) -> Any:
    """Send the records of `live` to the Akosha at `url`, as a sync by HTTP does."""
    from akosha_snap.akosha import batches, sending
    from akosha_snap.config import load_settings
    from akosha_snap.sync.http import send_to_akosha

    settings = load_settings(akosha_url=url, system_id=SYSTEM, state_dir=folder / "state", data_dir=folder / "live")
    with patch.object(sending, "cut", functools.partial(batches.cut, max_records=BATCH)):
        return send_to_akosha(settings, settings.memory_files())


def handover(folder: Path) -> Any:
    """Take the newest snapshot's records into `hot.duckdb`, as Akosha's worker does."""
    import duckdb

    from akosha_snap.akosha import SnapshotStorage
    from akosha_snap.akosha import handover as module
    from akosha_snap.akosha.bound_ledger import BoundLedger

    with (
        patch.object(module, "PART_RECORDS", 12),
        duckdb.connect(str(folder / "hot.duckdb"), config={"threads": 1}) as hot,
    ):

        async def confirm(ids: Any) -> Any:
            asked = "SELECT conversation_id FROM conversations WHERE conversation_id IN (SELECT unnest(?))"
            return {row[0] for row in hot.execute(asked, [ids]).fetchall()}

        ledger = BoundLedger(folder / "state" / "ledger.sqlite", hot, lambda _: None)
        storage = SnapshotStorage(_store(folder), ledger=ledger, confirm=confirm, now=lambda: NOW)
        try:
            asyncio.run(_poll_until_idle(storage, hot))
        finally:
            storage.close()


async def _poll_until_idle(storage: Any, hot: Any) -> None:
    while not storage.idle_polls:
        for system in [each async for each in storage.list("systems/")]:
            for upload in [each async for each in storage.list(system) if each.endswith("/")]:
                for record in json.loads(await storage.get(f"{upload}memories.json"))["conversations"]:
                    hot.execute("INSERT OR IGNORE INTO conversations VALUES (?)", [record["id"]])
    await storage.settle()


OPERATIONS: dict[str, Callable[..., Any]] = {each.__name__: each for each in (push, restore, prune, send, handover)}

_OPTIONS: dict[str, Any] = {"system_id": SYSTEM, "stage_in_child": False}


def _store(folder: Path) -> DirectoryStore:
    return DirectoryStore(folder / "store")


@contextlib.contextmanager
def counting_here(paths: Sequence[Path]) -> Iterator[Callable[[], list[RecordCounts]]]:
    """`counting_in_child` without a child: a process that is traced starts no other."""
    yield lambda: count_here(paths)


def count_here(paths: Sequence[Path]) -> list[RecordCounts]:
    """`count_in_child` without one."""
    return [count_records(path) for path in paths]


def _in_folder(operation: Callable[..., Any], folder: Path, options: dict[str, Any]) -> None:
    from akosha_snap.akosha import send as module

    source.counting_in_child = counting_here
    module.count_in_child = count_here
    os.environ["TMPDIR"], tempfile.tempdir = str(folder / "tmp"), None
    operation(folder, **options)


def _serve() -> None:
    from plug import pull

    for name in ("akosha_snap.akosha", "akosha_snap.sync.http", "blake3", "duckdb", "filelock", "httpx", "numpy"):
        __import__(name)
    for name in ("pyfastcdc", "sqlite3", "zstandard", "akosha_snap.source.lean_duckdb", "asyncio.runners"):
        __import__(name)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        folder = Path(asked["folder"])
        job = functools.partial(_in_folder, OPERATIONS[asked["operation"]], folder, asked["options"])
        print(json.dumps(pull(job, folder, asked["at"], asked["how"], asked["where"])), flush=True)


if __name__ == "__main__":
    _serve()
