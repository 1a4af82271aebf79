"""The connections of the lean S3 client: kept open, given up in time, and only to whom is trusted."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import gc
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore import exceptions as boto

from akosha_snap.stores.http_connections import Answer, Connections

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Odd: Value\r\n\r\nok"


@contextlib.contextmanager
def served(serve: Callable[[socket.socket, int], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that hands each connection, and its number, to `serve`; gives `host:port`."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def one(connection: socket.socket, number: int) -> None:
            with contextlib.suppress(OSError), connection:
                connection.settimeout(10)
                if tls:
                    connection = tls.wrap_socket(connection, server_side=True)
                with connection:
                    serve(connection, number)

        def accept() -> None:
            threads = []
            with contextlib.suppress(OSError):
                for number in range(1, 100):
                    threads.append(threading.Thread(target=one, args=(listener.accept()[0], number)))
                    threads[-1].start()
            for thread in threads:
                thread.join()

        thread = threading.Thread(target=accept)
        thread.start()
        yield "{}:{}".format(*listener.getsockname())
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    """The next request of a connection, without its body; empty where the client has left."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            return b""
        data += piece
    return data


def to(address: str, scheme: str = "http", *, timeout: float = 5) -> Connections:
    return Connections(f"{scheme}://{address}", connect_timeout=timeout, read_timeout=timeout)


def test_a_connection_serves_many_requests():
    numbers = []

    def serve(connection, number):
        while read_request(connection):
            numbers.append(number)
            connection.sendall(OK)

    with served(serve) as address:
        connections = to(address)
        for _ in range(3):
            assert connections.request("GET", "/", {}) == Answer(200, {"content-length": "2", "x-odd": "Value"}, b"ok")
        del connections
        gc.collect()  # closes them: pytest would tell of one left open
    assert numbers == [1, 1, 1]


def test_threads_have_connections_of_their_own():
    together = threading.Barrier(4, timeout=10)

    def serve(connection, _):
        while read_request(connection):
            together.wait()
            connection.sendall(OK)

    with served(serve) as address:
        request = functools.partial(to(address).request, headers={})
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(request, ["GET"] * 4, ["/"] * 4))
        del request
        assert {answer.body for answer in answers} == {b"ok"}


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
def test_a_connection_that_the_server_has_closed_is_not_used(last_words):
    closed = threading.Event()

    def serve(connection, number):
        read_request(connection)
        connection.sendall(OK)
        if number == 1:
            connection.sendall(last_words)
            connection.close()
            closed.set()

    with served(serve) as address:
        connections = to(address)
        assert connections.request("GET", "/", {}).body == b"ok"
        assert closed.wait(10)
        assert connections.request("GET", "/", {}).body == b"ok"
        del connections


def test_a_refusal_before_the_end_of_the_body_is_heard():
    def serve(connection, _):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with served(serve) as address:
        assert to(address).request("PUT", "/", {}, bytes(20_000_000)).status == 412


def test_a_slow_upload_may_take_longer_than_a_silence():
    """The timeout is for each piece of the body; a socket's own would be for all of it."""
    size, buffered = 6_000_000, 3_000_000

    def serve(connection, _):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        left = size
        read_request(connection)
        while left:
            left -= len(connection.recv(100_000))
            if left > buffered:  # what the system has taken from us counts as sent
                pause.wait(0.02)
        connection.sendall(OK)

    pause = threading.Event()
    with served(serve) as address:
        assert to(address, timeout=0.4).request("PUT", "/", {}, memoryview(bytes(size))).status == 200


def test_a_name_that_does_not_resolve():
    with pytest.raises(boto.EndpointConnectionError):
        to("no-such-host.invalid:1").request("GET", "/", {})


def test_an_answer_that_is_not_http():
    def serve(connection, _):
        read_request(connection)
        connection.sendall(b"SSH-2.0-OpenSSH\r\n")

    with served(serve) as address, pytest.raises(boto.ConnectionClosedError):
        to(address).request("GET", "/", {})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1, signed by itself, and its key in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - dt.timedelta(1)).not_valid_after(now + dt.timedelta(1))
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = built.add_extension(host, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(signed.public_bytes(pem) + private)
    return path


class TestTls:
    @pytest.fixture
    def address(self, certificate) -> Iterator[str]:
        def serve(connection, _):
            while read_request(connection):
                connection.sendall(OK)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with served(serve, context) as address:
            yield address

    def test_a_stranger_is_not_trusted(self, address):
        with pytest.raises(boto.SSLError, match=r"self.signed"):
            to(address, "https").request("GET", "/", {})

    def test_who_is_on_the_list_is_trusted(self, address, certificate, monkeypatch):
        monkeypatch.setattr("akosha_snap.stores.http_connections._authorities", lambda: certificate)
        connections = to(address, "https")
        assert [connections.request("GET", "/", {}).body for _ in range(2)] == [b"ok", b"ok"]
        with pytest.raises(boto.SSLError, match="localhost"):
            to(address.replace("127.0.0.1", "localhost"), "https").request("GET", "/", {})
        del connections

    def test_the_list_is_boto3s(self):
        from botocore.httpsession import where

        from akosha_snap.stores.http_connections import _authorities

        assert Path(where()) == _authorities()
