"""Whether an Akosha server answers: a quick look, never an error."""

from __future__ import annotations

import threading
import time
from urllib.parse import urljoin

__all__ = ["is_up"]

_INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    b'"clientInfo":{"name":"akosha-snap","version":"probe"}}}'
)


def is_up(url: str, *, token: str | None = None, timeout: float = 1.0) -> bool:
    """Whether an Akosha server answers at `url` within `timeout` seconds, name resolution included. Never raises.

    Asks `/healthz`, as Akosha has it (`/health` says 503 while its feeds are empty), and where
    there is none, whether the URL itself speaks MCP.
    """
    answers: list[bool] = []

    def look() -> None:
        try:
            answers.append(_looks_up(url, token, time.monotonic() + timeout))
        except Exception:  # whatever goes wrong, it is not up
            answers.append(False)

    thread = threading.Thread(target=look, daemon=True)  # a name that does not resolve cannot be interrupted
    thread.start()
    thread.join(timeout)
    return bool(answers and answers[0])


def _looks_up(url: str, token: str | None, ends: float) -> bool:
    import httpx

    from akosha_snap.akosha.exchange import Exchange
    from akosha_snap.errors import AkoshaSnapError

    with (
        httpx.Client(timeout=max(0.05, ends - time.monotonic())) as client,
        client.stream("GET", urljoin(url, "/healthz")) as response,
    ):
        if "html" in response.headers.get("content-type", ""):
            return False  # some other web server
        if response.status_code != httpx.codes.NOT_FOUND:
            return response.is_success
    exchange = Exchange(url, token=token)
    try:
        exchange.ask(_INITIALIZE, 1, max(0.05, ends - time.monotonic()))
    except AkoshaSnapError:
        return False
    finally:
        exchange.close()
    return True
