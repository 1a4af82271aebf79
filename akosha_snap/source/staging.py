"""A consistent copy of one named file."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import msgspec

from akosha_snap.errors import AkoshaSnapError, ConfigError
from akosha_snap.source.beside import WAL_SUFFIX, beside
from akosha_snap.source.blocks import Meter
from akosha_snap.source.files import check_name, open_regular, read_piece, shown
from akosha_snap.source.hashing import hash_copy
from akosha_snap.source.header import BLOCKS_START, is_duckdb
from akosha_snap.source.live import copy_live, fingerprint
from akosha_snap.source.model import StagedFile, StagedSource
from akosha_snap.source.plain import copy_plain
from akosha_snap.source.seen import Seen, is_as_seen
from akosha_snap.source.settle import settle

__all__ = ["DEADLINE", "stage"]

DEADLINE = 30.0
"""Seconds; a session's writer settles within one or two tries, a bulk load may need many."""

_DUCKDB_SUFFIXES = (".duckdb", ".ddb")
_HEAD = 12  # bytes: enough to know a DuckDB file by


def stage(path: Path, into: Path, *, deadline: float = DEADLINE, before: Seen | None = None) -> StagedSource:
    """Copy `path`, and the WAL of a DuckDB database, consistently into the folder `into`.

    Bit for bit, but for a WAL's end that was never committed. The live file is only read and
    never locked. Do not call it in a process that has the database open: closing the file drops
    that process's own lock (see stage_in_child). A database that is still as it was seen
    `before` is not copied.

    A DuckDB database is hashed too: beside the copying in the first try, afterwards where a writer spoils that one,
    so that the others are as short as can be.

    A copy that a writer spoils is taken again, until `deadline` seconds have passed; a try
    under way is finished. Raises BusyError then; DamageError for a database whose blocks in use
    are not whole, ConfigError for a name or a file that cannot be right, and SourceError for
    one that cannot be read.
    """
    name = check_name(path)
    if before and is_as_seen(path, before):
        return StagedSource([], tries=0, bytes_read=2 * BLOCKS_START, warnings=[], seen=before, unchanged=True)
    wal_copy = beside(into / name, WAL_SUFFIX)
    for taken in (into / name, wal_copy):
        if os.path.lexists(taken):
            raise ConfigError(f"two files to copy are called {taken.name}", hint="push them one at a time")
    duckdb = _is_duckdb(path)
    meter = Meter()
    first = itertools.chain([True], itertools.repeat(False))
    try:
        settled = settle(
            (lambda left_out: copy_live(path, into, meter, left_out, hashing=next(first)))
            if duckdb
            else (lambda _: copy_plain(path, into, meter)),
            lambda: fingerprint(path),
            name=shown(path),
            deadline=deadline,
        )
        files = [_hashed(file) for file in settled.value.files]
    except BaseException:
        for leftover in (into / name, wal_copy):
            with contextlib.suppress(OSError):
                leftover.unlink()
        raise
    warnings = [
        f"{shown(path)} is of a later storage version than this akosha-snap knows, and {found}"
        for found in settled.tolerated.values()
    ]
    copied = settled.value
    return StagedSource(files, settled.tries, meter.total, copied.warnings + warnings, copied.seen)


def _hashed(file: StagedFile) -> StagedFile:
    """The file with its hashes, if it is a database."""
    if file.kind != "duckdb" or file.hashes:
        return file
    with Path(file.path).open("rb", buffering=0) as copy:
        return msgspec.structs.replace(file, hashes=hash_copy(copy, file.block_size))


def _is_duckdb(path: Path) -> bool:
    """Whether the file is a DuckDB database, by its content. Raises ConfigError for one that should be."""
    with open_regular(path) as file:
        head = read_piece(path, file, _HEAD)
    if not head:
        raise ConfigError(
            f"{shown(path)} is empty: nothing to snapshot", hint="check the path, or push it once it holds something"
        )
    if is_duckdb(head):
        return True
    if path.suffix.lower() in _DUCKDB_SUFFIXES:
        raise ConfigError(
            f"{shown(path)} is not a DuckDB database", hint="check the path, or rename it to push it as a plain file"
        )
    if path.name.endswith(WAL_SUFFIX) and _has_database(path):
        raise ConfigError(
            f"{shown(path)} is the write-ahead log of a database", hint="push the database: its log comes along"
        )
    return False


def _has_database(wal: Path) -> bool:
    try:
        with open_regular(wal.with_name(wal.name.removesuffix(WAL_SUFFIX))) as file:
            return is_duckdb(file.read(_HEAD))
    except AkoshaSnapError:
        return False
