"""A DuckDB of our own around one staged copy: read-only, in bounded memory, reaching for nothing."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from akosha_snap.errors import AkoshaSnapError, DamageError, SourceError, UnsupportedStorage
from akosha_snap.source.beside import WAL_SUFFIX
from akosha_snap.source.clone import try_clone
from akosha_snap.source.files import shown
from akosha_snap.source.lean_duckdb import load_duckdb

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Error

__all__ = ["ALIAS", "MEMORY", "open_copy", "translated"]

MEMORY = "64MB"
"""A WAL of 237 MB was replayed with this in 1.3 s, as fast as with four times as much, at 141 MB for the
whole process against 324. What does not fit is spilled; at worst we try again without a limit."""

_REPLAY_WRITES = "Could not write file"
"""What DuckDB 1.5.6 says where it replays a WAL that made an index over rows it holds itself: that writes blocks to
the file, also when it was opened to be read. A Session-Buddy just started leaves such a WAL; 2.0.1 reads it."""

ALIAS = "akosha_snap"
"""What the copy is attached as: a database called temp.duckdb or system.duckdb would clash under its own name."""


@contextlib.contextmanager
def open_copy(path: Path, memory: str | None) -> Iterator[DuckDBPyConnection]:
    """The staged database at `path`, attached read-only as ALIAS, its WAL replayed.

    The files stay as they are and nothing is left beside them. Loads no extension: an index of
    a type unknown without one does not matter here. `memory` is DuckDB's limit (None: its own).
    Raises SourceError where DuckDB does not start, and what DuckDB raises: see `translated`.
    """
    duckdb = load_duckdb()
    with _spill_folder(path) as spill, _engine(spill, memory) as connection:
        try:
            connection.execute(f"ATTACH {_quoted(path)} AS {ALIAS} (TYPE duckdb, READ_ONLY)")
        except duckdb.IOException as error:
            if _REPLAY_WRITES not in str(error):
                raise
            connection.execute(f"ATTACH {_quoted(_writable(path, Path(spill)))} AS {ALIAS} (TYPE duckdb)")
        connection.execute("SET enable_external_access = false")
        yield connection


def _quoted(path: Path) -> str:
    return "'" + str(path.absolute()).replace("'", "''") + "'"


def _writable(path: Path, folder: Path) -> Path:
    """A copy of the copy, with its WAL, that DuckDB may write to."""
    for name in (path.name, path.name + WAL_SUFFIX):
        with path.with_name(name).open("rb") as source, (folder / name).open("xb") as target:
            if not try_clone(source, target):
                shutil.copyfileobj(source, target, 1 << 20)
    return folder / path.name


@contextlib.contextmanager
def _spill_folder(path: Path) -> Iterator[str]:
    """A folder beside the copy for what does not fit the memory; gone afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=".spill-")
    except OSError as error:
        raise SourceError(
            f"no folder can be made beside {shown(Path(path.name))}: {error.strerror}",
            hint="free some space there, and check that you may write to that folder",
        ) from error
    with folder as name:
        yield name


def _engine(spill: str, memory: str | None) -> DuckDBPyConnection:
    """A DuckDB with no file open, that reaches for nothing and prints nothing."""
    duckdb = load_duckdb()
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "temp_directory": spill,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if memory:
        config["memory_limit"] = memory
    try:
        connection: DuckDBPyConnection = duckdb.connect(":memory:", config=config)
        connection.execute("SET enable_progress_bar = false")  # it prints one, to stdout, after 2 s
    except duckdb.Error as error:
        raise SourceError(
            f"DuckDB {duckdb.__version__} does not start: {error}",
            hint="free some memory; if that is not it, pip install -U duckdb",
        ) from error
    return connection


def translated(path: Path, error: Error) -> AkoshaSnapError:
    """What DuckDB's error about the copy at `path` means: UnsupportedStorage, SourceError or DamageError."""
    duckdb = load_duckdb()
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    if ("we can only read" in said and "version" in said) or "storage version greater than the latest" in said:
        # Seen from 1.4.4, 1.5.6 and 2.0.0: "Trying to read a database file with [storage] version number 999,
        # but we can only read [storage] versions between 64 and 68."
        return UnsupportedStorage(
            f"DuckDB {duckdb.__version__} is too old for {shown(Path(path.name))}: {said}", hint="pip install -U duckdb"
        )
    if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in said:
        return SourceError(
            f"DuckDB had no room to read {shown(Path(path.name))}: {said}",
            hint="free some memory or disk, then try again",
        )
    return DamageError(f"DuckDB cannot read {shown(Path(path.name))}: {said}", hint="restore from an earlier snapshot")
