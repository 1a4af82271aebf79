"""How a command that was ended from outside leaves click, which has words of its own for it."""

from __future__ import annotations

__all__ = ["Stopped"]


class Stopped(Exception):
    """`command` was ended from outside: by a signal, or because nobody reads its output any more."""

    def __init__(self, cause: BaseException, command: str | None) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.command = command
