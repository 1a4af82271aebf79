"""Whether an Akosha server answers: a quick look, never an error."""

from __future__ import annotations

import time
from urllib.parse import urljoin

from akosha_snap.deadline import within

__all__ = ["is_up"]

_INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    b'"clientInfo":{"name":"akosha-snap","version":"probe"}}}'
)


def is_up(url: str, *, token: str | None = None, timeout: float = 1.0) -> bool:
    """Whether an Akosha server answers at `url` within `timeout` seconds, name resolution included. Never raises.

    Asks `/healthz`, as Akosha has it (`/health` says 503 while its feeds are empty): 2xx is up, 5xx is
    down. Any other answer (there is none, it wants a password, it is a web page) says nothing of the
    URL itself, which is then asked whether it speaks MCP. One that refuses the token is up: who sends
    to it is told that.
    """
    ends = time.monotonic() + timeout
    try:  # no name is looked up, and no library loaded, for longer either
        return within(timeout, lambda: _looks_up(url, token, ends))
    except Exception:  # whatever goes wrong, it is not up
        return False


def _looks_up(url: str, token: str | None, ends: float) -> bool:
    healthy = _healthy(url, ends)
    return _speaks_mcp(url, token, ends) if healthy is None else healthy


def _healthy(url: str, ends: float) -> bool | None:
    """What `/healthz` says; None where it says nothing. It never gets the token."""
    from akosha_snap.akosha.connection import Connection, Send

    def ask(send: Send) -> bool | None:
        with send("GET", urljoin(url, "/healthz")) as response:
            if response.is_server_error:
                return False
            is_page = "html" in response.headers.get("content-type", "")
            return True if response.is_success and not is_page else None

    connection = Connection({}, url)
    try:
        return connection.use(ends - time.monotonic(), ask)
    finally:
        connection.close()


def _speaks_mcp(url: str, token: str | None, ends: float) -> bool:
    from akosha_snap.akosha.exchange import Exchange
    from akosha_snap.errors import AkoshaSnapError, CredentialsError

    exchange = Exchange(url, token=token)
    try:
        exchange.ask(_INITIALIZE, 1, ends - time.monotonic())
    except CredentialsError:
        return True
    except AkoshaSnapError:
        return False
    finally:
        exchange.close((ends - time.monotonic()) / 2)  # a server that is slow to say goodbye is up all the same
    return True
