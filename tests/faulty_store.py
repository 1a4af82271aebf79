"""A store that misbehaves as it is told to, for tests at the speed of memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from helpers import flipped

from akosha_snap.errors import CredentialsError, StoreError, TransientStoreError
from akosha_snap.stores import Layer, Store

__all__ = ["ALWAYS", "FAULTS", "PASSING", "FaultyStore"]

ALWAYS = 1_000_000
"""Times: never stops."""

PASSING = ("unavailable", "throttled", "reset", "lost_answer", "flipped", "truncated")
"""Faults of the network or of a server under load, which a retry may outlast."""

FAULTS = (*PASSING, "bad_request", "expired", "clock")


class FaultyStore(Layer):
    """Meets the request number `at` (from 0) with a `fault` of FAULTS, and those after it, `times` in all.

    `lost_answer`: the request is carried out, and its answer does not come. `flipped` and
    `truncated` change the bytes of a `get`; of any other request they are a lost connection, since
    a client notices. `hit` is the number of requests met, `seen` of all.
    """

    def __init__(self, inner: Store, fault: str = "", at: int = 0, times: int = 1) -> None:
        super().__init__(inner)
        self._fault, self._at, self._times = fault, at, times
        self._lock = threading.Lock()
        self.seen = self.hit = 0

    def _request(self, method: str, call: Callable[[], Any], *, sent: int = 0) -> Any:
        with self._lock:
            mine = bool(self._fault) and self._at <= self.seen < self._at + self._times
            self.seen += 1
            self.hit += mine
        return self._meet(method, call) if mine else call()

    def _meet(self, method: str, call: Callable[[], Any]) -> Any:
        match self._fault:
            case "unavailable" | "reset":
                raise TransientStoreError(f"cannot {method}: {self._fault}", hint="run it again")
            case "throttled":
                raise TransientStoreError(f"cannot {method}: 429", hint="run it again", retry_after=7.0)
            case "bad_request":
                raise StoreError(f"cannot {method}: 400", hint="check the store's URL")
            case "clock":
                raise StoreError(f"cannot {method}: the server's time is not ours", hint="check this machine's clock")
            case "expired":
                raise CredentialsError(f"cannot {method}: the server refuses these credentials", hint="sign in again")
        answer = call()
        if method == "get" and answer and self._fault == "flipped":
            return flipped(answer, 4 * len(answer))
        if method == "get" and answer and self._fault == "truncated":
            return answer[: len(answer) // 2]
        raise TransientStoreError(f"cannot {method}: the answer was lost", hint="run it again")
