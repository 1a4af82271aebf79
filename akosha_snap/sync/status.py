"""Did the last sync work, and when was the last that did? So that a silent failure is noticed."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from akosha_snap.config import Settings
from akosha_snap.errors import AkoshaSnapError, NothingThereError, PartialError, StaleError
from akosha_snap.snapshot.results import PushResult
from akosha_snap.stores.masking import masked
from akosha_snap.sync.log import log_path
from akosha_snap.sync.results import SyncResult
from akosha_snap.sync.state import SyncRecord, is_under_way, read_state

__all__ = ["SyncStatus", "complaint", "partly", "sync_status"]

Verdict = Literal["never", "running", "ok", "failed", "killed"]


class SyncStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the syncs of this user.

    `state` is how the last one stands: `never` (there was none), `running`, `ok`, `failed`,
    `killed` (it started and never said how it ended). `age_seconds` is the age of the last that
    worked. `next_store` and `next_akosha_url` are what the settings of now name.
    """

    state: Verdict
    last: SyncRecord | None
    last_success: SyncRecord | None
    running_since: dt.datetime | None
    age_seconds: float | None
    system_id: str
    force_method: str
    enable_fallback: bool
    upload_on_session_end: bool
    next_store: str | None
    next_akosha_url: str
    log: str


def sync_status(settings: Settings, now: dt.datetime) -> SyncStatus:
    """Read it from the state folder; nothing is asked of a network. Raises SourceError."""
    known = read_state(settings.state_dir)
    good = known.last_success
    return SyncStatus(
        state=_verdict(settings, known.running_since, known.last),
        last=known.last,
        last_success=good,
        running_since=known.running_since,
        age_seconds=round((now - good.finished_at).total_seconds(), 3) if good else None,
        system_id=settings.system_id,
        force_method=settings.force_method,
        enable_fallback=settings.enable_fallback,
        upload_on_session_end=settings.upload_on_session_end,
        next_store=masked(settings.store.value) if settings.store else None,
        next_akosha_url=settings.akosha_url,
        log=str(log_path(settings.state_dir)),
    )


def complaint(status: SyncStatus, max_age: float | None = None) -> AkoshaSnapError | None:
    """What is wrong, as an error, or None.

    Without `max_age` (seconds) the last sync must have worked. With it, one that worked must be
    no older than that, whatever became of later ones.
    """
    if max_age is not None:
        if status.age_seconds is None:
            return NothingThereError("no sync has worked yet", hint=_why(status))
        if status.age_seconds > max_age:
            ago = f"{status.age_seconds / 3600:.1f} hours ago"
            return StaleError(f"the last sync that worked was {ago}", hint=_why(status))
        return None
    if status.state == "never":
        return NothingThereError("no sync has ended yet", hint="run `akosha-snap push`")
    if status.state == "killed":
        return AkoshaSnapError(
            f"the sync that started at {status.running_since:%Y-%m-%d %H:%M:%SZ} was killed before it ended",
            hint=f"run `akosha-snap push`; the log is {status.log}",
        )
    if status.state == "failed" and status.last and status.last.failure:
        return status.last.failure.error()
    return partly(status.last.result) if status.last else None


def partly(result: PushResult) -> PartialError | None:
    """The error of a sync that Akosha did not take all records of, or None."""
    sent = result.http if isinstance(result, SyncResult) else None
    if sent is None or not sent.failed:
        return None
    first = f": {sent.errors[0].memory_id}: {sent.errors[0].error}" if sent.errors else ""
    return PartialError(
        f"{sent.failed} records were not taken by {sent.server}{first}",
        hint=f"all are in {sent.failures_file}; the next sync tries them again",
    )


def _why(status: SyncStatus) -> str:
    if status.last and status.last.failure:
        return f"the last one failed: {status.last.failure.line}; the log is {status.log}"
    return f"run `akosha-snap push`; the log is {status.log}"


def _verdict(settings: Settings, running_since: dt.datetime | None, last: SyncRecord | None) -> Verdict:
    if running_since is not None:
        return "running" if is_under_way(settings.state_dir) else "killed"
    if last is None:
        return "never"
    return "failed" if last.failure or not last.result.success else "ok"
