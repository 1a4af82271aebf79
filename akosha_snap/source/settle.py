"""Trying again until a copy is consistent, and telling torn from damaged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from akosha_snap.errors import AkoshaSnapError, BusyError

__all__ = ["Settled", "Unsettled", "settle"]

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
"""Seconds between tries; each pause is up to twice the one before."""

_STILL_FOR, _STILL_TRIES = 0.5, 3
"""What fails the same check in the same place this often, for so many seconds in which no file
changed, is not a writer at work. File times tick every 1-10 ms, and a write is a matter of
milliseconds, so half a second is far from both."""


class Unsettled(Exception):
    """This copy cannot be used; a later one may.

    `reason` continues "kept changing": what was seen. `final` is what to raise once it is clear
    that no writer is the cause; without it only waiting helps. `tolerable` names a check that
    may be left out instead (in files of a later storage version, whose rules may differ).
    """

    def __init__(
        self, reason: str, *, final: AkoshaSnapError | None = None, tolerable: str = "", hint: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final
        self.tolerable = tolerable
        self.hint = hint


class Settled(Generic[T]):
    """What came out, and at what cost."""

    def __init__(self, value: T, tries: int, tolerated: dict[str, str]) -> None:
        self.value = value
        self.tries = tries
        self.tolerated = tolerated
        """Checks left out, each with what it found."""


def settle(
    attempt: Callable[[frozenset[str]], T],
    fingerprint: Callable[[], object],
    *,
    name: str,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Settled[T]:
    """Call `attempt` until it returns, up to `deadline` seconds.

    `attempt` gets the checks to leave out, none at first. `fingerprint` differs when any file
    concerned has changed. Raises BusyError for `name` at the deadline, or what the attempt
    itself says is final; an attempt under way is never cut off.
    """
    started = clock()
    pause = _FIRST_PAUSE
    tries = still_tries = 0
    still_since, still_at = started, None
    tolerated: dict[str, str] = {}
    while True:
        tries += 1
        try:
            return Settled(attempt(frozenset(tolerated)), tries, tolerated)
        except Unsettled as error:
            unsettled = error
        now = clock()
        seen = (unsettled.reason, fingerprint())
        if seen != still_at:
            still_tries, still_since, still_at = 0, now, seen
        still_tries += 1
        if still_tries >= _STILL_TRIES and now - still_since >= _STILL_FOR:
            if unsettled.tolerable and unsettled.tolerable not in tolerated:
                tolerated[unsettled.tolerable] = unsettled.reason
                continue
            if unsettled.final:
                raise unsettled.final from unsettled
        if now - started >= deadline:
            raise BusyError(
                f"{name} kept changing for {now - started:.0f} s ({unsettled.reason})",
                hint=unsettled.hint or "try again in a moment",
            ) from unsettled
        sleep(min(pause * random.uniform(0.5, 1.0), max(0.0, deadline - (now - started))))  # noqa: S311
        pause = min(pause * 2, _LONGEST_PAUSE)
