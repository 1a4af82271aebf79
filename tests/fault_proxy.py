"""A proxy in front of an S3 server that does to chosen requests what networks and servers do.

It reads a request whole, looks for a rule that fits, and plays its fault; else it passes the request on and the
answer back. The Host header stays as it is, so that a signature (of the proxy's own address) holds. The
benchmarks' proxy counts bytes and changes none, so it need not know where a message ends; this one must.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import re
import socket
import socketserver
import threading
from collections.abc import Iterator

__all__ = ["ALWAYS", "FAULTS", "FaultProxy", "Rule", "running_fault_proxy"]

ALWAYS = 1_000_000

_CODES = {
    "400": ("InvalidURI", 400),
    "403": ("AccessDenied", 403),
    "404": ("NoSuchKey", 404),
    "429": ("TooManyRequests", 429),
    "500": ("InternalError", 500),
    "503": ("SlowDown", 503),
    "clock": ("RequestTimeTooSkewed", 403),
    "expired": ("ExpiredToken", 400),
}
FAULTS = (*_CODES, "reset", "lost", "hang", "drip", "truncated", "flipped")

_RESET = b"\x01\0\0\0\0\0\0\0"
"""SO_LINGER of no time: closing resets the connection."""


@dataclasses.dataclass
class Rule:
    """Plays `fault` for requests of `method` (empty: any) whose target has `key` (a regular expression) in it.

    The first `skip` that fit are let through, the next `times` are met. Faults: a status of `_CODES`, `clock`,
    `expired`; `reset` before the server has it; `lost` answers, after it was carried out; `hang`; `drip`,
    a byte each 50 ms; `truncated` and `flipped` bodies. `retry_after` is sent with a status.
    """

    fault: str
    method: str = ""
    key: str = ""
    skip: int = 0
    times: int = 1
    retry_after: str = ""
    seen: int = 0
    hit: int = 0

    def takes(self, method: str, target: str) -> bool:
        if self.method not in {"", method} or not re.search(self.key, target):
            return False
        self.seen += 1
        mine = self.skip < self.seen <= self.skip + self.times
        self.hit += mine
        return mine


class FaultProxy(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1; `rules` may change at any time."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream.removeprefix("http://")
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self.rules: list[Rule] = []
        self.requests = 0
        self.stop = threading.Event()
        self._lock = threading.Lock()

    def rule_for(self, method: str, target: str) -> Rule | None:
        with self._lock:
            self.requests += 1
            return next((rule for rule in self.rules if rule.takes(method, target)), None)


class _Handler(socketserver.StreamRequestHandler):
    server: FaultProxy
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self._one():
                pass

    def _one(self) -> bool:
        """One request of the connection; False where it ends."""
        line = self.rfile.readline()
        if not line.strip():
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = dict(http.client.parse_headers(self.rfile).items())
        lower = {name.lower(): value for name, value in headers.items()}
        if lower.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        headers = {name: value for name, value in headers.items() if name.lower() != "expect"}
        body = self.rfile.read(int(lower.get("content-length", 0)))
        rule = self.server.rule_for(method, target)
        fault = rule.fault if rule else ""
        if rule and fault in _CODES:
            return self._refuse(method, rule)
        if fault == "reset":
            return self._reset()
        if fault == "hang":
            self.server.stop.wait(60)
            return False
        status, reason, answered, data = self._ask(method, target, headers, body)
        if fault == "lost":
            return self._reset()
        if fault == "flipped" and data:
            data = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
        kept = [f"{name}: {value}\r\n" for name, value in answered if name.lower() != "transfer-encoding"]
        if not any(name.lower() == "content-length" for name, _ in answered) and status != 204:
            kept.append(f"Content-Length: {len(data)}\r\n")
        whole = f"HTTP/1.1 {status} {reason}\r\n{''.join(kept)}\r\n".encode("latin-1") + data
        if fault == "truncated":
            self.wfile.write(whole[: len(whole) - max(1, len(data) // 2)])
            return False
        if fault == "drip":
            for byte in whole:
                self.wfile.write(bytes([byte]))
                if self.server.stop.wait(0.05):
                    return False
            return False
        self.wfile.write(whole)
        return True

    def _ask(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.reason, answer.getheaders(), answer.read()

    def _refuse(self, method: str, rule: Rule) -> bool:
        code, status = _CODES[rule.fault]
        data = b"" if method == "HEAD" else f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        extra = f"Retry-After: {rule.retry_after}\r\n" if rule.retry_after else ""
        head = f"HTTP/1.1 {status} {code}\r\n{extra}Content-Length: {len(data)}\r\n\r\n"
        self.wfile.write(head.encode() + data)
        return True

    def _reset(self) -> bool:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()
        return False


@contextlib.contextmanager
def running_fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A proxy in threads of its own, in front of the server at `upstream`."""
    with FaultProxy(upstream) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield proxy
        proxy.stop.set()
        proxy.shutdown()
        thread.join(10)
