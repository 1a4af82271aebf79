"""A store decorator that tries again what may succeed a moment later.

The loop is our own: stamina reports each retry through hooks that are one global setting
(by default a log record, which Python prints to stderr when the application has no logging),
and a library must neither print nor change its host's settings. It also takes 0.1 s to import.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from akosha_snap.errors import TransientStoreError
from akosha_snap.stores.base import Store
from akosha_snap.stores.layer import Layer

__all__ = ["RetryingStore"]

T = TypeVar("T")

FIRST_WAIT = 0.25
"""Upper bound of the first wait, in seconds; it doubles with each attempt. About one cold S3 answer."""

LONGEST_WAIT = 10.0
"""Upper bound of any wait, in seconds, unless the server asks for a longer one."""


class RetryingStore(Layer):
    """Repeats a request that raises TransientStoreError, and no other.

    At most `attempts` tries; none starts, and no wait ends, later than `deadline` seconds
    after the first one started. Waits grow exponentially with full jitter (a random share of
    the bound, so that clients that failed together do not return together), and last at
    least as long as the server asked for. The last error is raised, with what was tried.

    A conditional create repeated after a lost answer can raise ObjectExists for our own
    object; `start_multipart` repeated can leave an empty upload behind.
    """

    def __init__(
        self,
        inner: Store,
        *,
        attempts: int = 5,
        deadline: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._attempts = attempts
        self._deadline = deadline
        self._sleep = sleep
        self._clock = clock

    def _request(self, method: str, call: Callable[[], T], *, sent: int = 0) -> T:  # noqa: ARG002 - the layer's
        started = self._clock()
        attempt = 1
        while True:
            try:
                return call()
            except TransientStoreError as error:
                wait = self._wait(attempt, error)
                elapsed = self._clock() - started
                if attempt >= self._attempts or elapsed + wait > self._deadline:
                    raise _given_up(error, attempt, elapsed) from error
            self._sleep(wait)
            attempt += 1

    def _wait(self, attempt: int, error: TransientStoreError) -> float:
        bound = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        return max(random.uniform(0, bound), error.retry_after or 0.0)  # noqa: S311 - not for secrecy


def _given_up(error: TransientStoreError, attempts: int, elapsed: float) -> TransientStoreError:
    times = "once" if attempts == 1 else f"{attempts} times"
    return TransientStoreError(
        f"{error.message} (tried {times} in {elapsed:.1f} s)",
        hint=error.hint,
        retry_after=error.retry_after,
    )
