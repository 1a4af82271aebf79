"""One try at a consistent copy of a DuckDB database and its WAL, both perhaps being written.

Only the order of the steps makes it consistent: headers, WAL, blocks, headers again. A checkpoint
writes blocks the current header calls free, then the other header; so while the headers stand
still, live blocks do too, except that blocks of metadata are rewritten in place with the same
live content: read in between, their checksum fails. The WAL only grows until a checkpoint.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

import msgspec
from blake3 import blake3

from akosha_snap.errors import AkoshaSnapError, ConfigError, DamageError, SourceError
from akosha_snap.source.beside import WAL_SUFFIX, beside, checkpoint_files, find_wal, wal_places
from akosha_snap.source.blocks import Meter, copy_blocks, first_fault
from akosha_snap.source.files import (
    PIECE,
    Moment,
    moment,
    new_file,
    open_regular,
    read_piece,
    shown,
    write_piece,
)
from akosha_snap.source.hashing import Hasher
from akosha_snap.source.header import BLOCKS_START, DatabaseHeader, Headers, parse_headers
from akosha_snap.source.model import Copied, StagedFile
from akosha_snap.source.seen import NO_WAL, seen
from akosha_snap.source.settle import Unsettled
from akosha_snap.source.wal import WalScan, scan_wal

__all__ = ["copy_live", "fingerprint"]

_DAMAGED = (
    "DuckDB itself would not read it: restore from a snapshot, or open it with DuckDB to see what can be exported"
)
_INTERRUPTED = (
    "try again in a moment; if no program has it open, a checkpoint was interrupted: open it once with DuckDB"
)


class _Wal(msgspec.Struct, frozen=True):
    """A copied WAL and what the original was at that moment."""

    origin: Path
    copy: Path
    identity: tuple[int, int]
    scan: WalScan
    digest: bytes


def fingerprint(path: Path) -> object:
    """Differs when the database, its WAL or its checkpoint files have changed."""
    places = [path, *wal_places(path), *checkpoint_files(path)]
    try:
        with open_regular(path) as file:
            head = file.read(BLOCKS_START)
    except (AkoshaSnapError, OSError):
        head = b""
    return [_moment_at(place) for place in places], head


def _moment_at(path: Path) -> Moment | None:
    try:
        return moment(path.stat())
    except OSError:
        return None


def copy_live(path: Path, into: Path, meter: Meter, left_out: frozenset[str], *, hashing: bool) -> Copied:
    """Copy the database at `path` and its WAL into the folder `into`, once, without the checks `left_out`.

    With `hashing` the database is hashed on the way, which may take longer than the copy alone.
    Raises Unsettled when the copy may be torn or out of step, and SourceError for what no
    further try would mend.
    """
    copy = into / path.name
    beside(copy, WAL_SUFFIX).unlink(missing_ok=True)  # an earlier try's: there may be no WAL by now
    try:
        with open_regular(path) as source, new_file(copy) as target:
            return _copy(path, source, copy, target, meter, left_out, hashing=hashing)
    except ConfigError as error:  # it was there a moment ago
        raise Unsettled("it has gone", final=error) from error


def _copy(
    path: Path,
    source: BinaryIO,
    copy: Path,
    target: BinaryIO,
    meter: Meter,
    left_out: frozenset[str],
    *,
    hashing: bool,
) -> Copied:
    opened = moment(os.fstat(source.fileno()))
    head = meter.count(read_piece(path, source, BLOCKS_START))
    headers, current = _believe(path, head)
    # Before the WAL: a checkpoint's own log takes the WAL's place at its end, and whoever looks for
    # the one too early and for the other too late sees neither. After it: to spare a copy in vain.
    _check_no_checkpoint(path)
    wal = _copy_wal(path, copy, meter)
    _check_no_checkpoint(path)
    _check_wal(path, headers, current, wal, left_out)
    with Hasher(current.block_size) if hashing else contextlib.nullcontext() as hasher:
        size, failing = copy_blocks(path, source, copy, target, head, current.block_size, meter, hasher)
        _check_still(path, source, head, wal, meter)
        fault = first_fault(target, current, size, failing, row_groups=wal is not None and wal.scan.row_groups)
        if fault and "blocks" not in left_out:
            raise _damage(path, headers, "blocks", f"block {fault.block} at byte {fault.offset} {fault.what}")
        hashes = hasher.finish() if hasher else None
    staged = [StagedFile(path.name, str(copy), size, "duckdb", current.block_size, hashes)]
    if wal and wal.scan.committed:
        os.truncate(wal.copy, wal.scan.committed)
        staged.append(StagedFile(wal.copy.name, str(wal.copy), wal.scan.committed, "wal"))
    elif wal:
        wal.copy.unlink()
    warnings = []
    if wal and not wal.scan.walkable:
        warnings.append(f"{shown(wal.origin)} is of a version not known: copied whole, its entries not checked")
    return Copied(staged, warnings, seen(opened, head, wal.digest if wal else NO_WAL))


def _believe(path: Path, head: bytes) -> tuple[Headers, DatabaseHeader]:
    try:
        headers = parse_headers(head)
    except SourceError as error:
        raise SourceError(f"{shown(path)}: {error.message}", hint=error.hint) from None
    if len(head) < BLOCKS_START:
        raise _damage(path, headers, "", f"is cut off inside its headers, at byte {len(head)}")
    if headers.newer and (headers.failing or not headers.current):
        unknown = SourceError(f"{shown(path)}: its header layout is not understood", hint="update akosha-snap")
        raise Unsettled("its headers fail their checksums", final=unknown)
    if headers.failing or not headers.current:
        raise _damage(path, headers, "", f"the header at byte {headers.failing[0]} does not match its checksum")
    return headers, headers.current


def _damage(path: Path, headers: Headers, check: str, what: str) -> Unsettled:
    if headers.newer and check:
        return Unsettled(what, tolerable=check)
    return Unsettled(what, final=DamageError(f"{shown(path)}: {what}", hint=_DAMAGED))


def _copy_wal(path: Path, copy: Path, meter: Meter) -> _Wal | None:
    origin = find_wal(path)
    if origin is None:
        return None
    copied = beside(copy, WAL_SUFFIX)
    try:
        with open_regular(origin) as source, new_file(copied) as target:
            opened = moment(os.fstat(source.fileno()))
            left = opened.size  # not a byte more: it may grow for ever
            digest = blake3()
            while left and (piece := read_piece(origin, source, min(left, PIECE))):
                write_piece(copied, target, meter.count(piece))
                digest.update(piece)
                left -= len(piece)
    except ConfigError as error:
        raise Unsettled("its WAL has gone") from error
    if left:
        raise Unsettled("its WAL got shorter")
    with copied.open("rb", buffering=1024 * 1024) as again:
        return _Wal(origin, copied, opened.identity, scan_wal(again), digest.digest())


def _check_no_checkpoint(path: Path) -> None:
    if found := checkpoint_files(path):
        raise Unsettled(f"{shown(found[0])} is there: a checkpoint", hint=_INTERRUPTED)


def _check_wal(
    path: Path, headers: Headers, current: DatabaseHeader, wal: _Wal | None, left_out: frozenset[str]
) -> None:
    """The WAL is not at its end, and continues from the checkpoint the headers tell of."""
    if wal and wal.scan.checkpointing:
        raise Unsettled("its WAL ends in a checkpoint", hint=_INTERRUPTED)
    if not wal or "wal" in left_out:
        return
    scan = wal.scan
    if scan.failing is not None:
        what = f"the entry at byte {scan.failing} of {shown(wal.origin)} does not match its checksum"
        raise _damage(path, headers, "wal", what)
    if scan.identifier is not None and scan.identifier != headers.identifier:
        raise _damage(path, headers, "wal", f"{shown(wal.origin)} belongs to another database")
    if scan.iteration is not None and scan.iteration != current.iteration:
        what = f"{shown(wal.origin)} continues from checkpoint {scan.iteration}, the file is at {current.iteration}"
        raise _damage(path, headers, "wal", what)


def _check_still(path: Path, source: BinaryIO, head: bytes, wal: _Wal | None, meter: Meter) -> None:
    """The same file with the same headers, and the same WAL, none of it taken back."""
    source.seek(0)
    if meter.count(read_piece(path, source, BLOCKS_START)) != head:
        raise Unsettled("a checkpoint changed its headers")
    opened, there = moment(os.fstat(source.fileno())), _moment_at(path)
    if there is None or there.identity != opened.identity:
        raise Unsettled("it was replaced")
    if wal is None:
        return
    now = _moment_at(wal.origin)
    if now is None or now.identity != wal.identity or now.size < wal.scan.size:
        raise Unsettled("its WAL was replaced")
    if now.size > wal.scan.size and (wal.scan.row_groups or not wal.scan.walkable):
        # Dropping a table gives back blocks that only the WAL names, and the next bulk load fills
        # them; the drop makes the WAL grow. And of a WAL we cannot walk we cannot cut the end.
        raise Unsettled("its WAL grew")
