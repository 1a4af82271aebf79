"""Check snapshots, as deep as asked."""

from __future__ import annotations

import tempfile
import time

from akosha_snap.errors import AkoshaSnapError, ConfigError, NothingThereError
from akosha_snap.events import Observer
from akosha_snap.snapshot.checks.data import check_data
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.checks.full_files import check_full_files
from akosha_snap.snapshot.checks.index import check_index
from akosha_snap.snapshot.checks.opening import check_opening
from akosha_snap.snapshot.checks.presence import check_presence
from akosha_snap.snapshot.results import Level, VerifyResult
from akosha_snap.snapshot.system import LATEST, System

__all__ = ["ALL", "LEVELS", "examine", "verify_snapshots"]

ALL = "all"
"""Stands for every snapshot of the system."""

LEVELS: tuple[Level, ...] = ("manifest", "index", "data", "open")
"""From quick to thorough."""


def verify_snapshots(system: System, upload_id: str, level: Level, sample: float, observer: Observer) -> VerifyResult:
    """Check one snapshot, `latest` or `all`; see `akosha_snap.verify`, which documents the levels."""
    if level not in LEVELS:
        raise ConfigError(f"no verify level {level!r}", hint=f"choose one of {', '.join(LEVELS)}")
    if not 0 < sample <= 100:
        raise ConfigError(f"a sample of {sample} percent", hint="give more than 0 and at most 100")
    started = time.monotonic()
    uploads = _uploads(system, upload_id)
    findings = examine(system, uploads, level, sample, observer)
    return VerifyResult(
        ok=not findings.problems,
        level=level,
        snapshots=uploads,
        objects=findings.objects,
        bytes_read=system.meter.bytes_received,
        problems=findings.problems,
        requests=system.meter.requests,
        duration_seconds=round(time.monotonic() - started, 3),
        warnings=findings.warnings,
    )


def examine(system: System, uploads: list[str], level: Level, sample: float, observer: Observer) -> Findings:
    """What is wrong with these snapshots, as far as this level sees it. Changes nothing."""
    depth = LEVELS.index(level)
    findings = Findings()
    observer.phase("verify")
    try:
        check_presence(system, uploads, findings)
        if depth >= LEVELS.index("index"):
            check_index(system, findings)
        if depth >= LEVELS.index("data"):
            check_data(system, findings, sample, observer)
            check_full_files(system, findings)
        if depth >= LEVELS.index("open"):
            check_opening(system, findings, observer)
    except OSError as error:
        raise AkoshaSnapError(
            f"cannot verify: {error.filename or tempfile.gettempdir()}: {error.strerror or error}",
            hint="free some space in the temporary folder, or set TMPDIR to another",
        ) from None
    if findings.problems and (gone := set(uploads).difference(system.uploads())):
        findings.forget(gone)
    return findings


def _uploads(system: System, upload_id: str) -> list[str]:
    """The snapshots asked for. Raises NothingThereError where there are none."""
    if upload_id == ALL:
        uploads = system.uploads()
        return uploads or [system.resolve(LATEST)]
    chosen = system.resolve(upload_id)
    if chosen not in system.uploads():
        raise NothingThereError(f"no snapshot {chosen} of {system.name}", hint="run `akosha-snap list`")
    return [chosen]
