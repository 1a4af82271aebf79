"""The MCP client against a small server that fails as told."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_akosha import FakeAkosha, running_fake

from akosha_snap.akosha import is_up
from akosha_snap.akosha.exchange import RequestTooLarge
from akosha_snap.akosha.mcp_client import McpClient
from akosha_snap.akosha.redirects import redirected
from akosha_snap.errors import AkoshaError, ConfigError, CredentialsError, TransientAkoshaError

TOOL = "batch_store_memories"
JSON = {"Content-Type": "application/json"}
SECRET = "s3cr3t-token"


@pytest.fixture
def fake() -> Iterator[FakeAkosha]:
    with running_fake() as server:
        yield server


def client(url: str, **options: Any) -> McpClient:
    return McpClient(url, **{"sleep": lambda _: None, "call_timeout": 5.0, **options})


def memory(key: str) -> bytes:
    memories = [{"memory_id": key, "text": "x", "embedding": [0] * 384, "metadata": {}}]
    return json.dumps({"memories": memories}).encode()


@pytest.mark.parametrize("sse", [True, False])
def test_a_session(fake: FakeAkosha, sse: bool) -> None:
    fake.sse = sse
    with client(fake.url) as mcp:
        assert set(mcp.tools()) == set(fake.tools)
        assert mcp.call_tool(TOOL, memory("a"))["stored"] == 1
    assert fake.methods() == [
        "initialize", "notifications/initialized", "tools/list", "tools/list", "tools/call", "DELETE",
    ]  # fmt: skip
    assert not fake.sessions
    _, headers, _ = fake.asked[-2]
    assert headers["MCP-Protocol-Version"] == "2025-06-18"
    assert mcp.requests == 5


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_body_that_was_sent_is_let_go(fake: FakeAkosha) -> None:
    """Without the garbage collector: it comes by so seldom that 100 MB of them were once in memory."""
    sizes = []
    gc.disable()
    try:
        with client(fake.url) as mcp:
            for _ in range(12):
                with pytest.raises(RequestTooLarge):  # the server reads it and keeps nothing
                    mcp.call_tool(TOOL, b'{"memories":["%s"]}' % (b"x" * 4_200_000))
                sizes.append(int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]))
    finally:
        gc.enable()
    assert sizes[-1] - sizes[3] < 16_000, "or 34,000, of 8 bodies"


@pytest.mark.parametrize("fault", ["drop", "lose", "cut", "restart", "forget_session", 429, 500, 502, 503])
def test_what_passes_is_tried_again(fake: FakeAkosha, fault: Any) -> None:
    fake.faults.extend([fault, fault])
    with client(fake.url) as mcp:
        result = mcp.call_tool(TOOL, memory("a"))
        assert mcp.interruptions == 2
    assert result["stored"] + result["failed"] == 1
    assert list(fake.stored) == ["a"]


def test_a_lost_session_is_opened_again_at_once(fake: FakeAkosha) -> None:
    waits: list[float] = []
    with client(fake.url, sleep=waits.append) as mcp:
        mcp.call_tool(TOOL, memory("a"))
        fake.restart()
        assert mcp.call_tool(TOOL, memory("b"))["stored"] == 1
    assert waits == [0.0]
    assert list(fake.stored) == ["b"]


def test_it_gives_up_after_some_tries(fake: FakeAkosha) -> None:
    fake.faults.extend([500] * 9)
    with client(fake.url, attempts=3) as mcp, pytest.raises(TransientAkoshaError, match=r"\(500\).*tried 3 times"):
        mcp.call_tool(TOOL, memory("a"))
    assert len(fake.faults) == 6


def test_waits_grow_and_honour_retry_after(fake: FakeAkosha) -> None:
    waits: list[float] = []
    soon = "Wed, 21 Oct 2015 07:28:00 GMT"
    fake.faults.extend([(429, {"Retry-After": "7"}, b""), (503, {"Retry-After": soon}, b""), 500, 500])
    with client(fake.url, sleep=waits.append) as mcp:
        mcp.call_tool(TOOL, memory("a"))
    assert waits[0] == 7.0
    assert all(0 <= wait <= bound for wait, bound in zip(waits[1:], [0.5, 1.0, 2.0], strict=True))


def test_a_server_that_asks_for_an_hour_is_given_up(fake: FakeAkosha) -> None:
    fake.faults.append((429, {"Retry-After": "3600"}, b""))
    with client(fake.url) as mcp, pytest.raises(TransientAkoshaError, match="tried once") as caught:
        mcp.call_tool(TOOL, memory("a"))
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("fault", ["hang", "drip", "drip_headers"])
def test_a_deadline_ends_everything(fake: FakeAkosha, fault: str) -> None:
    fake.faults.extend([fault] * 5)
    started = time.monotonic()
    with (
        client(fake.url, deadline=1.0, call_timeout=0.5) as mcp,
        pytest.raises(AkoshaError, match=r"answer|time allowed"),
    ):
        mcp.call_tool(TOOL, memory("a"))
    assert time.monotonic() - started < 5


def test_the_connection_to_a_server_that_drips_is_cut(fake: FakeAkosha) -> None:
    fake.faults.extend(["drip_headers", None])
    with client(fake.url, call_timeout=0.3) as mcp:
        assert mcp.call_tool(TOOL, memory("a"))["stored"] == 1, "by a new connection"
        assert mcp.interruptions == 1
    time.sleep(0.2)
    seen = fake.dripped
    time.sleep(0.2)
    assert fake.dripped == seen, "nobody listens to it any more"
    assert not [each for each in threading.enumerate() if each.name == "akosha-snap within"]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
    with client(url) as mcp, pytest.raises(TransientAkoshaError, match=r"cannot be reached.*tried 5 times"):
        mcp.tools()
    assert not is_up(url)


def test_redirects_on_the_same_server(fake: FakeAkosha) -> None:
    with client(fake.url + "/") as mcp:
        mcp.call_tool(TOOL, memory("a"))
        before = mcp.requests
        mcp.call_tool(TOOL, memory("b"))
        assert mcp.requests == before + 1, "the new address is kept"


@pytest.mark.parametrize(("path", "said"), [("/elsewhere", "redirects to another server"), ("/loop", "without end")])
def test_other_redirects_are_refused(fake: FakeAkosha, path: str, said: str) -> None:
    url = fake.url.replace("/mcp", path)
    with client(url, token=SECRET) as mcp, pytest.raises(AkoshaError, match=said) as caught:
        mcp.tools()
    assert "hidden" not in str(caught.value)


HERE = "http://akosha.lan:8682/mcp"


@pytest.mark.parametrize(
    ("url", "location", "leads_to"),
    [
        (HERE, "/mcp/", "http://akosha.lan:8682/mcp/"),
        (HERE, "HTTP://AKOSHA.LAN:8682/other", "http://AKOSHA.LAN:8682/other"),
        (HERE, "https://akosha.lan:8682/mcp", "https://akosha.lan:8682/mcp"),
        (HERE, "https://akosha.lan/mcp", None),
        (HERE, "https://akosha.lan:8683/mcp", None),
        (HERE, "http://akosha.lan:8683/mcp", None),
        (HERE, "http://akosha.lan/mcp", None),
        (HERE, "http://other.lan:8682/mcp", None),
        (HERE, "//other.lan:8682/mcp", None),
        (HERE, "http://akosha.lan:99999/", None),
        (HERE, "http://akosha.lan:x/", None),
        (HERE, "http://[/", None),
        (HERE, "ftp://akosha.lan:8682/mcp", None),
        ("http://akosha.lan/mcp", "https://akosha.lan/mcp", "https://akosha.lan/mcp"),
        ("http://akosha.lan/mcp", "https://akosha.lan:444/mcp", None),
        ("https://akosha.lan/mcp", "http://akosha.lan/mcp", None),
        ("https://akosha.lan:8682/mcp", "http://akosha.lan:8682/mcp", None),
        ("https://akosha.lan/mcp", "https://akosha.lan:443/mcp/", "https://akosha.lan:443/mcp/"),
        ("http://me:pw@akosha.lan/mcp", "https://akosha.lan/mcp/", "https://me:pw@akosha.lan/mcp/"),
        ("http://akosha.lan/mcp", "https://you:pw@akosha.lan/mcp", "https://akosha.lan/mcp"),
    ],
)
def test_where_a_redirect_may_lead(url: str, location: str, leads_to: str | None) -> None:
    assert redirected(url, location) == leads_to


@pytest.mark.parametrize("location", ["http://127.0.0.1:99999/", "https://{host}:{another}/mcp", "http://[/"])
def test_a_redirect_that_is_refused_carries_no_token(fake: FakeAkosha, location: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as another:
        fake.elsewhere = location.format(host="127.0.0.1", another=another.getsockname()[1])
        url = fake.url.replace("/mcp", "/elsewhere")
        with client(url, token=SECRET) as mcp, pytest.raises(AkoshaError, match="redirects to another server"):
            mcp.tools()
        another.settimeout(0.05)
        with pytest.raises(TimeoutError):
            another.accept()


def test_the_token(fake: FakeAkosha) -> None:
    fake.token = SECRET
    with client(fake.url, token=SECRET) as mcp:
        assert mcp.tools()
    for token, said in (("wrong-" + SECRET, "refuses the token"), (None, "refuses a call without a token")):
        with client(fake.url, token=token) as mcp, pytest.raises(CredentialsError, match=said) as caught:
            mcp.tools()
        assert SECRET not in str(caught.value)


def test_no_error_holds_a_secret(fake: FakeAkosha) -> None:
    url = fake.url.replace("//", "//user:pa55word@")
    echo = f"you sent {SECRET} and pa55word".encode()
    for fault in [(400, {}, echo), (500, {}, echo), {"isError": True, "content": [{"text": echo.decode()}]}]:
        fake.faults.extend([fault] * 3)
        with client(url, token=SECRET, attempts=1) as mcp, pytest.raises(AkoshaError) as caught:
            mcp.call_tool(TOOL, memory("a"))
        assert SECRET not in repr(caught.value)
        assert "pa55word" not in repr(caught.value)
        fake.faults.clear()
    assert "pa55word" not in mcp.url
    with pytest.raises(ConfigError) as refused:
        client(fake.url, token="s3cr3t\nInjected: yes")
    assert "s3cr3t" not in str(refused.value)


def test_a_web_page_is_no_akosha(fake: FakeAkosha) -> None:
    fake.html = True
    with client(fake.url) as mcp, pytest.raises(AkoshaError, match="text/html, not with MCP"):
        mcp.tools()
    with client(fake.url + "/nothing") as mcp, pytest.raises(AkoshaError, match="no MCP server there"):
        mcp.tools()
    assert not is_up(fake.url)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (413, RequestTooLarge, "413"),
        (406, AkoshaError, "406"),
        ((400, {"Content-Type": "text/html"}, b"<html>"), AkoshaError, "a web page"),
        ((200, JSON, b"{not json"), AkoshaError, "not JSON"),
        ((200, JSON, b"[1]"), AkoshaError, "not JSON-RPC"),
        (
            (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"no gzip at all"),
            AkoshaError,
            "cannot be read",
        ),
        ((204, {}, b""), AkoshaError, "answered with nothing"),
        ({"content": []}, AkoshaError, "nonsense"),
        ({"isError": True, "content": [{"type": "text", "text": "bad\nthings"}]}, AkoshaError, "failed: bad things"),
        ({"isError": True}, AkoshaError, "does not say why"),
    ],
)
def test_answers_that_will_not_get_better(fake: FakeAkosha, fault: Any, kind: type[AkoshaError], said: str) -> None:
    fake.faults.append(fault)
    with client(fake.url) as mcp, pytest.raises(kind, match=said) as caught:
        mcp.call_tool(TOOL, memory("a"))
    assert not isinstance(caught.value, TransientAkoshaError)
    assert fake.methods().count("tools/call") == 1


def test_an_error_of_json_rpc(fake: FakeAkosha) -> None:
    body = b'{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"Invalid params"}}'
    fake.faults.append((200, JSON, body))
    with client(fake.url) as mcp, pytest.raises(AkoshaError, match="refused the call: Invalid params"):
        mcp.call_tool(TOOL, memory("a"))


@pytest.mark.parametrize("result", [{"result": {"stored": 1}}, {"stored": 1}])
def test_results_in_other_wrappings(fake: FakeAkosha, result: dict[str, Any]) -> None:
    fake.faults.extend([{"structuredContent": result}, {"content": [{"type": "text", "text": json.dumps(result)}]}])
    with client(fake.url) as mcp:
        assert mcp.call_tool(TOOL, memory("a")) == {"stored": 1}
        assert mcp.call_tool(TOOL, memory("a")) == {"stored": 1}


@pytest.mark.parametrize(
    "url", ["", "localhost:8682", "ftp://a/mcp", "http://", "http://a:x/", "http://a b/", "http://[/"]
)
def test_urls_that_cannot_be_right(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the URL of an Akosha server"):
        McpClient(url)
    assert not is_up(url)


def test_an_answer_without_end() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"data: " + b"x" * 1_000_000

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=endless())

    mcp = client("http://akosha/mcp", transport=httpx.MockTransport(answer))
    with mcp, pytest.raises(AkoshaError, match="does not end"):
        mcp.tools()


# --- is it there? -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("healthz", "expected"),
    [(200, True), (500, False), (503, False), *((other, True) for other in (None, 301, 401, 403, 405, 429, "html"))],
)
def test_is_up(fake: FakeAkosha, healthz: int | str | None, expected: bool) -> None:
    fake.healthz = healthz
    assert is_up(fake.url) is expected


def test_what_wants_a_token_is_up_and_healthz_never_gets_it(fake: FakeAkosha) -> None:
    fake.token, fake.healthz = SECRET, 401
    assert is_up(fake.url)
    assert is_up(fake.url, token=SECRET)
    assert is_up(fake.url, token="wrong"), "who sends is told that it is"
    fake.initialize_fault = (500, b"")
    assert not is_up(fake.url, token=SECRET)


def test_a_server_that_drips_is_not_up(fake: FakeAkosha) -> None:
    fake.healthz = "drip_headers"
    started = time.monotonic()
    assert not is_up(fake.url, timeout=0.3)
    assert time.monotonic() - started < 0.5
    time.sleep(0.2)
    assert not [each for each in threading.enumerate() if each.name == "akosha-snap within"]


def test_is_up_takes_no_longer_than_it_may() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert not is_up(f"http://127.0.0.1:{silent.getsockname()[1]}/mcp", timeout=0.3)
        assert time.monotonic() - started < 1.0
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.current_thread():
            thread.join(1)


@pytest.mark.parametrize("end", [", input_type=str]", ""])
def test_a_record_that_pydantic_quotes_is_cut_out(fake: FakeAkosha, end: str) -> None:
    text = f"1 validation error: wrong [type=x, input_value='MY-SECRET{' ' * 9}RECORD-TEXT'{end}"
    fake.faults.append({"isError": True, "content": [{"type": "text", "text": text}]})
    with client(fake.url) as mcp, pytest.raises(AkoshaError) as caught:
        mcp.call_tool(TOOL, memory("a"))
    assert f"1 validation error: wrong [type=x, input_value=…{end}" in str(caught.value)
    assert "RECORD" not in str(caught.value)
