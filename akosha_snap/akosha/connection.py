"""An HTTP client whose every use ends in time, whatever the server does."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from akosha_snap.deadline import within
from akosha_snap.stores.plain_http import stays_here

if TYPE_CHECKING:
    import httpx

__all__ = ["Connection", "Send"]

_T = TypeVar("_T")

Send = Callable[..., "contextlib.AbstractContextManager[httpx.Response]"]
"""`httpx.Client.stream`: method, URL and the rest; a response whose body is still to be read."""

_CONNECT_TIMEOUT = 5.0

_SHORTEST = 0.001
"""Seconds: a socket takes no timeout below zero."""

_OPENED = ("connect_tcp.complete", "start_tls.complete")
"""What httpcore's `trace` calls the moments that give a socket (httpx documents that extension)."""


class Connection:
    """A client with a connection that is kept from one use to the next.

    httpx has a timeout between two bytes and none for a whole answer: a server that sends its headers
    byte by byte would hold it for ever. So what uses it runs in a thread, which loses its socket
    when it is late; the next use then has a new client.
    """

    def __init__(self, headers: Mapping[str, str], url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """To the server of `url`, on this machine past every proxy.

        Raises ValueError or ImportError for a proxy in the environment that cannot be one.
        """
        self._is_here = stays_here(url)
        self._headers = dict(headers)
        self._transport = transport
        self._client: httpx.Client | None = self._new_client()
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def use(self, seconds: float, work: Callable[[Send], _T]) -> _T:
        """What `work` returns or raises, given a `Send`; TimeLimit once `seconds` have passed."""
        import httpx

        seconds = max(seconds, _SHORTEST)
        client = self._client = self._client or self._new_client()
        late = threading.Event()

        def cut() -> None:
            with self._lock:
                late.set()
                self._client = None
                for each in self._sockets:
                    _cut(each)
                self._sockets = []

        def trace(event: str, info: Mapping[str, Any]) -> None:
            if event.endswith(_OPENED):
                opened = info["return_value"].get_extra_info("socket")
                with self._lock:
                    if late.is_set():
                        _cut(opened)
                    else:
                        self._sockets = [each for each in self._sockets if each.fileno() >= 0] + [opened]

        def run() -> _T:
            timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_TIMEOUT))
            try:
                return work(functools.partial(client.stream, timeout=timeout, extensions={"trace": trace}))
            finally:
                if late.is_set():
                    client.close()

        return within(seconds, run, give_up=cut)

    def close(self) -> None:
        """Close what is open."""
        if self._client:
            self._client.close()

    def _new_client(self) -> httpx.Client:
        import httpx

        if self._is_here:
            certificates = httpx.create_ssl_context()  # SSL_CERT_FILE counts, the variables of proxies do not
            return httpx.Client(headers=self._headers, transport=self._transport, verify=certificates, trust_env=False)
        return httpx.Client(headers=self._headers, transport=self._transport)


def _cut(connected: socket.socket) -> None:
    """End it for the thread that waits for it; SSLSocket's own shutdown would take its state from under that."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
