"""Which way a sync takes: the store, Akosha by HTTP, or none.

| store | fallback | Akosha | `auto` |
|---|---|---|---|
| configured, works | any | any | cloud |
| configured, fails | on | up | HTTP, and the store's error is reported |
| configured, fails | on | down | the store's error |
| configured, fails | off | any | the store's error |
| not configured | any | up | HTTP |
| not configured | any | down | nothing to sync to |

`cloud` and `http` take that way alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from akosha_snap.config import Settings
from akosha_snap.errors import AkoshaSnapError, DamageError, NewerFormatError, NothingThereError, StoreError
from akosha_snap.events import Observer
from akosha_snap.stores.plain_http import refuse_plain_token
from akosha_snap.sync.availability import http_available
from akosha_snap.sync.cloud import push_to_store
from akosha_snap.sync.http import send_to_akosha
from akosha_snap.sync.results import SyncResult

__all__ = ["sync_files"]

_STORE_FAILURES = (StoreError, NewerFormatError, DamageError)
"""What may be the store's fault, so that another way may work. Damage may be the database's own: then that
other way meets it too. A wrong setting, a missing file or a busy database is never answered by a detour."""

_ASKED = 3
"""Times. Where nobody listens the answer comes at once, so this costs time only where somebody does."""


def sync_files(
    settings: Settings,
    files: Sequence[Path],
    observer: Observer | None = None,
    *,
    full: bool = False,
    mirror: bool = True,
    recheck: bool = False,
) -> SyncResult:
    """Sync `files` as the settings say, from this process, which must never have any of them open.

    `full` is for HTTP: send what was sent before, too; `mirror` and `recheck` for the store,
    see `akosha_snap.push`.

    Raises NothingThereError where there is nothing to sync to, else whatever the way taken raises.
    """
    if settings.force_method == "cloud":
        return push_to_store(settings, files, observer, mirror=mirror, recheck=recheck)
    if settings.force_method == "http":
        return send_to_akosha(settings, files, observer, full=full)
    if settings.store is None:
        refuse_plain_token(settings.akosha_url, settings.api_token, allowed=settings.allow_insecure_http)
        if not _akosha_answers(settings):
            raise NothingThereError(
                f"nothing to sync to: no store is configured and Akosha does not answer at {settings.akosha_url}",
                hint="set AKOSHA_CLOUD_BUCKET or AKOSHA_SNAP_STORE, or start Akosha (AKOSHA_URL)",
            )
        return send_to_akosha(settings, files, observer, full=full)
    try:
        return push_to_store(settings, files, observer, mirror=mirror, recheck=recheck)
    except _STORE_FAILURES as error:
        return _fall_back(settings, files, error, observer, full=full)


def _akosha_answers(settings: Settings) -> bool:
    """Asked more than once: a busy server may need longer than a second, and here nobody waits."""
    return any(http_available(settings) for _ in range(_ASKED))


def _fall_back(
    settings: Settings, files: Sequence[Path], error: AkoshaSnapError, observer: Observer | None, *, full: bool
) -> SyncResult:
    if not settings.enable_fallback or not _akosha_answers(settings):
        raise error
    try:
        result = send_to_akosha(settings, files, observer, full=full)
    except AkoshaSnapError as second:
        error.message = f"{error.message} (and by HTTP to {settings.akosha_url}: {second.message})"
        raise error from second
    warning = f"the store was passed over: {error}"
    return msgspec.structs.replace(result, cloud_error=str(error), warnings=[*result.warnings, warning])
