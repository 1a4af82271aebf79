"""What a session calls at its end, and a person in between. Neither raises."""

from __future__ import annotations

from typing import Any

import msgspec

from akosha_snap.config import Given, Method
from akosha_snap.sync.host_settings import host_settings
from akosha_snap.sync.process import answer, start
from akosha_snap.sync.results import failed, failure_of
from akosha_snap.sync.wire import SESSION_END, SyncRequest

__all__ = ["sync_in_background", "sync_to_akosha"]


async def sync_to_akosha(
    method: Method = "auto", enable_fallback: bool = True, *, settings: object = None, triggered_by: str = "manual"
) -> dict[str, Any]:
    """Sync the memories and return the result, the fields of `SyncResult`, as a dict.

    `auto` and True leave it to the settings (AKOSHA_FORCE_METHOD, AKOSHA_ENABLE_FALLBACK); anything
    else comes before them. `settings` may be Session-Buddy's own settings object. The work is done
    in a child process, which goes on when this call is cancelled. A failure is returned, with
    `success` false and `error`, never raised.
    """
    try:
        request = _request(method, enable_fallback, settings, triggered_by)
        return _as_dict((await answer(request)).result)
    except Exception as error:
        return _as_dict(failed(failure_of(error), triggered_by=triggered_by))


def sync_in_background(
    method: Method = "auto", enable_fallback: bool = True, *, settings: object = None, triggered_by: str = SESSION_END
) -> bool:
    """Start the same sync and return at once; it outlives this process. Returns whether it could be started.

    How it went is in the log and in what `akosha-snap status` reads. Does nothing where
    AKOSHA_UPLOAD_ON_SESSION_END is off. Never raises.
    """
    try:
        request = _request(method, enable_fallback, settings, triggered_by)
        start(request, reply=False)
    except Exception:
        return False
    return True


def _request(method: Method, enable_fallback: bool, settings: object, triggered_by: str) -> SyncRequest:
    host = host_settings(settings)
    flags = _flags(method, enable_fallback)
    return SyncRequest(flags=flags, host=host.given, warnings=host.ignored, triggered_by=triggered_by)


def _flags(method: Method, enable_fallback: bool) -> Given:
    flags = Given()
    if method != "auto":
        flags["force_method"] = method
    if not enable_fallback:
        flags["enable_fallback"] = False
    return flags


def _as_dict(result: Any) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(result)
    return built
