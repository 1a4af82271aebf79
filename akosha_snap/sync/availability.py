"""Is a way open? Quick answers, for those who want to know before they try; they never raise.

A sync itself does not ask about the store: it tries, with the deadlines and retries of a push, because
a slow line may well take longer than this to say its first word.
"""

from __future__ import annotations

import contextlib

from akosha_snap.config import Settings
from akosha_snap.deadline import within
from akosha_snap.errors import AkoshaSnapError, ObjectNotFound, StoreNotCreated
from akosha_snap.manifest.keys import format_key
from akosha_snap.stores.plain_http import is_exposed

__all__ = ["TIMEOUT", "cloud_available", "http_available"]

TIMEOUT = 1.0
"""Seconds, for either question."""


def cloud_available(settings: Settings) -> bool:
    """Whether a store is configured and answers these credentials within a second."""
    if settings.store is None:
        return False
    with contextlib.suppress(ImportError):
        import boto3.session  # noqa: F401  # half a second when cold, and no word yet to the network
    try:
        return within(TIMEOUT, lambda: _store_answers(settings))
    except Exception:  # a thread that still waits then ends by itself
        return False


def http_available(settings: Settings) -> bool:
    """Whether something answers at Akosha's URL within a second."""
    from akosha_snap.akosha import is_up

    with contextlib.suppress(ImportError):
        import httpx  # noqa: F401  # as above
    may_send = settings.allow_insecure_http or not is_exposed(settings.akosha_url)
    token = settings.api_token.reveal() if settings.api_token and may_send else None
    return is_up(settings.akosha_url, token=token, timeout=TIMEOUT)


def _store_answers(settings: Settings) -> bool:
    from akosha_snap.sync.cloud import open_configured_store

    try:
        open_configured_store(settings).head(format_key(settings.system_id))
    except (ObjectNotFound, StoreNotCreated):
        return True  # the first push creates both
    except AkoshaSnapError:
        return False
    return True
