"""Put a snapshot's files back, bit for bit, each whole under its name or not at all."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from akosha_snap.atomic import fsync_directory, publish, temporary_file
from akosha_snap.errors import AkoshaSnapError, ConfigError, ConflictError, NothingThereError
from akosha_snap.events import Observer
from akosha_snap.manifest import Manifest
from akosha_snap.snapshot.assemble import assemble
from akosha_snap.snapshot.decoding import pack_ids
from akosha_snap.snapshot.results import RestoredFile, RestoreResult
from akosha_snap.snapshot.system import LATEST, System

__all__ = ["restore_snapshot", "write_files"]

_COMPANIONS = (".wal", ".wal.checkpoint", ".wal.recovery")
"""Files beside a database that DuckDB would replay into it, whosever they are."""


def restore_snapshot(
    system: System,
    to: Path,
    upload_id: str = LATEST,
    *,
    name: str | None = None,
    force: bool = False,
    observer: Observer,
) -> RestoreResult:
    """Restore one snapshot, or its file `name` (with its WAL), into the folder `to`.

    Nothing appears under its final name before every byte of all files is there and
    checked. Raises ConflictError where a file is in the way and `force` is not set,
    NothingThereError for an unknown snapshot or name, DamageError for a damaged one.
    """
    started = time.monotonic()
    system.check_format()
    upload_id = system.resolve(upload_id)
    manifest = system.manifest(upload_id)
    names = _chosen(manifest, name, upload_id)
    _check_names(names)
    in_the_way = _in_the_way(to, names)
    if in_the_way and not force:
        raise ConflictError(
            f"{', '.join(path.name for path in in_the_way)} already in {to}",
            hint="choose another folder, or replace with --force",
        )
    try:
        to.mkdir(parents=True, exist_ok=True)
        restored = write_files(system, manifest, to, names, in_the_way, observer)
    except FileExistsError as error:
        raise ConflictError(str(error), hint="it appeared during the restore; run again with --force") from None
    except OSError as error:
        raise AkoshaSnapError(
            f"cannot restore into {to}: {error.strerror or error}",
            hint="nothing was put under its final name; free some space or choose another folder",
        ) from None
    return RestoreResult(
        upload_id=upload_id,
        files=restored,
        bytes_received=system.meter.bytes_received,
        requests=system.meter.requests,
        duration_seconds=round(time.monotonic() - started, 3),
    )


def write_files(
    system: System,
    manifest: Manifest,
    to: Path,
    names: list[str],
    in_the_way: list[Path],
    observer: Observer,
) -> list[RestoredFile]:
    """Assemble the named files of a snapshot in the folder `to`, in place of what is `in_the_way`."""
    entries = {file.name: file for file in manifest.snapshot.files}
    chunk_list = system.chunk_list(manifest)
    packs = pack_ids(chunk_list, bytes.fromhex(manifest.snapshot.chunk_list[-1].pack))
    observer.phase("restore", total=sum(entries[name].size for name in names))
    with contextlib.ExitStack() as stack:
        unfinished = {
            number: stack.enter_context(temporary_file(to))
            for number, file in enumerate(chunk_list.files)
            if file.name in names
        }
        outputs = {number: file for number, (_, file) in unfinished.items()}
        assemble(system, chunk_list, packs, outputs, to, observer)
        for file in outputs.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        # A restored database must never meet a WAL of another time: those go first.
        for stale in (path for path in in_the_way if path.name.endswith(_COMPANIONS)):
            stale.unlink()
            fsync_directory(to)
        for number, (path, _) in unfinished.items():
            publish(path, to / chunk_list.files[number].name, overwrite=bool(in_the_way))
    return [RestoredFile(name, str(to / name), entries[name].size, entries[name].blake3) for name in names]


def _chosen(manifest: Manifest, name: str | None, upload_id: str) -> list[str]:
    names = [file.name for file in manifest.snapshot.files]
    if name is None:
        return names
    if name not in names:
        raise NothingThereError(
            f"snapshot {upload_id} has no file {name!r}", hint=f"it has {', '.join(names)}: name one of them"
        )
    return [name, *(other for other in names if other == f"{name}.wal")]


def _check_names(names: list[str]) -> None:
    """Some names that other systems allow mean something else to Windows: a drive, a stream, a pattern."""
    for name in names:
        if os.name == "nt" and any(c in ':*?"<>|' for c in name):
            raise ConflictError(f"{name!r} cannot be created on Windows", hint="restore the others with --file")


def _in_the_way(to: Path, names: list[str]) -> list[Path]:
    """What stands under a final name, or would be replayed into a restored database."""
    if to.exists() and not to.is_dir():
        raise ConfigError(f"{to} is not a folder", hint="give a folder with --to")
    wanted = dict.fromkeys(names)
    for name in names:
        wanted |= {f"{name}{suffix}": None for suffix in _COMPANIONS}
    found = [to / name for name in wanted if os.path.lexists(to / name)]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            raise ConflictError(f"{path} is a folder", hint="choose another folder to restore into")
    return found
