"""Say what a store has lost, put back what can be made anew, and have the next push heal the rest."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

from akosha_snap.errors import ObjectNotFound
from akosha_snap.events import Observer
from akosha_snap.manifest.keys import pack_id_of, pack_key
from akosha_snap.snapshot.checks.digest import stored_digest
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.checks.needed import PackFrames
from akosha_snap.snapshot.damage import StoredPacks, read_stored_packs, record_damage
from akosha_snap.snapshot.lost import lost_snapshots
from akosha_snap.snapshot.recreate import is_recreatable, recreate
from akosha_snap.snapshot.results import RepairResult
from akosha_snap.snapshot.system import LATEST, System
from akosha_snap.snapshot.verify import examine

__all__ = ["repair_store"]

_WHOLE = {"footer_damaged", "footer_disagrees", "bases_disagree", "pack_damaged", "pack_missing"}
"""Kinds of problems after which nothing of a pack that is listed is relied on. One that is not listed, or with
another size, needs no record: every push that asks for the list sees that for itself."""


def repair_store(system: System, *, dry_run: bool, observer: Observer, now: Callable[[], dt.datetime]) -> RepairResult:
    """Check all of a system at level `data` and act on it; see `akosha_snap.repair`."""
    started = time.monotonic()
    uploads = system.uploads() or [system.resolve(LATEST)]
    findings = examine(system, uploads, "data", 100.0, observer)
    _check_unnamed(system, findings)
    known = read_stored_packs(system, system.listing())
    damaged = _damaged(findings, system)
    for pack_id, chunks in _still(known, findings).items():
        if damaged.setdefault(pack_id, chunks) is not None:
            damaged[pack_id] = (damaged[pack_id] or frozenset()) | chunks
    lost = lost_snapshots(system, uploads, findings)
    mended = [problem for problem in findings.problems if is_recreatable(problem, lost)]
    record = None
    if not dry_run:
        for problem in mended:
            recreate(system, problem, findings)
        if damaged != known.damaged or known.warnings:
            record = record_damage(system, damaged, known, now())
    return RepairResult(
        ok=not findings.problems or (not dry_run and len(mended) == len(findings.problems)),
        dry_run=dry_run,
        snapshots=uploads,
        objects=findings.objects,
        problems=findings.problems,
        lost=lost,
        lost_bytes=sum(file.size for one in lost for file in one.files),
        recreated=[problem.object for problem in mended],
        record=record,
        bytes_read=system.meter.bytes_received,
        bytes_transferred=system.meter.bytes_sent,
        requests=system.meter.requests,
        duration_seconds=round(time.monotonic() - started, 3),
        warnings=findings.warnings,
    )


def _damaged(findings: Findings, system: System) -> dict[bytes, frozenset[bytes] | None]:
    """What no push may rely on any more, of the packs that are listed with their size."""
    damaged: dict[bytes, frozenset[bytes] | None] = {}
    whole = findings.whole_packs(system.id)
    for pack_id, offset in findings.damaged:
        if pack_id in whole:
            chunk = findings.frames[pack_id][offset].hash
            damaged[pack_id] = (damaged.get(pack_id) or frozenset()) | {chunk}
    for problem in findings.problems:
        named = pack_id_of(problem.object) if problem.kind in _WHOLE else None
        if named is not None and named in findings.stored:
            damaged[named] = None
    return damaged


def _still(known: StoredPacks, findings: Findings) -> dict[bytes, frozenset[bytes]]:
    """The chunks that a record says are damaged and that no snapshot needs any more: nobody has mended them."""
    still = {}
    for pack_id, chunks in known.damaged.items():
        if chunks is not None and pack_id in findings.stored:
            needed = {frame.hash for frame in findings.frames.get(pack_id, PackFrames()).values()}
            if left := chunks - needed:
                still[pack_id] = left
    return still


def _check_unnamed(system: System, findings: Findings) -> None:
    """Hash the packs that no snapshot names: a push that was interrupted takes them up again."""
    named = {pack_id for snapshot in findings.opened for pack_id in snapshot.pack_sizes}
    unnamed = findings.stored.keys() - named
    for pack_id in sorted(unnamed):
        key = pack_key(system.id, pack_id)
        findings.objects += 1
        if findings.has_problem(key):
            continue
        try:
            digest = stored_digest(system, key, findings.stored[pack_id])
        except ObjectNotFound:
            continue  # pruned meanwhile
        if digest != pack_id:
            findings.problem("pack_damaged", key, [], "its bytes do not hash to its name; no snapshot names it")
    if unnamed:
        findings.warnings.append(
            f"{len(unnamed)} of the packs are named by no snapshot that can be read:"
            " a push was interrupted or is at work, snapshots were pruned, or a manifest is lost"
        )
