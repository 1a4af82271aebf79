"""How long-running work tells its caller what it is doing, without printing."""

from __future__ import annotations

__all__ = ["Observer"]


class Observer:
    """Receives progress. Every method does nothing here: override those you want.

    Calls come from the thread that runs the job, never from two threads at once.
    """

    def phase(self, name: str, *, total: int = 0) -> None:
        """A new phase of the job begins; `total` is its size in bytes, 0 when unknown."""

    def advance(self, amount: int) -> None:
        """`amount` more bytes of the current phase are done."""
