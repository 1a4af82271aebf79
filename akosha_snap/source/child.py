"""The child process of stage_in_child and count_in_child: a request on stdin, a reply on stdout, both JSON.

Started as `python -m akosha_snap.source.child`. It ends when its stdin does, so that it
never outlives the parent, and leaves Ctrl-C to the parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from akosha_snap.errors import AkoshaSnapError
from akosha_snap.failure import Failure
from akosha_snap.source.records import count_records
from akosha_snap.source.staging import stage
from akosha_snap.source.wire import Reply, Request

__all__ = ["main"]


def main() -> int:
    """Serve the one request. Returns the exit code, 0 also for a failure that was replied."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = msgspec.json.decode(_line(sys.stdin.fileno()), type=Request)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout.buffer.write(msgspec.json.encode(_serve(request)))
    sys.stdout.buffer.flush()
    return 0


def _line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (piece := os.read(descriptor, 65536)):
        line += piece
    return line


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _serve(request: Request) -> Reply:
    try:
        paths = [Path(os.fsdecode(path)) for path in request.paths]
        if request.task == "count":
            return Reply(counts=[count_records(path) for path in paths])
        into = Path(os.fsdecode(request.into))
        staged = stage(paths[0], into, deadline=request.deadline, before=request.before)
    except AkoshaSnapError as error:
        return Reply(failure=Failure.of(error))
    # JSON is UTF-8, the folder's name need not be
    files = [msgspec.structs.replace(file, path=file.name) for file in staged.files]
    return Reply(staged=msgspec.structs.replace(staged, files=files))


if __name__ == "__main__":
    sys.exit(main())
