"""The HTTP way: records to a running Akosha, without a store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from akosha_snap.config import Settings
from akosha_snap.sync.results import SyncResult

__all__ = ["send_to_akosha"]


def send_to_akosha(settings: Settings, files: Sequence[Path]) -> SyncResult:
    """Send what is new in `files` to Akosha, from this process, which must never have any of them open."""
    from akosha_snap.akosha import send_records

    started = time.monotonic()
    token = settings.api_token.reveal() if settings.api_token else None
    sent = send_records(
        files, settings.akosha_url, system_id=settings.system_id, token=token, state_dir=settings.state_dir
    )
    return SyncResult(
        method="http",
        system_id=settings.system_id,
        akosha_url=settings.akosha_url,
        bytes_transferred=sent.bytes_sent,
        records_sent=sent.stored,
        records_failed=sent.failed,
        warnings=sent.warnings,
        duration_seconds=round(time.monotonic() - started, 3),
    )
