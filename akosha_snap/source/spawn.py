"""Work on databases in a child process.

Staging, for callers that may have the database open themselves: closing any descriptor of a file
drops every POSIX lock the process has on it, DuckDB's too, and the next process could then open the
database for writing as well (seen on 1.4.4 and 2.0.0). Counting, to keep DuckDB out of ours.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from akosha_snap.errors import BusyError, SourceError
from akosha_snap.source.files import shown
from akosha_snap.source.model import RecordCounts, StagedSource
from akosha_snap.source.records import count_records
from akosha_snap.source.seen import Seen
from akosha_snap.source.staging import DEADLINE
from akosha_snap.source.wire import Reply, Request

__all__ = ["child_environment", "count_in_child", "stage_in_child"]

_MARGIN = 15.0
"""Seconds on top of the deadline for the child to start, and to end the try it is at."""

_BROKEN = "run it again; if it stays so, reinstall akosha-snap and what it needs"

_SLOWEST = 10_000_000
"""Bytes per second: a try may take as long as that, however large the file."""


def stage_in_child(path: Path, into: Path, *, deadline: float = DEADLINE, before: Seen | None = None) -> StagedSource:
    """The same as `stage`, errors included, but this process never opens the files.

    The child is killed when it takes longer than the deadline, a margin and the time a slow disk
    needs for the file, and when anything, Ctrl-C too, interrupts the wait. Raises BusyError in the
    first case, and SourceError where no child can be started or it breaks.
    """
    request = Request("stage", [os.fsencode(path)], os.fsencode(into), deadline, before)
    with _asked(request, deadline + _MARGIN + 2 * _size(path) / _SLOWEST, shown(path)) as answer:
        reply = answer()
    if not reply.staged:
        raise SourceError(f"the process that reads {shown(path)} did not say how it went", hint=_BROKEN)
    files = [msgspec.structs.replace(file, path=str(into / file.name)) for file in reply.staged.files]
    return msgspec.structs.replace(reply.staged, files=files)


def count_in_child(paths: Sequence[Path]) -> list[RecordCounts]:
    """`count_records` of each path, in order, errors included.

    DuckDB then takes no memory of this process, and could not take it down either.
    """
    with counting_in_child(paths) as counted:
        return counted()


@contextlib.contextmanager
def counting_in_child(paths: Sequence[Path]) -> Iterator[Callable[[], list[RecordCounts]]]:
    """`count_in_child` beside what the block does, which is given what waits for its result.

    However the block is left, by Ctrl-C too, the child is gone then.
    """
    if not paths or not sys.executable:
        yield lambda: [count_records(path) for path in paths]
        return
    names = ", ".join(path.name for path in paths)
    timeout = 4 * _MARGIN + sum(2 * _size(path) / _SLOWEST for path in paths)
    with _asked(Request("count", [os.fsencode(path) for path in paths]), timeout, names) as answer:

        def counted() -> list[RecordCounts]:
            reply = answer()
            if reply.counts is None:
                raise SourceError(f"the process that reads {names} did not say how it went", hint=_BROKEN)
            return reply.counts

        yield counted


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0  # the child says what is wrong with it


@contextlib.contextmanager
def _asked(request: Request, timeout: float, name: str) -> Iterator[Callable[[], Reply]]:
    """A child at work on `request`; the block is given what waits for its reply, for `timeout` seconds from now on."""
    if not sys.executable:
        raise SourceError(
            "no Python to start a copying process with: sys.executable is empty",
            hint="run the akosha-snap command instead, or set sys.executable to a Python that has akosha-snap",
        )
    # -P: a module of the user's, in whatever folder this runs, must not be taken for one of ours
    command = [sys.executable, "-P", "-m", f"{__package__}.child"]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(),
        )
    except OSError as error:
        raise SourceError(
            f"the process that reads {name} cannot be started: {error.strerror}",
            hint="close some programs, and check that this runs: " + sys.executable,
        ) from error
    try:
        _send(child, request)
        yield partial(_reply, child, time.monotonic(), timeout, name)
    finally:  # every way out, Ctrl-C too, leaves no child behind
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _send(child: subprocess.Popen[bytes], request: Request) -> None:
    if not child.stdin:
        raise AssertionError("it is a pipe")
    with contextlib.suppress(OSError):  # it may be dead already; its exit code will say so
        child.stdin.write(msgspec.json.encode(request) + b"\n")
        child.stdin.flush()  # and left open: the child ends when this process does


def _reply(child: subprocess.Popen[bytes], started: float, timeout: float, name: str) -> Reply:
    left = max(started + timeout - time.monotonic(), 1.0)  # at least to take what was said long ago
    stdin, child.stdin = child.stdin, None  # or `communicate` would close it
    try:
        said, errors = child.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        raise BusyError(f"reading {name} took longer than {timeout:.0f} s", hint="try again in a moment") from None
    finally:
        child.stdin = stdin
    if child.returncode:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise SourceError(f"the process that reads {name} ended with code {child.returncode}: {last}", hint=_BROKEN)
    try:
        reply = msgspec.json.decode(said, type=Reply)
    except msgspec.DecodeError as error:
        raise SourceError(f"the process that reads {name} answered nonsense: {error}", hint=_BROKEN) from error
    if reply.failure:
        raise reply.failure.error()
    return reply


def child_environment() -> dict[str, str]:
    """Our own environment, with the path this process finds its modules by.

    The child must find the same akosha_snap, and the same libraries, however they came to be
    importable here. The order of the path is kept, so that the standard library stays first. Left
    out is the folder this runs in, which `python -m` and a bare prompt put there: it may be any
    project's, whose modules must not be taken for ours.
    """
    package = str(Path(__file__).resolve().parents[2])
    found_by = [entry for entry in sys.path if isinstance(entry, str) and entry]
    try:
        here = _real(str(Path.cwd()))
    except OSError:  # the folder is gone
        here = ""
    if here != _real(package):
        found_by = [entry for entry in found_by if _real(entry) != here]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*found_by, package])}


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))
