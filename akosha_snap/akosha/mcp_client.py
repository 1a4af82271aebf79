"""A client of Akosha's MCP server: streamable HTTP (MCP 2025-06-18) on bare httpx.

fastmcp's own client takes 2.8 s to import; what is needed of the protocol is small.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import msgspec

from akosha_snap.akosha.exchange import Exchange, SessionLost
from akosha_snap.akosha.tool_results import tool_result
from akosha_snap.errors import AkoshaError, TransientAkoshaError
from akosha_snap.stores.plain_http import refuse_plain_token
from akosha_snap.version import __version__

if TYPE_CHECKING:
    import httpx

__all__ = ["CALL_TIMEOUT", "McpClient"]

CALL_TIMEOUT = 60.0
"""Seconds for one try of one call; a batch of 4 MB takes Akosha 0.11 about 5."""

_PROTOCOL = "2025-06-18"
_MAX_PAGES = 100
_RETRY_FOR = 120.0
"""Seconds after the first try of a call in which another may start, as for a store's requests."""
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 10.0


class McpClient:
    """A session with the server at `url`, opened by the first call and again when the server lost it.

    A call is tried up to `attempts` times where the server cannot be reached or cannot answer now
    (429 and 5xx), with waits that grow exponentially, each a random share of its bound or as long as
    the server asks; none starts later than 120 s after the first. Nothing lasts beyond `deadline`
    seconds after the client was made (None: no such limit). Every method may raise AkoshaError, TransientAkoshaError or
    CredentialsError; no error holds the token or a password in the URL. Not thread-safe.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        deadline: float | None = None,
        call_timeout: float = CALL_TIMEOUT,
        attempts: int = 5,
        allow_insecure_http: bool = False,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        refuse_plain_token(url, token, allowed=allow_insecure_http)
        self._exchange = Exchange(url, token=token, transport=transport)
        self._ends = math.inf if deadline is None else time.monotonic() + deadline
        self._call_timeout = call_timeout
        self._attempts = attempts
        self._sleep = sleep
        self._request_id = 0
        self._open = False
        self.interruptions = 0
        """How often a session was lost or an answer did not come: the server may have been restarted then."""

    @property
    def url(self) -> str:
        """Where the server is, fit for messages."""
        return self._exchange.shown

    @property
    def requests(self) -> int:
        """HTTP requests sent, every try of them."""
        return self._exchange.requests

    @property
    def bytes_sent(self) -> int:
        """Bytes of their bodies."""
        return self._exchange.bytes_sent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the session on the server as well, if it still listens."""
        self._exchange.close()

    def tools(self) -> dict[str, dict[str, Any]]:
        """The server's tools: name and JSON schema of the arguments."""
        found: dict[str, dict[str, Any]] = {}
        params: dict[str, Any] = {}
        for _ in range(_MAX_PAGES):
            result = self._call("tools/list", msgspec.json.encode(params))
            if not isinstance(result, dict) or not isinstance(result.get("tools"), list):
                raise AkoshaError(f"{self.url} answered tools/list with no list of tools")
            for tool in result["tools"]:
                if isinstance(tool, dict) and isinstance(tool.get("name"), str):
                    schema = tool.get("inputSchema")
                    found[tool["name"]] = schema if isinstance(schema, dict) else {}
            if not result.get("nextCursor"):
                return found
            params = {"cursor": result["nextCursor"]}
        raise AkoshaError(f"{self.url} has a list of tools that does not end")

    def call_tool(self, name: str, *arguments: bytes) -> dict[str, Any]:
        """Call a tool with `arguments`, JSON of an object in pieces; returns its result, an object too.

        Raises AkoshaError where the tool itself failed (isError).
        """
        result = self._call("tools/call", *_tool_params(name, *arguments))
        try:
            return tool_result(name, result)
        except AkoshaError as error:
            raise AkoshaError(self._exchange.clean(error.message), hint=error.hint) from None

    @staticmethod
    def overhead(name: str) -> int:
        """Upper bound of the bytes that a request has around the arguments of a call of this tool."""
        return len(_request(10**9, "tools/call", *_tool_params(name)))

    def _call(self, method: str, *params: bytes) -> Any:
        """Send a request until it is answered. Raises the last error, with what was tried."""
        started = time.monotonic()
        attempt = 1
        while True:
            try:
                if not self._open:
                    self._initialize()
                self._request_id += 1
                body = _request(self._request_id, method, *params)
                return self._exchange.ask(body, self._request_id, self._time_left())
            except TransientAkoshaError as error:
                self.interruptions += 1
                lost = isinstance(error, SessionLost)
                self._open = self._open and not lost
                wait = 0.0 if lost and attempt == 1 else self._wait(attempt, error)
                if attempt >= self._attempts or time.monotonic() + wait > min(self._ends, started + _RETRY_FOR):
                    raise _given_up(error, attempt, time.monotonic() - started) from error
                self._sleep(wait)
            attempt += 1

    def _initialize(self) -> None:
        params = {
            "protocolVersion": _PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "akosha-snap", "version": __version__},
        }
        self._exchange.forget_session()
        self._request_id += 1
        body = _request(self._request_id, "initialize", msgspec.json.encode(params))
        result = self._exchange.ask(body, self._request_id, self._time_left())
        if not isinstance(result, dict) or not isinstance(result.get("protocolVersion"), str):
            raise AkoshaError(f"{self.url} is no MCP server: it does not know initialize", hint="check AKOSHA_URL")
        self._exchange.protocol = result["protocolVersion"]
        self._exchange.tell(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', self._time_left())
        self._open = True

    def _time_left(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise AkoshaError(
                f"{self.url} did not take everything in the time allowed",
                hint="run it again: it goes on from there; allow more time if this repeats",
            )
        return min(left, self._call_timeout)

    @staticmethod
    def _wait(attempt: int, error: TransientAkoshaError) -> float:
        import random

        bound = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))
        return max(random.uniform(0, bound), error.retry_after or 0.0)  # noqa: S311 - not for secrecy


def _request(request_id: int, method: str, *params: bytes) -> bytes:
    """The body of a request, in one piece: a batch has 4 MB, and is better not copied twice."""
    head = b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":' % (request_id, method.encode())
    return b"".join((head, *params, b"}"))


def _tool_params(name: str, *arguments: bytes) -> tuple[bytes, ...]:
    return (b'{"name":%s,"arguments":' % msgspec.json.encode(name), *arguments, b"}")


def _given_up(error: TransientAkoshaError, attempts: int, elapsed: float) -> TransientAkoshaError:
    times = "once" if attempts == 1 else f"{attempts} times"
    return TransientAkoshaError(
        f"{error.message} (tried {times} in {elapsed:.1f} s)", hint=error.hint, retry_after=error.retry_after
    )
