"""A small MCP server of our own that speaks as Akosha's does and fails as told, on loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FakeAkosha", "running_fake"]

MAX_BODY = 4_194_304
BATCH_TOOL = "batch_store_memories"


class FakeAkosha:
    """What the server holds, what it was asked, and the faults that its next answers to tools/call have.

    A fault is a status such as `500`, or `(status, headers, body)`, or the name of one:
    `drop` (the connection ends before anything is done), `lose` (all is done, the answer is lost), `cut`
    (half an answer), `hang`, `drip` (a byte of the answer now and then), `drip_headers` (of its headers),
    `restart` (everything is forgotten, then as usual), `forget_session`, or a dict, the result of the
    tool. None answers as usual.
    """

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.sessions: set[str] = set()
        self.faults: deque[Any] = deque()
        self.tools = [BATCH_TOOL, "store_memory"]
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.calls: list[tuple[str, Any]] = []
        self.sse = True
        self.healthz: int | str | None = 200  # or "html", or "drip_headers"
        self.html = False
        self.token: str | None = None
        self.max_body = MAX_BODY
        self.initialize_fault: Any = None
        self.elsewhere = "http://127.0.0.2:1/mcp?token=hidden"
        self.dripped = 0
        self.url = ""

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.asked]

    def restart(self) -> None:
        """As a restart does: the hot store is in memory."""
        self.stored.clear()
        self.sessions.clear()

    def tool(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((name, arguments))
        if name not in self.tools:
            return {"isError": True, "content": [{"type": "text", "text": f"Unknown tool: {name!r}"}]}
        result = self._batch(arguments["memories"]) if name == BATCH_TOOL else {"status": "created"}
        return {
            "content": [{"type": "text", "text": json.dumps(result)}],
            "structuredContent": result,
            "isError": False,
        }

    def _batch(self, memories: list[dict[str, Any]]) -> dict[str, Any]:
        if len(memories) > 1000:
            return {
                "status": "failed", "total": len(memories), "stored": 0, "failed": len(memories),
                "error": "Batch size exceeds maximum of 1000 memories",
            }  # fmt: skip
        errors = []
        for memory in memories:
            key = memory["memory_id"]
            if key in self.stored:
                why = f'Constraint Error: Duplicate key "conversation_id: {key}" violates primary key constraint.'
                errors.append({"memory_id": key, "error": why})
            elif len(memory.get("embedding") or []) != 384 or "refuse" in memory["text"]:
                errors.append({"memory_id": key, "error": "Embedding is required"})
            else:
                self.stored[key] = memory
        failed, total = len(errors), len(memories)
        status = "completed" if not failed else "partial" if failed < total else "failed"
        return {"status": status, "total": total, "stored": total - failed, "failed": failed, "errors": errors}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeAkosha

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        if self.path == "/healthz" and self.fake.healthz:
            if self.fake.healthz == "drip_headers":
                return self._drip_headers()
            if self.fake.html or self.fake.healthz == "html":
                return self._reply(200, b"<html>hello</html>", {"Content-Type": "text/html"})
            return self._reply(self.fake.healthz, b'{"status":"ok"}')
        return self._reply(404, b"Not Found")

    def do_DELETE(self) -> None:
        self.fake.sessions.discard(self.headers.get("Mcp-Session-Id", ""))
        self.fake.asked.append(("DELETE", dict(self.headers), None))
        self._reply(200, b"")

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if length > self.fake.max_body:
            self.rfile.read(length)
            return self._reply(413, b"Request body too large", {"Content-Type": "text/plain"})
        message = json.loads(self.rfile.read(length))
        fake, method = self.fake, message["method"]
        fake.asked.append((method, dict(self.headers), message))
        if self.path == "/mcp/":
            return self._reply(307, b"", {"Location": "/mcp"})
        if self.path == "/elsewhere":
            return self._reply(307, b"", {"Location": fake.elsewhere})
        if self.path == "/loop":
            return self._reply(308, b"", {"Location": "/loop"})
        if self.path != "/mcp":
            return self._reply(404, b"Not Found")
        if fake.html:
            return self._reply(200, b"<html>hello</html>", {"Content-Type": "text/html"})
        if fake.token and self.headers.get("Authorization") != f"Bearer {fake.token}":
            return self._reply(401, f"no: {self.headers.get('Authorization')}".encode())
        if "text/event-stream" not in self.headers.get("Accept", ""):
            return self._reply(406, b"Not Acceptable")
        if method == "initialize":
            if fake.initialize_fault is not None:
                return self._reply(*fake.initialize_fault)
            session = uuid.uuid4().hex
            fake.sessions.add(session)
            result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "fake"}}
            return self._answer(message, result, {"Mcp-Session-Id": session})
        if self.headers.get("Mcp-Session-Id") not in fake.sessions:
            return self._reply(404, b'{"error":"Session not found"}')
        if method == "notifications/initialized":
            return self._reply(202, b"")
        if method == "tools/list":
            half = len(fake.tools) // 2
            first = "cursor" not in message["params"]
            names = fake.tools[:half] if first else fake.tools[half:]
            result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}
            return self._answer(message, result | ({"nextCursor": "2"} if first else {}))
        return self._tool(message)

    def _tool(self, message: dict[str, Any]) -> None:
        fault = self.fake.faults.popleft() if self.fake.faults else None
        if isinstance(fault, int):
            return self._reply(fault, b"a fault")
        if isinstance(fault, tuple):
            return self._reply(fault[0], fault[2], fault[1])
        if isinstance(fault, dict):
            return self._answer(message, fault)
        if fault == "drip_headers":
            return self._drip_headers()
        if fault == "drop":
            return self._hang_up()
        if fault == "hang":
            time.sleep(3)
            return self._hang_up()
        if fault == "restart":
            self.fake.restart()
            return self._reply(404, b'{"error":"Session not found"}')
        if fault == "forget_session":
            self.fake.sessions.clear()
            return self._reply(400, b'{"error":"Bad Request: no valid session ID"}')
        result = self.fake.tool(message["params"]["name"], message["params"]["arguments"])
        if fault == "lose":
            return self._hang_up()
        if fault in {"cut", "drip"}:
            self._head(200, {"Content-Type": "text/event-stream", "Content-Length": "1000000"})
            for _ in range(40 if fault == "drip" else 1):
                with contextlib.suppress(OSError):
                    self.wfile.write(b": ping\n")
                    time.sleep(0.1 if fault == "drip" else 0)
            return self._hang_up()
        return self._answer(message, result)

    def _answer(self, message: dict[str, Any], result: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        if not self.fake.sse:
            return self._reply(200, data, {"Content-Type": "application/json", **(headers or {})})
        note = b'event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\r\n\r\n'
        body = note + b": ping\n\nevent: message\ndata: " + data + b"\n\n"
        return self._reply(200, body, {"Content-Type": "text/event-stream; charset=utf-8", **(headers or {})})

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        with contextlib.suppress(OSError):
            self._head(status, {"Content-Length": str(len(body)), **(headers or {})})
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _drip_headers(self) -> None:
        """A byte of a header every 50 ms, for 4 s or until nobody listens."""
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            for _ in range(80):
                self.wfile.write(b"x")
                self.fake.dripped += 1
                time.sleep(0.05)
        return self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None: ...


@contextlib.contextmanager
def running_fake(port: int = 0) -> Iterator[FakeAkosha]:
    """A fake Akosha that listens until the block is left."""
    fake = FakeAkosha()
    handler = type("Handler", (_Handler,), {"fake": fake})
    with _Server(("127.0.0.1", port), handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
