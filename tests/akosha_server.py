"""Starts and stops the real Akosha's MCP server, on loopback, with the Python that runs the tests."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["AkoshaServer", "free_port", "running_akosha"]

START_TIMEOUT = 120.0
"""Seconds that a start may take; it takes 14 to 31."""


class AkoshaServer(NamedTuple):
    """A running server; its hot store is in memory."""

    url: str
    pid: int


@contextlib.contextmanager
def running_akosha(folder: Path, *, port: int = 0, **environment: str) -> Iterator[AkoshaServer]:
    """A server with `folder` for its home, killed by its pid on leaving the block."""
    port = port or free_port()
    command = [sys.executable, "-m", "akosha", "mcp", "start", "--host", "127.0.0.1", "--port", str(port)]
    env = {**os.environ, "AKOSHA_SKIP_DHARA_REGISTRATION": "1", "HOME": str(folder), **environment}
    log = folder / "akosha.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait(process, port, log)
            yield AkoshaServer(f"http://127.0.0.1:{port}/mcp", process.pid)
        finally:
            process.kill()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"Akosha did not start: {log.read_text(errors='replace')[-2000:]}")
