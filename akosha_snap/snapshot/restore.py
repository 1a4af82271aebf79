"""Put a snapshot's files back, bit for bit, each whole under its name or not at all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from pathlib import Path

from akosha_snap.atomic import make_private, sweep, temporary_file
from akosha_snap.errors import AkoshaSnapError, ConflictError, DamageError, NothingThereError, ObjectNotFound
from akosha_snap.events import Observer
from akosha_snap.manifest import FileEntry, Manifest
from akosha_snap.snapshot.already import already_there
from akosha_snap.snapshot.assemble import assemble
from akosha_snap.snapshot.decoding import pack_ids
from akosha_snap.snapshot.placing import check_target, place, refuse_one_for_two, refuse_taken, refuse_too_large
from akosha_snap.snapshot.results import RestoredFile, RestoreResult
from akosha_snap.snapshot.system import LATEST, System
from akosha_snap.source import WAL_SUFFIX

__all__ = ["restore_snapshot", "write_files"]


_OPEN_FILES = 64
"""Files assembled together; more would run into the system's limit (256 on macOS)."""


def restore_snapshot(
    system: System,
    to: Path,
    upload_id: str = LATEST,
    *,
    name: str | None = None,
    force: bool = False,
    observer: Observer,
) -> RestoreResult:
    """Restore one snapshot, or its file `name` (a database with its WAL), into the folder `to`.

    Nothing appears under its final name before every byte of all files is there and
    checked. A file that is there bit for bit stays (where `force` does not replace it): so a
    restore that was interrupted goes on. Raises ConflictError where another file is in the way and `force` is not set,
    NothingThereError for an unknown snapshot or name, DamageError for a damaged one.
    """
    started = time.monotonic()
    warnings = system.refuse_newer()
    upload_id = system.resolve(upload_id)
    manifest = system.manifest(upload_id)
    files = _chosen(manifest, name, upload_id)
    check_target(to, files)
    there: Collection[str] = () if force else already_there(to, files)
    if not force:
        refuse_taken(to, files, there)
    try:
        make_private(to)
        sweep(to)
        restored = write_files(system, manifest, to, files, observer, overwrite=force, there=there)
    except (DamageError, ObjectNotFound):
        if system.has(upload_id):
            raise
        raise NothingThereError(
            f"snapshot {upload_id} was pruned while it was being restored; nothing was put into {to}",
            hint="run `akosha-snap list` for those that exist",
        ) from None
    except FileExistsError as error:
        raise ConflictError(str(error), hint="it appeared during the restore; run again with --force") from None
    except OSError as error:
        raise AkoshaSnapError(
            f"cannot restore into {to}: {error.strerror or error}",
            hint="no half a file was left there; free some space or choose another folder",
        ) from None
    return RestoreResult(
        upload_id=upload_id,
        files=restored,
        bytes_received=system.meter.bytes_received,
        requests=system.meter.requests,
        duration_seconds=round(time.monotonic() - started, 3),
        warnings=warnings,
    )


def write_files(
    system: System,
    manifest: Manifest,
    to: Path,
    files: list[FileEntry],
    observer: Observer,
    *,
    overwrite: bool,
    there: Collection[str] = (),
) -> list[RestoredFile]:
    """Assemble these files of a snapshot in the folder `to`, but for those `there`, and give them their names."""
    absent = [file for file in files if file.name not in there]
    refuse_too_large(to, absent)
    refuse_one_for_two(to, files)
    result = [RestoredFile(file.name, str(to / file.name), file.size, file.blake3) for file in files]
    if not absent:
        return result
    chunk_list = system.chunk_list(manifest, with_packs=True)
    packs = pack_ids(chunk_list, manifest.snapshot.list_pack)
    names = {file.name for file in absent}
    wanted = [number for number, listed in enumerate(chunk_list.files) if listed.name in names]
    observer.phase("restore", total=sum(file.size for file in absent))
    finished: dict[str, Path] = {}
    with contextlib.ExitStack() as stack:
        for start in range(0, len(wanted), _OPEN_FILES):
            unfinished = {n: stack.enter_context(temporary_file(to)) for n in wanted[start : start + _OPEN_FILES]}
            outputs = {number: output for number, (_, output) in unfinished.items()}
            assemble(system, chunk_list, packs, outputs, to, observer)
            for number, (path, output) in unfinished.items():
                output.close()
                finished[chunk_list.files[number].name] = path
        place(finished, to, files, overwrite=overwrite, there=there)
    return result


def _chosen(manifest: Manifest, name: str | None, upload_id: str) -> list[FileEntry]:
    """The files asked for. A database and its log go together: one without the other is not the snapshot."""
    files = manifest.snapshot.files
    if name is None:
        return files
    if name not in {file.name for file in files}:
        raise NothingThereError(
            f"snapshot {upload_id} has no file {name!r}",
            hint=f"it has {', '.join(file.name for file in files)}: name one of them",
        )
    pair = {name}
    for file in files:
        if file.kind == "wal" and name in {file.name, file.name.removesuffix(WAL_SUFFIX)}:
            pair |= {file.name, file.name.removesuffix(WAL_SUFFIX)}
    return [file for file in files if file.name in pair]
