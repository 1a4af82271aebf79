"""Starts and stops the real Akosha MCP server, as its own process on loopback."""

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

__all__ = ["AkoshaServer", "running_akosha"]

START_TIMEOUT = 120.0
"""Seconds that a start may take; it takes 8 to 31."""


class AkoshaServer(NamedTuple):
    """A running server; its hot store is in memory and goes with it."""

    url: str
    pid: int


@contextlib.contextmanager
def running_akosha(home: Path) -> Iterator[AkoshaServer]:
    """An Akosha server with `home` as its home folder, killed on leaving the block."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # no download of a model or of DuckDB extensions: the proxy is nobody
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = {
        **os.environ, **nowhere, "NO_PROXY": "127.0.0.1,localhost", "HOME": str(home),
        "AKOSHA_SKIP_DHARA_REGISTRATION": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "akosha", "mcp", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "akosha.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(process, f"http://127.0.0.1:{port}/healthz")
            yield AkoshaServer(f"http://127.0.0.1:{port}/mcp", process.pid)
        finally:
            process.kill()
            process.wait(timeout=30)


def _wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), opener.open(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("Akosha did not start, see akosha.log")
