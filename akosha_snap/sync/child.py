"""The process itself: `python -m akosha_snap.sync.child`, a request on stdin, a reply on stdout."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import msgspec

from akosha_snap.signals import catch_signals
from akosha_snap.sync.serve import serve
from akosha_snap.sync.wire import SyncRequest

__all__ = ["main"]

_LIMIT = 3600.0
"""Seconds. Every wait in a sync has a deadline of its own; this one is for what nobody thought of."""


def main() -> int:
    """Serve the one request. Returns the exit code: 1 where the sync failed, which the reply and the log say too.

    Asked by a signal to stop, it says how far it came in the same way, and ends with 128 and the signal's number.
    """
    catch_signals()
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=SyncRequest)
    timer = threading.Timer(_LIMIT, os._exit, [1])  # `akosha-snap status` then says that it never ended
    timer.daemon = True
    timer.start()
    reply = serve(request)
    with contextlib.suppress(OSError):  # whoever asked may be gone: that is what the log is for
        sys.stdout.buffer.write(msgspec.json.encode(reply))
        sys.stdout.buffer.flush()
    code = reply.failure.exit_code if reply.failure else 0
    if code > 128:
        os._exit(code)  # without waiting for requests that other threads have under way
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
