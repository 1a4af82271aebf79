"""Work that must not take longer than it may, whatever it waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["TimeLimit", "within"]

_T = TypeVar("_T")


class TimeLimit(TimeoutError):
    """The work was not done in the time it had. A TimeoutError that the work itself raised is none of these."""


def within(seconds: float, work: Callable[[], _T], *, give_up: Callable[[], None] = lambda: None) -> _T:
    """What `work` returns or raises, or TimeLimit once `seconds` have passed.

    It runs in a thread of its own, because some waits know no deadline: a name that is looked up, a
    server that sends a byte now and then. A thread cannot be ended from outside: `give_up` is called
    when nobody waits for it any more, after Ctrl-C too, and should make it end soon.
    """
    outcome: list[tuple[_T] | BaseException] = []

    def run() -> None:
        try:
            outcome.append((work(),))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True, name="akosha-snap within")
    thread.start()
    late = True
    try:
        thread.join(max(seconds, 0.0))
        late = not outcome
    finally:
        if late:
            give_up()
    if late:
        raise TimeLimit(f"not done in {seconds:g} s")
    found = outcome.pop()
    if isinstance(found, tuple):
        return found[0]
    try:
        raise found
    finally:
        del found  # it refers to this frame: else all that its frames hold would stay until the next collection
