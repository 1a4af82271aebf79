"""A store decorator that tries again what may succeed a moment later.

The loop is our own: stamina reports each retry through hooks that are one global setting
(by default a log record, which Python prints to stderr when the application has no logging),
and a library must neither print nor change its host's settings. It also takes 0.1 s to import.
"""

from __future__ import annotations

import random
import threading
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

    Thread-safe; `abort` makes the requests of all threads end soon.
    """

    def __init__(
        self,
        inner: Store,
        *,
        attempts: int = 5,
        deadline: float = 120.0,
        sleep: Callable[[float], None] | None = None,  # None: a wait that `abort` cuts short
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._attempts = attempts
        self._deadline = deadline
        self._sleep = sleep
        self._clock = clock
        self._aborted = threading.Event()

    def abort(self) -> None:
        """Give the job up, for good: from now on no attempt and no wait starts.

        A request that waits for its next try raises its last error at once, one under way is
        finished and not repeated, and a new one raises TransientStoreError. From any thread.
        """
        self._aborted.set()

    def _request(self, method: str, call: Callable[[], T], *, sent: int = 0) -> T:  # noqa: ARG002 - the layer's
        if self._aborted.is_set():
            raise TransientStoreError("the job was given up", hint="run it again")
        started = self._clock()
        attempt = 1
        while True:
            try:
                return call()
            except TransientStoreError as error:
                wait = self._wait(attempt, error)
                late = self._clock() - started + wait > self._deadline
                if attempt >= self._attempts or late or not self._slept(wait):
                    raise _given_up(error, attempt, self._clock() - started) from error
            attempt += 1

    def _slept(self, seconds: float) -> bool:
        """Whether all of the wait has passed, and the job has not been given up."""
        if self._sleep is None:
            return not self._aborted.wait(seconds)
        if not self._aborted.is_set():
            self._sleep(seconds)
        return not self._aborted.is_set()

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
