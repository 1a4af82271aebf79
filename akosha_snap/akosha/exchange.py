"""One HTTP request to an MCP server and its answer: headers, redirects, deadlines, what each status means."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from akosha_snap.akosha.replies import event_data, find_reply, limited
from akosha_snap.akosha.statuses import RequestTooLarge, SessionLost, check_status, refusal
from akosha_snap.errors import AkoshaError, ConfigError, TransientAkoshaError
from akosha_snap.stores.masking import masked

if TYPE_CHECKING:
    import httpx

__all__ = ["Exchange", "RequestTooLarge", "SessionLost"]

_CONNECT_TIMEOUT = 5.0
_GOODBYE_TIMEOUT = 2.0
_MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 307, 308}
_PORTS = {"http": 80, "https": 443}
_CHECK_URL = "check AKOSHA_URL; Akosha's own server is at http://localhost:8682/mcp"


class Exchange:
    """The connection to one server. It knows of HTTP and of the session's id, not of what is said."""

    def __init__(self, url: str, *, token: str | None, transport: httpx.BaseTransport | None = None) -> None:
        import httpx

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
            self._client = httpx.Client(headers=headers, transport=transport)
        except (ValueError, ImportError) as error:  # a proxy in the environment that cannot be one
            raise ConfigError(
                f"no HTTP client can be made: {self.clean(error)}", hint="check the proxy variables"
            ) from None

    def close(self) -> None:
        """End the session on the server, as well as can be, and close the connection."""
        import httpx

        with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
            if self._session:
                self._client.delete(self._url, headers=self._session_headers(), timeout=_GOODBYE_TIMEOUT)
        self._client.close()

    def forget_session(self) -> None:
        """The next request belongs to no session."""
        self._session = self.protocol = None

    def ask(self, body: bytes, request_id: int, seconds: float) -> Any:
        """Send a request; returns its result. Raises AkoshaError and its kinds, or CredentialsError."""
        with self._sent(body, seconds) as (response, pieces):
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "application/json":
                messages: Iterator[bytes] = iter([b"".join(pieces)])
            elif kind == "text/event-stream":
                messages = event_data(pieces)
            else:
                raise refusal(self.shown, f"answered with {kind or 'nothing'}, not with MCP", hint=_CHECK_URL)
            for data in messages:
                found, result = self._find(data, request_id)
                if found:
                    self._session = response.headers.get("mcp-session-id") or self._session
                    return result
        raise TransientAkoshaError(f"{self.shown} ended its answer before it was complete", hint=_CHECK_URL)

    def tell(self, body: bytes, seconds: float) -> None:
        """Send a notification, which has no answer."""
        with self._sent(body, seconds) as (_, pieces):
            for _piece in pieces:
                pass

    def _find(self, data: bytes, request_id: int) -> tuple[bool, Any]:
        try:
            return find_reply(data, request_id)
        except AkoshaError as error:
            raise type(error)(self.clean(error.message), hint=error.hint) from None

    @contextlib.contextmanager
    def _sent(self, body: bytes, seconds: float) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
        """A good response to `body`, and its pieces; redirects are followed, errors raised."""
        import httpx

        ends = time.monotonic() + seconds
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_TIMEOUT))
                self.requests += 1
                self.bytes_sent += len(body)
                with self._client.stream(
                    "POST", self._url, content=body, headers=self._session_headers(), timeout=timeout
                ) as response:
                    if response.status_code not in _REDIRECTS:
                        self._check(response, ends)
                        yield response, self._pieces(response, ends)
                        return
                    self._url = self._redirected(response)
            raise refusal(self.shown, "redirects without end", hint=_CHECK_URL)
        except httpx.TimeoutException as error:
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

    def _check(self, response: httpx.Response, ends: float) -> None:
        if response.is_success:
            return
        said = b""
        for piece in self._pieces(response, ends):
            said += piece
            if len(said) > 4096:
                break
        text = self.clean(said.decode("utf-8", "replace"))
        check_status(response, text, shown=self.shown, in_session=self._session is not None, has_token=self._has_token)

    def _pieces(self, response: httpx.Response, ends: float) -> Iterator[bytes]:
        """The body as it comes; a server that drips is held to the deadline like one that is silent."""
        for piece in limited(response.iter_bytes()):
            if time.monotonic() > ends:
                raise TransientAkoshaError(f"{self.shown} did not end its answer in time")
            yield piece

    def _redirected(self, response: httpx.Response) -> str:
        """Where to go instead: the same server only, for the token must not go elsewhere."""
        target = urljoin(self._url, response.headers.get("location", ""))
        here, there = urlsplit(self._url), urlsplit(target)
        same = (here.scheme, here.hostname, _port(here)) == (there.scheme, there.hostname, _port(there))
        safer = here.hostname == there.hostname and (here.scheme, there.scheme) == ("http", "https")
        if not (same or safer):
            raise refusal(self.shown, f"redirects to another server, {masked(target)}", hint=_CHECK_URL)
        return str(there._replace(netloc=here.netloc).geturl()) if same else target

    def _session_headers(self) -> dict[str, str]:
        headers = {"Mcp-Session-Id": self._session} if self._session else {}
        return {**headers, "MCP-Protocol-Version": self.protocol} if self.protocol else headers

    def clean(self, said: object) -> str:
        """Text from elsewhere on one short line, without our secrets: a server may echo what it was sent."""
        text = " ".join(str(said).split())
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return masked(text)[:300]


def _checked(url: str, shown: str) -> str:
    try:
        parts = urlsplit(url)
        valid = (
            parts.scheme in _PORTS and bool(parts.hostname) and _port(parts) and url.isprintable() and " " not in url
        )
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"{shown!r} is not the URL of an Akosha server", hint=_CHECK_URL)
    return url


def _port(parts: Any) -> int:
    return int(parts.port or _PORTS.get(parts.scheme, 0))


def _secrets(url: str, token: str | None) -> list[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        password = None
    return [secret for secret in (token, password) if secret]
