"""One HTTP request to an MCP server and its answer: headers, redirects, deadlines, what each status means."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from akosha_snap.akosha.connection import Connection, Send
from akosha_snap.akosha.redirects import PORTS, port_of, redirected
from akosha_snap.akosha.replies import event_data, find_reply, limited
from akosha_snap.akosha.statuses import CHECK_URL, RequestTooLarge, SessionLost, check_status, refusal
from akosha_snap.deadline import TimeLimit
from akosha_snap.errors import AkoshaError, ConfigError, TransientAkoshaError
from akosha_snap.stores.masking import masked

if TYPE_CHECKING:
    import httpx

__all__ = ["Exchange", "RequestTooLarge", "SessionLost"]

_GOODBYE_TIMEOUT = 2.0
_MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 307, 308}
_INPUT = re.compile(r"input_value=.*(?=, input_type=)|input_value=.*")
"""Where pydantic quotes what it refuses: a record. Up to the last end of one: cuts too much rather than too little."""
_SLICE = 262_144
"""Bytes of a body given to httpx at a time."""


class _Answer(NamedTuple):
    """What a response told: where to go instead, or the result and the session it belongs to."""

    location: str | None = None
    result: Any = None
    session: str | None = None


class Exchange:
    """The connection to one server. It knows of HTTP and of the session's id, not of what is said."""

    def __init__(self, url: str, *, token: str | None, transport: httpx.BaseTransport | None = None) -> None:
        self.shown = masked(url)
        self._secrets = _secrets(url, token)
        self._url = _checked(url, self.shown)
        self._has_token = bool(token)
        self._session: str | None = None
        self.protocol: str | None = None
        self.requests = 0
        self.bytes_sent = 0
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if token:
            if not (token.isascii() and token.isprintable()):
                raise ConfigError("the Akosha token is not one: it has other than printable ASCII characters")
            headers["Authorization"] = f"Bearer {token}"
        try:
            self._connection = Connection(headers, url, transport=transport)
        except (ValueError, ImportError) as error:  # a proxy in the environment that cannot be one
            raise ConfigError(
                f"no HTTP client can be made: {self.clean(error)}", hint="check the proxy variables"
            ) from None

    def close(self, seconds: float = _GOODBYE_TIMEOUT) -> None:
        """End the session on the server, as well as can be in so many seconds, and close the connection."""
        import httpx

        def leave(send: Send) -> None:
            with send("DELETE", self._url, headers=self._session_headers()):
                pass

        with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL, TimeLimit):
            if self._session:
                self._connection.use(seconds, leave)
        self._connection.close()

    def forget_session(self) -> None:
        """The next request belongs to no session."""
        self._session = self.protocol = None

    def ask(self, body: bytes, request_id: int, seconds: float) -> Any:
        """Send a request; returns its result. Raises AkoshaError and its kinds, or CredentialsError."""

        def read(response: httpx.Response, pieces: Iterator[bytes]) -> _Answer:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "application/json":
                messages: Iterator[bytes] = iter([b"".join(pieces)])
            elif kind == "text/event-stream":
                messages = event_data(pieces)
            else:
                raise refusal(self.shown, f"answered with {kind or 'nothing'}, not with MCP", hint=CHECK_URL)
            for data in messages:
                found, result = self._find(data, request_id)
                if found:
                    return _Answer(result=result, session=response.headers.get("mcp-session-id"))
            raise TransientAkoshaError(f"{self.shown} ended its answer before it was complete", hint=CHECK_URL)

        answer = self._sent(body, seconds, read)
        self._session = answer.session or self._session
        return answer.result

    def tell(self, body: bytes, seconds: float) -> None:
        """Send a notification, which has no answer."""

        def pass_over(_: httpx.Response, pieces: Iterator[bytes]) -> _Answer:
            for _piece in pieces:
                pass
            return _Answer()

        self._sent(body, seconds, pass_over)

    def _find(self, data: bytes, request_id: int) -> tuple[bool, Any]:
        try:
            return find_reply(data, request_id)
        except AkoshaError as error:
            raise type(error)(self.clean(error.message), hint=error.hint) from None

    def _sent(self, body: bytes, seconds: float, read: Callable[[httpx.Response, Iterator[bytes]], _Answer]) -> _Answer:
        """What `read` makes of a good response and its pieces; redirects are followed, errors raised."""
        import httpx

        ends = time.monotonic() + seconds
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                self.requests += 1
                self.bytes_sent += len(body)
                answer = self._connection.use(ends - time.monotonic(), self._request(body, read))
                if answer.location is None:
                    return answer
                self._url = self._redirected(answer.location)
            raise refusal(self.shown, "redirects without end", hint=CHECK_URL)
        except (TimeLimit, httpx.TimeoutException) as error:
            raise TransientAkoshaError(
                f"{self.shown} did not answer in {seconds:.0f} s", hint="check that Akosha is running and not stuck"
            ) from error
        except httpx.TransportError as error:
            raise TransientAkoshaError(
                f"{self.shown} cannot be reached: {self.clean(error) or type(error).__name__}",
                hint="check that Akosha is running, and AKOSHA_URL",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise AkoshaError(f"{self.shown} gave an answer that cannot be read: {self.clean(error)}") from None

    def _request(
        self, body: bytes, read: Callable[[httpx.Response, Iterator[bytes]], _Answer]
    ) -> Callable[[Send], _Answer]:
        """One request. It may be left to itself when it is late, so it changes nothing of ours."""
        url = self._url
        headers = {**self._session_headers(), "Content-Length": str(len(body))}

        def work(send: Send) -> _Answer:
            with send("POST", url, content=_slices(body), headers=headers) as response:
                if response.status_code in _REDIRECTS:
                    return _Answer(location=response.headers.get("location", ""))
                self._check(response)
                return read(response, limited(response.iter_bytes()))

        return work

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        said = b""
        for piece in limited(response.iter_bytes()):
            said += piece
            if len(said) > 4096:
                break
        text = self.clean(said.decode("utf-8", "replace"))
        check_status(response, text, shown=self.shown, in_session=self._session is not None, has_token=self._has_token)

    def _redirected(self, location: str) -> str:
        url = redirected(self._url, location)
        if url is None:
            raise refusal(self.shown, f"redirects to another server, {self.clean(location)}", hint=CHECK_URL)
        return url

    def _session_headers(self) -> dict[str, str]:
        headers = {"Mcp-Session-Id": self._session} if self._session else {}
        return {**headers, "MCP-Protocol-Version": self.protocol} if self.protocol else headers

    def clean(self, said: object) -> str:
        """Text from elsewhere on one short line, without our secrets: a server may echo what it was sent."""
        text = _INPUT.sub("input_value=…", " ".join(str(said).split()))
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return masked(text)[:300]


def _slices(body: bytes) -> Iterator[bytes]:
    """The body once, piece by piece.

    httpx's response and its stream refer to each other, and to the request: a body given as bytes stays in memory
    until the next garbage collection, 4 MB for each batch (100 MB of them with Python 3.13). A generator lets go of it.
    """
    for start in range(0, len(body), _SLICE):
        yield body[start : start + _SLICE]


def _checked(url: str, shown: str) -> str:
    try:
        parts = urlsplit(url)
        valid = (
            parts.scheme in PORTS and bool(parts.hostname) and port_of(parts) and url.isprintable() and " " not in url
        )
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"{shown!r} is not the URL of an Akosha server", hint=CHECK_URL)
    return url


def _secrets(url: str, token: str | None) -> list[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        password = None
    return [secret for secret in (token, password) if secret]
