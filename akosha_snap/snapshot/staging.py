"""Bring the files of a push to a private folder, consistent, and count what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from akosha_snap import source
from akosha_snap.errors import ConfigError, SourceError
from akosha_snap.manifest import Counts
from akosha_snap.manifest.ids import bare_name, is_file_name
from akosha_snap.snapshot.records import add_up
from akosha_snap.source import StagedFile

__all__ = ["StagedFiles", "count", "stage_files"]

_STAGING_DEADLINE = 30.0
"""Seconds to try for a consistent copy of one file; under a normal writer 1 to 2 tries of 0.15 s do."""


class StagedFiles(NamedTuple):
    """The staged copies, the bytes read from the live files, and what the user should know."""

    files: list[StagedFile]
    bytes_read: int
    warnings: list[str]


def stage_files(paths: Iterable[Path], into: Path, *, in_child: bool) -> StagedFiles:
    """Stage each path (a database brings its WAL along). Raises ConfigError, SourceError, DamageError, BusyError."""
    files: list[StagedFile] = []
    bytes_read, warnings = 0, []
    for path in dict.fromkeys(paths):
        try:
            stage = source.stage_in_child if in_child else source.stage
            staged = stage(path, into, deadline=_STAGING_DEADLINE)
        except OSError as error:
            raise SourceError(
                f"cannot copy {path} to {into}: {error.strerror or error}",
                hint="nothing was uploaded; a push needs as much free space there as the file has",
            ) from None
        files += staged.files
        bytes_read += staged.bytes_read
        warnings += staged.warnings
    _check_names(files)
    return StagedFiles(files, bytes_read, warnings)


def _check_names(files: list[StagedFile]) -> None:
    """Every file must have a name of its own, and one that a reader of the format accepts."""
    for file in files:
        if not is_file_name(file.name) or (file.kind == "duckdb" and "?" in file.name):
            # What follows a `?` DuckDB takes for options, and names the WAL after what stands before it.
            why = " (DuckDB takes what follows a ? for options)" if file.kind == "duckdb" else ""
            raise ConfigError(f"{file.name!r} cannot be the name of a snapshot's file{why}", hint="rename it")
    databases = {file.name for file in files if file.kind == "duckdb"}
    for file in files:
        for suffix in (source.WAL_SUFFIX, *source.CHECKPOINT_SUFFIXES):
            if file.kind == "plain" and file.name.removesuffix(suffix) in databases:
                raise ConfigError(
                    f"DuckDB would take {file.name!r} for a log of {file.name.removesuffix(suffix)!r}",
                    hint="push it as a different system, or rename it",
                )
    for names in ([file.name for file in files], [bare_name(file.name) for file in files]):
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"two files are named {twice}", hint="push them as different systems, or rename one")


def count(files: Iterable[StagedFile], previous: Counts | None) -> tuple[Counts, list[str]]:
    """Open each staged database with DuckDB and add up its records.

    Where the installed DuckDB is too old for a file, the counts of the `previous`
    snapshot are carried over, with a warning. Raises DamageError where DuckDB cannot read one.
    """
    databases = [Path(file.path) for file in files if file.kind == "duckdb"]
    try:
        return add_up(source.count_in_child(databases)), []
    except source.UnsupportedStorage as error:
        return msgspec.structs.replace(previous or Counts(), counted=False), [f"pushed without opening it: {error}"]
