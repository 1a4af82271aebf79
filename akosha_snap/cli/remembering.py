"""A push of the memories by hand counts for `akosha-snap status` as one by a session does."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from akosha_snap.errors import AkoshaSnapError, SourceError

if TYPE_CHECKING:
    from akosha_snap.config import Settings
    from akosha_snap.snapshot.results import PushResult

__all__ = ["remembering"]


@contextlib.contextmanager
def remembering(settings: Settings, *, on: bool) -> Iterator[Callable[[PushResult], None]]:
    """Note how the push in the block ends: well, where it calls what it is given, else with its error.

    It waits for a sync that is at work. Raises BusyError where that does not end.
    """
    if not on:
        yield lambda _: None
        return
    started = dt.datetime.now(dt.UTC)
    with contextlib.ExitStack() as stack:
        alone = _alone(settings, stack)
        try:
            yield lambda result: _note(settings, started, result, alone)
        except (AkoshaSnapError, KeyboardInterrupt) as error:
            _note(settings, started, error, alone)
            raise


def _alone(settings: Settings, stack: contextlib.ExitStack) -> bool:
    """Wait for the sync that is at work, if any; False where the state folder cannot be used, which stops no push."""
    from akosha_snap.cli.output import warn
    from akosha_snap.sync.state import under_way

    def say() -> None:
        warn(["another sync is at work: waiting for it"])

    try:
        stack.enter_context(under_way(settings.state_dir, say))
    except SourceError:
        return False  # how it ends cannot be noted either, and that is said
    return True


def _note(settings: Settings, started: dt.datetime, outcome: PushResult | BaseException, alone: bool) -> None:
    import msgspec

    from akosha_snap.cli.output import warn
    from akosha_snap.sync.results import SyncResult, failed, failure_of
    from akosha_snap.sync.state import SyncRecord, note

    if isinstance(outcome, BaseException):
        failure = failure_of(outcome)
        result = failed(failure, triggered_by="command")
    else:
        failure = None
        result = SyncResult(**{**msgspec.structs.asdict(outcome), "triggered_by": "command"})
    record = SyncRecord(started_at=started, finished_at=dt.datetime.now(dt.UTC), result=result, failure=failure)
    try:
        note(settings.state_dir, record, alone=alone)
    except OSError as error:
        warn([f"how this push ended cannot be remembered in {settings.state_dir}: {error.strerror or error}"])
