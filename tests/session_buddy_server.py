"""Starts and stops the real Session-Buddy, as its own server process on loopback, with our end hook installed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["SessionBuddy", "running_session_buddy"]

START_TIMEOUT = 90.0
"""Seconds that a start may take; it takes 5 to 15."""

_SERVER = """
import sys
import akosha_snap.integrations.session_buddy as ours
ours.install()
from session_buddy.server_optimized import run_server
run_server(host="127.0.0.1", port=int(sys.argv[1]))
"""


class SessionBuddy(NamedTuple):
    """A running server: the folder of its databases, its project, and its tools."""

    data: Path
    project: Path
    url: str
    pid: int

    def call(self, tool: str, **arguments: Any) -> str:
        """Call one of its MCP tools."""
        from fastmcp import Client

        async def talk() -> str:
            async with Client(self.url) as client:
                return str((await client.call_tool(tool, arguments)).data)

        return asyncio.run(talk())

    def end_session(self) -> None:
        """The real `end` tool: it stores a conversation, closes the session and starts the sync."""
        said = self.call("end", working_directory=str(self.project))
        assert "Session ended successfully" in said, said


@contextlib.contextmanager
def running_session_buddy(home: Path, **variables: str) -> Iterator[SessionBuddy]:
    """A Session-Buddy whose home folder is `home`, killed on leaving the block."""
    project = home / "project"
    project.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # no download of DuckDB extensions, nor of anything else: the proxy is nobody
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "NO_PROXY": "127.0.0.1,localhost", "HOME": str(home), **variables}
    with (home / "session-buddy.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(port)], cwd=project, env=environment, stdout=log, stderr=log
        )
        try:
            _wait_for(process, port)
            yield SessionBuddy(home / ".claude" / "data", project, f"http://127.0.0.1:{port}/mcp", process.pid)
        finally:
            process.kill()
            process.wait(timeout=30)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("Session-Buddy did not start, see session-buddy.log")
