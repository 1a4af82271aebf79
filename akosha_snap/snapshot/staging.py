"""Bring the files of a push to a private folder, consistent, and count what is in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from akosha_snap import source
from akosha_snap.errors import ConfigError, SourceError
from akosha_snap.manifest import Counts
from akosha_snap.manifest.ids import bare_name, is_file_name
from akosha_snap.snapshot.last_push import KnownSource
from akosha_snap.snapshot.records import add_up
from akosha_snap.source import RecordCounts, StagedFile, StagedSource

__all__ = ["Counted", "StagedFiles", "copy_changed", "counting", "stage_files", "stage_rest"]

_STAGING_DEADLINE = 30.0
"""Seconds to try for a consistent copy of one file; under a normal writer 1 to 2 tries of 0.15 s do."""


class StagedFiles(NamedTuple):
    """The sources of a push, each with its copies; of one that is as the last push saw it there are none."""

    sources: list[KnownSource]
    files: list[StagedFile]
    unchanged: list[str]
    """The names of the files that are as they were."""
    bytes_read: int
    """Bytes read from the live files."""
    warnings: list[str]


def stage_files(
    paths: Iterable[Path], into: Path, before: Mapping[bytes, KnownSource], *, in_child: bool
) -> StagedFiles:
    """Stage each path (a database brings its WAL along), but for what is as it was `before`.

    `before` has sources of the last push, by their paths. Raises ConfigError, SourceError,
    DamageError, BusyError.
    """
    staged = StagedFiles([], [], [], 0, [])
    for path in dict.fromkeys(paths):
        name = os.fsencode(path.absolute())
        known = before.get(name)
        one = _stage(path, into, known.seen if known and known.counts else None, in_child=in_child)
        if known and one.unchanged:
            staged.sources.append(known)
            staged.unchanged.extend(known.files)
        else:
            staged.sources.append(KnownSource(name, one.seen, [file.name for file in one.files], None))
        staged.files.extend(one.files)
        staged.warnings.extend(one.warnings)
        staged = staged._replace(bytes_read=staged.bytes_read + one.bytes_read)
    _check_names(staged.files, staged.unchanged)
    return staged


def stage_rest(staged: StagedFiles, into: Path, *, in_child: bool) -> StagedFiles:
    """Stage what was left out because it is unchanged, too."""
    left_out = [known for known in staged.sources if set(known.files) <= set(staged.unchanged)]
    rest = stage_files([Path(os.fsdecode(known.path)) for known in left_out], into, {}, in_child=in_child)
    now = {known.path: known for known in rest.sources}
    whole = StagedFiles(
        sources=[now.get(known.path, known) for known in staged.sources],
        files=staged.files + rest.files,
        unchanged=[],
        bytes_read=staged.bytes_read + rest.bytes_read,
        warnings=staged.warnings + rest.warnings,
    )
    _check_names(whole.files, [])
    return whole


def copy_changed() -> SourceError:
    """What to raise where a staged copy is not what was staged: somebody has touched it, or the disk has failed."""
    return SourceError(
        "a staged copy changed while it was pushed",
        hint="nothing was made of it; run it again, and check that disk if it happens again",
    )


def _stage(path: Path, into: Path, before: source.Seen | None, *, in_child: bool) -> StagedSource:
    try:
        stage = source.stage_in_child if in_child else source.stage
        return stage(path, into, deadline=_STAGING_DEADLINE, before=before)
    except OSError as error:
        raise SourceError(
            f"cannot copy {path} to {into}: {error.strerror or error}",
            hint="nothing was uploaded; a push needs as much free space there as the file has",
        ) from None


def _check_names(files: list[StagedFile], unchanged: list[str]) -> None:
    """Every file must have a name of its own, and one that a reader of the format accepts."""
    for file in files:
        if not is_file_name(file.name) or (file.kind == "duckdb" and "?" in file.name):
            # What follows a `?` DuckDB takes for options, and names the WAL after what stands before it.
            why = " (DuckDB takes what follows a ? for options)" if file.kind == "duckdb" else ""
            raise ConfigError(f"{file.name!r} cannot be the name of a snapshot's file{why}", hint="rename it")
    databases = {file.name for file in files if file.kind == "duckdb"} | set(unchanged)
    for file in files:
        for suffix in (source.WAL_SUFFIX, *source.CHECKPOINT_SUFFIXES):
            if file.kind == "plain" and file.name.removesuffix(suffix) in databases:
                raise ConfigError(
                    f"DuckDB would take {file.name!r} for a log of {file.name.removesuffix(suffix)!r}",
                    hint="push it as a different system, or rename it",
                )
    every = [*(file.name for file in files), *unchanged]
    for names in (every, [bare_name(name) for name in every]):
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"two files are named {twice}", hint="push them as different systems, or rename one")


Counted = tuple[list[KnownSource], Counts, list[str]]
"""The sources of a push with their records, all of these added up, and warnings."""


@contextlib.contextmanager
def counting(staged: StagedFiles, previous: Counts | None) -> Iterator[Callable[[], Counted]]:
    """Have DuckDB open each staged database beside what the block does, which is given what waits for the result.

    Where the installed DuckDB is too old for a file, the counts of the `previous`
    snapshot are carried over, with a warning. Waiting raises DamageError where DuckDB cannot read one.
    """
    copies = {file.name: Path(file.path) for file in staged.files if file.kind == "duckdb"}
    with source.counting_in_child(list(copies.values())) as counted:
        yield lambda: _count(staged, previous, list(copies), counted)


def _count(
    staged: StagedFiles, previous: Counts | None, names: list[str], result: Callable[[], list[RecordCounts]]
) -> Counted:
    try:
        counted = dict(zip(names, result(), strict=True))
    except source.UnsupportedStorage as error:
        counts = msgspec.structs.replace(previous or Counts(), counted=False)
        return staged.sources, counts, [f"pushed without opening it: {error}"]
    sources = [_with_counts(known, counted) for known in staged.sources]
    return sources, add_up(known.counts for known in sources if known.counts), []


def _with_counts(known: KnownSource, counted: dict[str, RecordCounts]) -> KnownSource:
    found = next((counted[name] for name in known.files if name in counted), known.counts)
    return msgspec.structs.replace(known, counts=found)
