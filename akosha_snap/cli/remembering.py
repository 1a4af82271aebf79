"""A push of the memories by hand counts for `akosha-snap status` as one by a session does."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from akosha_snap.errors import AkoshaSnapError

if TYPE_CHECKING:
    from akosha_snap.config import Settings
    from akosha_snap.snapshot.results import PushResult

__all__ = ["remembering"]


@contextlib.contextmanager
def remembering(settings: Settings, *, on: bool) -> Iterator[Callable[[PushResult], None]]:
    """Note how the push in the block ends: well, where it calls what it is given, else with its error."""
    started = dt.datetime.now(dt.UTC)

    def remember(result: PushResult) -> None:
        if on:
            _note(settings, started, result)

    try:
        yield remember
    except AkoshaSnapError as error:
        if on:
            _note(settings, started, error)
        raise


def _note(settings: Settings, started: dt.datetime, outcome: PushResult | AkoshaSnapError) -> None:
    import msgspec

    from akosha_snap.cli.output import warn
    from akosha_snap.sync.results import SyncResult, failed, failure_of
    from akosha_snap.sync.state import SyncRecord, note

    if isinstance(outcome, AkoshaSnapError):
        failure = failure_of(outcome)
        result = failed(failure, triggered_by="command")
    else:
        failure = None
        result = SyncResult(**{**msgspec.structs.asdict(outcome), "triggered_by": "command"})
    record = SyncRecord(started_at=started, finished_at=dt.datetime.now(dt.UTC), result=result, failure=failure)
    try:
        note(settings.state_dir, record)
    except OSError as error:
        warn([f"how this push ended cannot be remembered in {settings.state_dir}: {error.strerror or error}"])
