"""What an exception means to the user: a kind, one line, the next step, an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from akosha_snap.errors import AkoshaSnapError, DamageError, NewerFormatError
from akosha_snap.signals import how_stopped

if TYPE_CHECKING:
    import click

    from akosha_snap.failure import Failure

__all__ = ["describe"]

_SAFE = {
    "push": "every snapshot in the store is whole; run the same push again, what was uploaded is reused",
    "restore": "no file under its final name is half done; run the same restore again",
    "verify": "nothing was changed; run it again",
    "repair": "nothing was deleted; run the same repair again",
    "prune": "every snapshot that is left is whole; run the same prune again",
}
_DEBUG = "run with AKOSHA_SNAP_DEBUG=1 for the traceback"


def describe(error: BaseException, command: str | None = None) -> Failure:
    """The failure that `error`, raised by `command`, stands for."""
    import click

    from akosha_snap.failure import Failure

    kind = type(error).__name__
    if isinstance(error, AkoshaSnapError):
        return Failure(kind, _line(error.message), _line(error.hint or _next_step(error)), error.exit_code)
    if isinstance(error, click.UsageError):
        return Failure("UsageError", _line(error.format_message()), _see_help(error.ctx), 2)
    if isinstance(error, click.ClickException):
        return Failure(kind, _line(error.format_message()), "", error.exit_code)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        word, code = how_stopped(error)
        return Failure("Interrupted", word, _SAFE.get(command or "", ""), code)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return Failure(kind, _line(f"{where}{error.strerror or error or kind}"), _DEBUG, 1)
    return Failure(kind, _line(f"{kind}: {error}" if str(error) else kind), f"this is a bug, {_DEBUG}", 1)


def _next_step(error: AkoshaSnapError) -> str:
    """What to do where the error itself does not say: deep down it is not known what was going on."""
    if isinstance(error, DamageError):
        return "run `akosha-snap repair --dry-run` to see what is lost, and restore another snapshot"
    if isinstance(error, NewerFormatError):
        return "upgrade akosha-snap"
    return ""


def _see_help(ctx: click.Context | None) -> str:
    return f"see `{ctx.command_path if ctx else 'akosha-snap'} --help`"


def _line(text: str) -> str:
    """On one line, without control characters: a file's name may hold anything."""
    joined = " ".join(text.split()).removesuffix(".")
    return "".join(char if char.isprintable() else "?" for char in joined)
