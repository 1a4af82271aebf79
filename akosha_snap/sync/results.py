"""What a sync returns, and how a failure travels between processes."""

from __future__ import annotations

import msgspec

from akosha_snap.akosha.results import SendResult
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.signals import how_stopped
from akosha_snap.snapshot.results import PushResult

__all__ = ["SyncFailure", "SyncResult", "failed", "failure_of", "raised"]


class SyncFailure(msgspec.Struct, frozen=True):
    """An error as data: the name of its class, what failed, what to do next, and the exit code it stands for."""

    kind: str
    message: str
    hint: str
    exit_code: int

    @property
    def line(self) -> str:
        """What failed and what to do next."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class SyncResult(PushResult, frozen=True, kw_only=True):
    """What a sync did: a push's result, and what only a sync knows.

    `method` is the way that worked, `none` where none did. `http` says what was sent that way;
    `cloud_error` why the store was passed over.
    """

    http: SendResult | None = None
    cloud_error: str | None = None
    triggered_by: str = "manual"


def failure_of(error: BaseException) -> SyncFailure:
    """`error` as data."""
    if isinstance(error, KeyboardInterrupt):
        word, code = how_stopped(error)
        return SyncFailure("Interrupted", word, "nothing is damaged; the next sync goes on from there", code)
    if isinstance(error, AkoshaSnapError):
        return SyncFailure(type(error).__name__, error.message, error.hint, error.exit_code)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return SyncFailure(type(error).__name__, said, "see the log that `akosha-snap status` names", 1)


def failed(failure: SyncFailure, *, triggered_by: str = "manual") -> SyncResult:
    """The result that stands for a failure."""
    return SyncResult(method="none", success=False, error=failure.line, triggered_by=triggered_by)


def raised(failure: SyncFailure) -> AkoshaSnapError:
    """The error again, of the class it had where that is one of ours."""
    return AkoshaSnapError.named(failure.kind)(failure.message, hint=failure.hint)
