"""Connections to one HTTP server, kept open between requests.

Over http.client, which costs 0.03 s less to import than urllib3. What goes wrong is raised as
botocore's exceptions, so that it means the same whichever client a store uses.
"""

from __future__ import annotations

import collections
import http.client
import importlib.util
import selectors
import socket
import ssl
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from akosha_snap.stores.base import Buffer

__all__ = ["Answer", "Connections"]

_PIECE = 256 * 1024
"""Bytes handed to the socket at a time: its timeout holds for each piece, not for the whole body."""

_MOST = 16 * 1024 * 1024
"""Bytes of an answer that is no object: a page of 1,000 keys, each as long as S3 allows, takes 4 MB."""

_Idle = collections.deque[http.client.HTTPConnection]


class Answer(NamedTuple):
    """What the server said; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connections:
    """Requests to the server at `origin` (`https://host:port`), each sent once; thread-safe.

    Timeouts are in seconds: `connect_timeout` for a connection, `read_timeout` for the longest silence.
    """

    def __init__(self, origin: str, *, connect_timeout: float, read_timeout: float) -> None:
        self._origin = origin
        scheme, _, self._host = origin.partition("://")
        self._tls = _tls() if scheme == "https" else None
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._idle: _Idle = collections.deque(maxlen=16)
        weakref.finalize(self, _close_all, self._idle)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Buffer | None = None,
        *,
        most: int | None = _MOST,
    ) -> Answer:
        """Send one request and read its answer, whatever its status; redirects are not followed.

        Of the body of a success `most` bytes are read and one more, by which it shows that there is more
        (None: all of it, however long); of that of a refusal at most 16 MiB.

        Raises botocore's ConnectTimeoutError, ReadTimeoutError, EndpointConnectionError,
        ConnectionClosedError, IncompleteReadError or SSLError.
        """
        connection = self._reusable() or self._connected()
        keep = False
        try:
            refused_early = _send(connection, method, target, headers, body)
            with connection.getresponse() as response:
                data = _read(response, most if response.status < 300 else _MOST)
                keep = response.isclosed() and not (refused_early or response.will_close)
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error, self._origin) from error
        finally:
            if keep:
                self._idle.append(connection)
            else:
                connection.close()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, data)

    def _reusable(self) -> http.client.HTTPConnection | None:
        """The connection used last, unless the server has closed it since."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _has_input(connection.sock):
                return connection
            connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        connection = (
            http.client.HTTPSConnection(self._host, timeout=self._connect_timeout, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(self._host, timeout=self._connect_timeout)
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise _unconnected(error, self._origin) from error
        connection.sock.settimeout(self._read_timeout)
        return connection


def _send(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: Buffer | None
) -> bool:
    """Send a request; returns whether the server stopped listening before its end (its answer says why)."""
    pieces = None
    if body is not None:
        view = memoryview(body).cast("B")
        pieces = (view[start : start + _PIECE] for start in range(0, len(view), _PIECE))
        headers = {**headers, "Content-Length": str(len(view))}
    try:
        connection.request(method, target, body=pieces, headers=dict(headers))
    except BrokenPipeError:
        return True
    return False


def _read(response: http.client.HTTPResponse, most: int | None) -> bytes:
    if most is None:
        return response.read()
    data = response.read(most + 1)
    if len(data) <= most and response.length:  # only a read of everything notices by itself
        raise http.client.IncompleteRead(data, response.length)
    return data


def _has_input(sock: socket.socket) -> bool:
    """Whether there is something to read on an idle connection: its end, as nothing was asked."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(timeout=0))


def _close_all(idle: _Idle) -> None:
    while idle:
        idle.pop().close()


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(_authorities())
    return context


def _authorities() -> Path:
    """Whom boto3 trusts: certifi's list where that is installed, else the one that comes with botocore."""
    try:
        from certifi import where
    except ImportError:
        botocore = importlib.util.find_spec("botocore")
        return Path(str(botocore and botocore.origin)).with_name("cacert.pem")
    return Path(where())


def _unconnected(error: OSError, origin: str) -> Any:
    import botocore.exceptions as boto

    if isinstance(error, TimeoutError):
        return boto.ConnectTimeoutError(endpoint_url=origin)
    if isinstance(error, ssl.SSLError):
        return boto.SSLError(endpoint_url=origin, error=error)
    return boto.EndpointConnectionError(endpoint_url=origin, error=error)


def _broken(error: OSError | http.client.HTTPException, origin: str) -> Any:
    import botocore.exceptions as boto

    if isinstance(error, TimeoutError):
        return boto.ReadTimeoutError(endpoint_url=origin)
    if isinstance(error, http.client.IncompleteRead):
        return boto.IncompleteReadError(actual_bytes=len(error.partial), expected_bytes=error.expected)
    return boto.ConnectionClosedError(endpoint_url=origin)
