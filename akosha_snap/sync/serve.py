"""One sync on behalf of a session: done, logged and remembered, whatever comes of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from akosha_snap.config import Secret, Settings, load_settings, state_dir_at_least
from akosha_snap.errors import AkoshaSnapError, BusyError, SourceError
from akosha_snap.failure import Failure
from akosha_snap.sync.files import memory_files
from akosha_snap.sync.log import append
from akosha_snap.sync.matrix import sync_files
from akosha_snap.sync.results import SyncResult, failed, failure_of
from akosha_snap.sync.state import SyncRecord, note, note_start, under_way
from akosha_snap.sync.wire import SESSION_END, SyncReply, SyncRequest

__all__ = ["serve"]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def serve(request: SyncRequest, now: Callable[[], dt.datetime] = _utc_now) -> SyncReply:
    """Do what `request` asks, in this process, which must never have a memory database open. Never raises."""
    started = now()
    token = request.flags.get("api_token")
    try:
        settings = load_settings(host=request.host, **request.flags)
    except Exception as error:
        state_dir = state_dir_at_least(request.flags.get("state_dir"))
        return _ended(request, error, state_dir, started, now(), Secret(token) if token else None)
    if request.triggered_by == SESSION_END and not settings.upload_on_session_end:
        with contextlib.suppress(OSError):
            append(settings.state_dir, "the end of a session syncs nothing: upload_on_session_end is off", started)
        off = SyncResult(method="none", triggered_by=request.triggered_by, system_id=settings.system_id)
        return SyncReply(_with(off, request.warnings))
    with contextlib.ExitStack() as until_noted:
        try:
            was_noted = _begin(request, settings, started, until_noted)
            outcome = _sync(request, settings)
        except (BusyError, KeyboardInterrupt) as error:  # while it waited for another
            was_noted, outcome = False, error
        return _ended(request, outcome, settings.state_dir, started, now(), settings.api_token, was_noted=was_noted)


def _begin(request: SyncRequest, settings: Settings, now: dt.datetime, until_noted: contextlib.ExitStack) -> bool:
    """Log and note the start, alone at work; False where the state folder cannot be used, which stops no sync.

    Raises BusyError where another sync does not end.
    """
    try:
        append(settings.state_dir, f"sync of system {settings.system_id} ({request.triggered_by})", now)
        until_noted.enter_context(under_way(settings.state_dir))
        note_start(settings.state_dir, now)
    except (OSError, SourceError):
        return False  # the result will have a warning: its end cannot be noted either
    return True


def _sync(request: SyncRequest, settings: Settings) -> SyncResult | BaseException:
    try:
        files = memory_files(settings, reflections=request.reflections, knowledge_graph=request.knowledge_graph)
        return sync_files(settings, files)
    except (Exception, KeyboardInterrupt) as error:
        return error


def _ended(
    request: SyncRequest,
    outcome: SyncResult | BaseException,
    state_dir: Path,
    started: dt.datetime,
    finished: dt.datetime,
    secret: Secret | None,
    *,
    was_noted: bool = False,
) -> SyncReply:
    """Remember and log `outcome`; where that cannot be done, the result says so."""
    failure = None
    if isinstance(outcome, BaseException):
        failure = _without(failure_of(outcome), secret)
        result = failed(failure, triggered_by=request.triggered_by)
    else:
        result = msgspec.structs.replace(outcome, triggered_by=request.triggered_by)
    result = _with(result, request.warnings)
    text = _summary(result)
    if isinstance(outcome, Exception) and not isinstance(outcome, AkoshaSnapError):
        text += "\n" + "".join(traceback.format_exception(outcome))
    try:
        append(state_dir, text, finished, secret=secret.reveal() if secret else None)
        record = SyncRecord(started_at=started, finished_at=finished, result=result, failure=failure)
        note(state_dir, record, was_noted=was_noted)
    except OSError as error:
        warning = f"how this sync ended cannot be remembered in {state_dir}: {error.strerror or error}"
        result = _with(result, [warning])
    return SyncReply(result, failure)


def _with(result: SyncResult, warnings: list[str]) -> SyncResult:
    return msgspec.structs.replace(result, warnings=[*result.warnings, *warnings])


def _without(failure: Failure, secret: Secret | None) -> Failure:
    """No error of ours holds a secret; one of a library might."""
    if secret is None:
        return failure
    return msgspec.structs.replace(failure, message=failure.message.replace(secret.reveal(), "***"))


def _summary(result: SyncResult) -> str:
    lines = [f"warning: {warning}" for warning in result.warnings]
    if result.error is not None:
        return "\n".join([*lines, f"failed: {result.error}"])
    if result.http:
        what = f"{result.http.sent} records to {result.http.server}, {result.http.failed} not taken"
    elif result.unchanged:
        what = f"nothing has changed since snapshot {result.upload_id}"
    else:
        what = f"snapshot {result.upload_id} to {result.store}"
    cost = f"{result.bytes_transferred} bytes sent, {result.duration_seconds} s"
    return "\n".join([*lines, f"done by {result.method}: {what}; {cost}"])
