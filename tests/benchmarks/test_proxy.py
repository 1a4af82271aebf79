"""The counting proxy: exact counts of a known exchange, whatever way the bytes come, and the slow line."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.framing import RequestFraming
from benchmarks.proxy import Proxy, Shape, Traffic, running_proxy

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
ANSWER = HEAD + b"hello"
REFUSAL = b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GET = b"GET /a HTTP/1.1\r\nHost: proxy:1\r\n\r\n"
PUT = b"PUT /b HTTP/1.1\r\nHost: proxy:1\r\nContent-Length: 10\r\n\r\nGET /x HTT"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
)
WAITING = b"PUT /d HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n"


class _Server(socketserver.ThreadingTCPServer):
    """Plays a script: after so many more bytes have come, says so much."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, script: list[tuple[int, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.received = b""


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        for size, answer in server.script:
            wanted = len(server.received) + size
            while len(server.received) < wanted:
                server.received += self.request.recv(wanted - len(server.received))
            self.request.sendall(answer)


@contextlib.contextmanager
def _exchange(
    script: list[tuple[int, bytes]], shape: Shape | None = None
) -> Iterator[tuple[Proxy, socket.socket, _Server]]:
    with _Server(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        with running_proxy(server.server_address[1], shape) as proxy:
            host, port = proxy.endpoint.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=5) as client:
                yield proxy, client, server
        server.shutdown()
        thread.join(5)


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def test_every_byte_and_request_of_a_kept_connection_is_counted_and_none_changed() -> None:
    requests = [GET, PUT, CHUNKED, GET]
    with _exchange([(len(request), ANSWER) for request in requests]) as (proxy, client, server):
        for request in requests:
            client.sendall(request)
            assert _read(client, len(ANSWER)) == ANSWER
        assert server.received == b"".join(requests)
        assert proxy.traffic == Traffic(
            up=sum(map(len, requests)),
            down=len(ANSWER) * 4,
            connections=1,
            requests=proxy.traffic.requests,
        )
        assert dict(proxy.traffic.requests) == {"GET": 2, "PUT": 1, "POST": 1}


def test_a_client_that_waits_to_be_told_to_go_on_is_told() -> None:
    script = [(len(WAITING), CONTINUE), (6, ANSWER), (len(GET), ANSWER)]
    with _exchange(script) as (proxy, client, _):
        client.sendall(WAITING)
        assert _read(client, len(CONTINUE)) == CONTINUE
        client.sendall(b"sixsix")
        assert _read(client, len(ANSWER)) == ANSWER
        client.sendall(GET)
        assert _read(client, len(ANSWER)) == ANSWER
        assert dict(proxy.traffic.requests) == {"PUT": 1, "GET": 1}
        assert proxy.traffic.up == len(WAITING) + 6 + len(GET)
        assert proxy.traffic.down == len(CONTINUE) + 2 * len(ANSWER)


def test_a_client_told_not_to_go_on_sends_its_next_request_instead_of_a_body() -> None:
    with _exchange([(len(WAITING), REFUSAL), (len(GET), ANSWER)]) as (proxy, client, _):
        client.sendall(WAITING)
        assert _read(client, len(REFUSAL)) == REFUSAL
        client.sendall(GET)
        assert _read(client, len(ANSWER)) == ANSWER
        assert dict(proxy.traffic.requests) == {"PUT": 1, "GET": 1}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_requests_are_found_in_pieces_of_any_size(size: int) -> None:
    stream = GET + PUT + CHUNKED + PUT + GET
    framing = RequestFraming()
    found = [
        method for start in range(0, len(stream), size) for _, method in framing.feed(stream[start : start + size])
    ]
    assert found == ["GET", "PUT", "POST", "PUT", "GET"]


def test_traffic_since_an_earlier_moment() -> None:
    with _exchange([(len(GET), ANSWER), (len(PUT), ANSWER)]) as (proxy, client, _):
        client.sendall(GET)
        _read(client, len(ANSWER))
        before = proxy.traffic.copy()
        client.sendall(PUT)
        _read(client, len(ANSWER))
        since = proxy.traffic.since(before)
        assert (since.up, since.down, since.connections, dict(since.requests)) == (len(PUT), len(ANSWER), 0, {"PUT": 1})


def test_a_slow_line_holds_requests_back() -> None:
    with _exchange([(len(GET), ANSWER)] * 3, Shape(latency=60)) as (_, client, _server):
        start = time.monotonic()
        for _ in range(3):
            client.sendall(GET)
            _read(client, len(ANSWER))
        assert time.monotonic() - start >= 0.18


def test_a_narrow_line_takes_as_long_as_its_bytes() -> None:
    body = bytes(50_000)
    put = b"PUT /e HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + body
    with _exchange([(len(put), ANSWER)], Shape(megabits=2)) as (proxy, client, server):
        start = time.monotonic()
        client.sendall(put)
        assert _read(client, len(ANSWER)) == ANSWER
        assert 0.19 <= time.monotonic() - start < 3
        assert server.received == put
        assert proxy.traffic.up == len(put)


def test_a_server_that_is_not_there_closes_the_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with running_proxy(taken.getsockname()[1]) as proxy:
            host, port = proxy.endpoint.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=5) as client:
                assert client.recv(10) == b""
