"""The HTTP way: records to a running Akosha, without a store."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from akosha_snap.atomic import make_private
from akosha_snap.config import Settings
from akosha_snap.errors import ConfigError, SourceError
from akosha_snap.events import Observer
from akosha_snap.scratch import scratch_folder
from akosha_snap.snapshot.staging import StagedFiles, stage_files
from akosha_snap.sync.results import SyncResult

__all__ = ["send_to_akosha"]

_PREFIX = "sending-"


def send_to_akosha(
    settings: Settings, files: Sequence[Path], observer: Observer | None = None, *, full: bool = False
) -> SyncResult:
    """Send what is new in `files` to Akosha, from this process, which must never have any of them open.

    They are copied first, as for a snapshot, and the copies read. `full` sends what was sent before,
    too. Raises ConfigError where none of them is a database, and whatever copying and sending raise.
    """
    from akosha_snap.akosha import send_records

    observer = observer or Observer()
    with contextlib.ExitStack() as stack:
        folder = _private_folder(settings.state_dir, stack)
        observer.phase("stage")
        staged = stage_files(files, folder, {}, in_child=False)
        databases = [Path(file.path) for file in staged.files if file.kind == "duckdb"]
        if not databases:
            raise ConfigError("no database among the files: HTTP sends records", hint="push other files to a store")
        sent = send_records(
            databases,
            url=settings.akosha_url,
            system_id=settings.system_id,
            token=settings.api_token.reveal() if settings.api_token else None,
            allow_insecure_http=settings.allow_insecure_http,
            state_dir=settings.state_dir,
            full=full,
            observer=observer,
        )
    warnings = [*staged.warnings, *_left_out(staged)]
    if sent.failed:
        warnings.append(f"{sent.failed} records were not taken, see {sent.failures_file}")
    if sent.not_sent_kinds:
        kinds = ", ".join(f"{count} of kind {kind}" for kind, count in sent.not_sent_kinds.items())
        warnings.append(f"this Akosha has no tool for some records: {kinds} not sent")
    return SyncResult(
        method="http",
        success=not sent.failed or sent.stored + sent.duplicates + sent.unchanged > 0,  # not one record: it failed
        system_id=settings.system_id,
        bytes_read=staged.bytes_read,
        bytes_transferred=sent.bytes_sent,
        requests=sent.requests,
        duration_seconds=sent.duration_seconds,
        warnings=warnings,
        http=sent,
    )


def _private_folder(state_dir: Path, stack: contextlib.ExitStack) -> Path:
    """A folder for the copies, on the disk that is meant for them, gone at the end of `stack`."""
    try:
        make_private(state_dir)
        return stack.enter_context(scratch_folder(state_dir, prefix=_PREFIX))
    except OSError as error:
        raise SourceError(
            f"cannot use {error.filename or state_dir} to stage copies: {error.strerror or error}",
            hint="free some space there, or set AKOSHA_SNAP_STATE_DIR to another folder",
        ) from None


def _left_out(staged: StagedFiles) -> list[str]:
    """A word on each file that is no database."""
    others = [file.name for file in staged.files if file.kind == "plain"]
    return [f"{name} is no database: HTTP sends records, not files" for name in others]
