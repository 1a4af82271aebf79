"""What a sync returns, and what stands for a failure."""

from __future__ import annotations

from akosha_snap.akosha.results import SendResult
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.failure import Failure
from akosha_snap.signals import how_stopped
from akosha_snap.snapshot.results import PushResult

__all__ = ["SyncResult", "failed", "failure_of"]


class SyncResult(PushResult, frozen=True, kw_only=True):
    """What a sync did: a push's result, and what only a sync knows.

    `method` is the way that worked, `none` where none did. `http` says what was sent that way;
    `cloud_error` why the store was passed over.
    """

    http: SendResult | None = None
    cloud_error: str | None = None
    triggered_by: str = "manual"


def failure_of(error: BaseException) -> Failure:
    """`error` as data."""
    if isinstance(error, KeyboardInterrupt):
        word, code = how_stopped(error)
        return Failure("Interrupted", word, "nothing is damaged; the next sync goes on from there", code)
    if isinstance(error, AkoshaSnapError):
        return Failure.of(error)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(type(error).__name__, said, "see the log that `akosha-snap status` names", 1)


def failed(failure: Failure, *, triggered_by: str = "manual") -> SyncResult:
    """The result that stands for a failure."""
    return SyncResult(method="none", success=False, error=failure.line, triggered_by=triggered_by)
