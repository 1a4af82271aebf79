"""The process that syncs for a session: started in a moment, and no child that dies with its parent.

It has a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it, and its
request goes through a pipe, so that a token shows in no list of processes.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from akosha_snap.errors import AkoshaSnapError, SourceError
from akosha_snap.source.spawn import child_environment
from akosha_snap.sync.wire import SyncReply, SyncRequest

if TYPE_CHECKING:
    import asyncio

__all__ = ["answer", "start"]

_BROKEN = "run `akosha-snap push` to see why; if it stays so, reinstall akosha-snap and what it needs"

_DETACHED_PROCESS, _NEW_PROCESS_GROUP = 0x00000008, 0x00000200
"""Windows: no console, and no Ctrl-C from one (learn.microsoft.com, Process Creation Flags)."""


def start(request: SyncRequest, *, reply: bool) -> subprocess.Popen[bytes]:
    """Start the process and hand it `request`; with `reply`, its answer can be read by `answer`.

    Raises SourceError where no process can be started. It is waited for by a thread, so that
    none is left behind as a zombie.
    """
    if not sys.executable:
        raise SourceError("no Python to start a sync with: sys.executable is empty", hint=_BROKEN)
    # -P: a module of the user's, in whatever folder this runs, must not be taken for one of ours
    command = [sys.executable, "-P", "-m", f"{__package__}.child"]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if reply else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            **_detached(),
        )
    except OSError as error:
        raise SourceError(f"the process that syncs cannot be started: {error.strerror}", hint=_BROKEN) from error
    with contextlib.suppress(OSError), process.stdin or contextlib.nullcontext():  # dead already: its code will tell
        if process.stdin:
            process.stdin.write(msgspec.json.encode(request))  # fits the pipe: nothing to wait for
    if not reply:
        threading.Thread(target=process.wait, daemon=True, name="akosha-snap sync").start()
    return process


async def answer(request: SyncRequest) -> SyncReply:
    """Start the process and wait for its reply, without a thread that the event loop's end would wait for.

    Cancelled, or with this process gone, the sync goes on by itself.
    """
    import asyncio

    process = start(request, reply=True)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[SyncReply] = loop.create_future()

    def settle(set_it: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            set_it(value)

    def wait() -> None:
        try:
            outcome: tuple[Callable[[Any], None], Any] = (future.set_result, _read(process))
        except BaseException as error:
            outcome = (future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=wait, daemon=True, name="akosha-snap sync").start()
    return await future


def _read(process: subprocess.Popen[bytes]) -> SyncReply:
    if process.stdout is None:
        raise AssertionError("started with reply")
    with process.stdout as pipe:
        said = pipe.read()
    code = process.wait()
    try:
        return msgspec.json.decode(said, type=SyncReply)
    except msgspec.DecodeError:
        raise AkoshaSnapError(
            f"the process that syncs ended with code {code} and did not say how it went", hint=_BROKEN
        ) from None


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": _DETACHED_PROCESS | _NEW_PROCESS_GROUP}
    return {"start_new_session": True}
