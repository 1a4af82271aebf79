"""How long a push or a prune may take before what it saw of the store counts for nothing."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

__all__ = ["PRUNE_LIMIT", "PUSH_LIMIT", "SHORTEST_GRACE", "TimeLimit"]

SHORTEST_GRACE = 24 * 3600.0
"""Seconds that a pack stays after the last snapshot that needed it was dropped: prune's grace period, at least
and by default."""

PUSH_LIMIT = 22 * 3600.0
"""Seconds from a push's first look at the store within which it commits, or fails. The two hours up to
SHORTEST_GRACE cover PRUNE_LIMIT, a request under way (S3 refuses one that was signed more than 15 minutes
before) and clocks that differ by up to an hour: design-notes.md, "Prune"."""

PRUNE_LIMIT = 15 * 60.0
"""Seconds from the time a prune writes into its mark within which the mark is stored and the last manifest
is dropped, or the rest stays."""


class TimeLimit:
    """Counts from its making, by both clocks and the one that is further on: the steady one stands still while
    a laptop sleeps, the other can be set back."""

    def __init__(
        self, seconds: float, now: Callable[[], dt.datetime], steady: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self.now, self._steady = now, steady
        self.start = now()
        self._steady_start = steady()

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return max((self.now() - self.start).total_seconds(), self._steady() - self._steady_start)

    @property
    def passed(self) -> bool:
        """Whether it is too late."""
        return self.elapsed > self.seconds
