"""An error as data: between processes, in files, and on its way to the user."""

from __future__ import annotations

import msgspec

from akosha_snap.errors import AkoshaSnapError

__all__ = ["Failure"]


class Failure(msgspec.Struct, frozen=True):
    """The name of an error's class, what failed, what to do next, and the exit code it stands for."""

    kind: str
    message: str
    hint: str
    exit_code: int

    @classmethod
    def of(cls, error: AkoshaSnapError) -> Failure:
        """`error` as data."""
        return cls(type(error).__name__, error.message, error.hint, error.exit_code)

    @property
    def line(self) -> str:
        """What failed and what to do next."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def error(self) -> AkoshaSnapError:
        """The error again, of the class it had where that is one of ours."""
        return AkoshaSnapError.named(self.kind)(self.message, hint=self.hint)
