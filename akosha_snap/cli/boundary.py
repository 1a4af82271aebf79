"""Where exceptions end: every one becomes one line (or JSON) on stderr and an exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from akosha_snap.cli.failure import describe
from akosha_snap.cli.stopped import Stopped

if TYPE_CHECKING:
    from akosha_snap.failure import Failure

__all__ = ["leave", "run"]


def run(args: list[str]) -> int:
    """Run the command line `args`; returns the exit code and raises nothing."""
    as_json = "--json" in (args[: args.index("--")] if "--" in args else args)
    try:
        _prepare_streams()
        from akosha_snap.cli.group import PROGRAM, root

        code = int(root.main(args, prog_name=PROGRAM, standalone_mode=False) or 0)
        if sys.stdout is not None:
            sys.stdout.flush()
    except Stopped as stopped:
        return _end(stopped.cause, as_json, stopped.command)
    except BaseException as error:
        return _end(error, as_json)
    return code


def leave(code: int) -> NoReturn:
    """End the process. After a signal it does not wait for requests that other threads still have under way."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    if code > 128 and threading.active_count() > 1:
        os._exit(code)
    gc.freeze()  # Python would look for cycles among all objects once more before it lets go of them: 0.02 s
    sys.exit(code)


def _end(error: BaseException, as_json: bool, command: str | None = None) -> int:
    if isinstance(error, BrokenPipeError):  # whoever read our output has left: nothing to tell, nobody to tell it
        _settle_stdout()
        return 1
    failure = describe(error, command)
    if os.environ.get("AKOSHA_SNAP_DEBUG", "0") not in {"", "0"}:
        import traceback

        traceback.print_exception(error)
    with contextlib.suppress(OSError):
        _print(failure, as_json)
    _settle_stdout()
    return failure.exit_code


def _print(failure: Failure, as_json: bool) -> None:
    import click

    if not as_json:
        click.echo(f"akosha-snap: error: {failure.line}", err=True)
        return
    import msgspec

    click.echo(msgspec.json.encode({"error": failure}), err=True)


def _prepare_streams() -> None:
    """A character that the terminal's encoding lacks is escaped; it never fails the job."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _settle_stdout() -> None:
    """Let go of output that cannot be written: Python would try once more at its end, and complain."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
