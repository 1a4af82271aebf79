"""What goes over the network is encrypted, and to whom it should be, unless it stays on this machine or is allowed."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from test_http_connections import certificate as make_certificate

from akosha_snap.akosha.mcp_client import McpClient
from akosha_snap.cli.boundary import run
from akosha_snap.config import Settings, load_settings
from akosha_snap.errors import AkoshaSnapError, ConfigError
from akosha_snap.stores import S3Options, S3Store, open_store
from akosha_snap.stores.plain_http import is_exposed
from akosha_snap.sync.cloud import open_configured_store
from akosha_snap.sync.http import send_to_akosha

certificate = make_certificate

ELSEWHERE = ["http://192.0.2.1:1", "http://nas.local:9000", "http://localhost.example.com", "HTTP://192.0.2.1"]
"""Addresses that nothing answers at (RFC 5737), and names that mean another machine."""


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize("url", [*ELSEWHERE, "http://a.localhost", "http://0.0.0.0:1", "http://[2001:db8::1]"])
def test_plain_http_to_another_machine_is_exposed(url: str) -> None:
    assert is_exposed(url)


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://LOCALHOST", "http://127.0.0.1", "http://127.9.9.9:8", "http://[::1]:1",
            "https://nas.local", "http://[::1"]
)  # fmt: skip
def test_what_stays_here_or_is_encrypted_is_not(url: str) -> None:
    assert not is_exposed(url)


class TestS3:
    @pytest.mark.parametrize("endpoint", ELSEWHERE[:3])
    @pytest.mark.parametrize("lean", [True, False])
    def test_plain_http_elsewhere_is_refused_before_anything_is_sent(self, endpoint: str, lean: bool) -> None:
        store = S3Store("bucket", options=S3Options(endpoint, lean=lean))
        with pytest.raises(ConfigError, match="over plain http") as caught:
            store.get("k")
        assert "AKOSHA_SNAP_ALLOW_INSECURE_HTTP=true" in caught.value.hint

    def test_wherever_the_endpoint_was_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", ELSEWHERE[0])
        with pytest.raises(ConfigError, match=r"192\.0\.2\.1:1 over plain http"):
            S3Store("bucket").get("k")

    @pytest.mark.parametrize(("allowed", "refused"), [("true", False), ("false", True), ("", True)])
    def test_it_can_be_allowed(self, allowed: str, refused: bool) -> None:
        environ = {
            "AKOSHA_SNAP_STORE": f"s3://bucket?endpoint={ELSEWHERE[1]}",
            "AKOSHA_SNAP_ALLOW_INSECURE_HTTP": allowed,
        }
        store = open_configured_store(load_settings(environ=environ))
        assert isinstance(store, S3Store)
        if refused:
            with pytest.raises(ConfigError):
                store._client  # noqa: B018
        else:
            assert store._client

    def test_by_the_file_too(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text("allow_insecure_http = true\n")
        assert load_settings(environ={"AKOSHA_SNAP_CONFIG": str(tmp_path / "c.toml")}).allow_insecure_http
        assert not load_settings(environ={}).allow_insecure_http

    @pytest.mark.parametrize("command", ["push", "list", "show", "verify", "restore", "prune", "repair"])
    def test_by_the_flag_of_every_command_that_takes_a_store(
        self, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        seen = []

        def opening(settings: Settings) -> Any:
            seen.append(settings.allow_insecure_http)
            raise ConfigError("far enough", hint="none")

        monkeypatch.setattr("akosha_snap.sync.cloud.open_configured_store", opening)
        given = [command, "--store", str(tmp_path)]
        given += {"restore": ["--to", str(tmp_path)], "prune": ["--keep-last", "1"]}.get(command, [])
        monkeypatch.setenv("AKOSHA_SNAP_ALLOW_INSECURE_HTTP", "false")
        assert run([*given, "--allow-insecure-http"]) == 2
        monkeypatch.setenv("AKOSHA_SNAP_ALLOW_INSECURE_HTTP", "true")
        assert run(given) == 2
        monkeypatch.setenv("AKOSHA_SNAP_ALLOW_INSECURE_HTTP", "")
        assert run(given) == 2
        assert seen == [True, True, False]

    def test_the_url_of_a_store_does_not_grow_by_it(self) -> None:
        url = "s3://bucket?endpoint=http://nas:9000"
        assert open_store(url, allow_insecure_http=True).url == url


class TestAkosha:
    @pytest.mark.parametrize("url", ELSEWHERE)
    def test_a_token_does_not_go_elsewhere_in_the_clear(self, url: str) -> None:
        with pytest.raises(ConfigError, match="the Akosha token and memories would go to") as caught:
            McpClient(f"{url}/mcp", token="tok-hunter2")
        assert "hunter2" not in str(caught.value)

    def test_it_can_be_allowed_and_needs_no_leave_here_or_without_a_token(self) -> None:
        for url, token, allowed in [
            (ELSEWHERE[0], "t", True),
            (ELSEWHERE[0], None, False),
            ("http://localhost:1", "t", False),
            ("https://nas.local", "t", False),
        ]:
            with McpClient(f"{url}/mcp", token=token, allow_insecure_http=allowed):
                pass

    def test_a_sync_is_refused_and_can_be_allowed(self, tmp_path: Path) -> None:
        from memory_db import build

        database, _ = build(tmp_path, conversations=1)
        environ = {"AKOSHA_URL": "http://192.0.2.1:1/mcp", "AKOSHA_API_TOKEN": "t", "AKOSHA_SYSTEM_ID": "s",
                   "AKOSHA_SNAP_STATE_DIR": str(tmp_path / "state")}  # fmt: skip
        with pytest.raises(ConfigError, match="over plain http"):
            send_to_akosha(load_settings(environ=environ), [database])


class _Anyone(BaseHTTPRequestHandler):
    """Takes whatever comes, and remembers it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number = json.loads(asked).get("id") if asked.startswith(b"{") else None
        result = {"protocolVersion": "2025-06-18", "tools": []}
        body = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode() if number else b""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up in the handshake is what the tests are about."""


class TestProxies:
    @pytest.fixture(autouse=True)
    def proxy(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
        server = _Server(("127.0.0.1", 0), _Anyone)
        server.seen = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield server
        server.shutdown()
        server.server_close()
        thread.join()

    def test_none_sees_what_goes_to_an_akosha_here(self, proxy: _Server) -> None:
        with McpClient("http://localhost:9/mcp", token="t", attempts=1) as client, pytest.raises(AkoshaSnapError):
            client.tools()
        assert not proxy.seen  # type: ignore[attr-defined]

    @pytest.mark.parametrize("lean", [True, False])
    def test_none_sees_what_goes_to_a_store_here(self, proxy: _Server, lean: bool) -> None:
        with pytest.raises(AkoshaSnapError):
            S3Store("bucket", options=S3Options("http://127.0.0.1:9", lean=lean)).put("k", b"x")
        assert not proxy.seen  # type: ignore[attr-defined]


class TestTls:
    @pytest.fixture
    def impostor(self, certificate: Path) -> Iterator[_Server]:
        """A server that signed its own certificate."""
        server = _Server(("127.0.0.1", 0), _Anyone)
        server.seen = []  # type: ignore[attr-defined]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        server.server_close()
        thread.join()

    @pytest.mark.parametrize("lean", [True, False])
    def test_a_store_that_signed_its_own_certificate_gets_nothing(self, impostor: _Server, lean: bool) -> None:
        endpoint = f"https://127.0.0.1:{impostor.server_port}"
        with pytest.raises(AkoshaSnapError, match=r"(?i)certificate"):
            S3Store("bucket", options=S3Options(endpoint, lean=lean)).put("k", b"x")
        assert not impostor.seen  # type: ignore[attr-defined]

    def test_an_akosha_that_signed_its_own_certificate_gets_nothing(self, impostor: _Server) -> None:
        with (
            McpClient(f"https://127.0.0.1:{impostor.server_port}/mcp", token="t", attempts=1) as client,
            pytest.raises(AkoshaSnapError, match=r"(?i)certificate"),
        ):
            client.tools()
        assert not impostor.seen  # type: ignore[attr-defined]

    def test_authorities_of_ones_own(
        self, impostor: _Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        store = S3Store("bucket", options=S3Options(f"https://127.0.0.1:{impostor.server_port}"))
        store.put("k", b"x")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with McpClient(f"https://127.0.0.1:{impostor.server_port}/mcp", token="t", attempts=1) as client:
            assert client.tools() == {}
        signed = {seen["Authorization"].split()[0] for seen in impostor.seen if "Authorization" in seen}  # type: ignore[attr-defined]
        assert signed == {"AWS4-HMAC-SHA256", "Bearer"}
