"""Where HTTP/1.1 requests begin and end in a stream of bytes that is looked at but never changed."""

from __future__ import annotations

__all__ = ["RequestFraming"]

_HEAD_LIMIT = 1 << 20


class RequestFraming:
    """Fed what a client sends, in pieces of any size; tells of each request when its head is complete.

    Knows Content-Length, chunked bodies and Expect: 100-continue: a client told something else than to
    go on may send its next request instead of the body it announced.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._chunked = False
        self._trailer = False
        self._waiting = False

    def feed(self, data: bytes) -> list[tuple[int, str]]:
        """Each request whose head ends in `data`: where its head ended, and its method."""
        found: list[tuple[int, str]] = []
        position = 0
        while position < len(data):
            if self._left:
                self._waiting = False
                taken = min(self._left, len(data) - position)
                self._left -= taken
                position += taken
                continue
            position = self._line(data, position, found)
        return found

    def answered(self, data: bytes) -> None:
        """What the server said first to a client that waits to be told to go on."""
        if self._waiting and not data.startswith((b"HTTP/1.1 100", b"HTTP/1.0 100")):
            self._left, self._chunked = 0, False
        self._waiting = False

    def _line(self, data: bytes, position: int, found: list[tuple[int, str]]) -> int:
        """Take one line, of a head or of a chunked body's own framing; returns where it ended."""
        end = data.find(b"\n", position)
        end = len(data) if end < 0 else end + 1
        self._head += data[position:end]
        if len(self._head) > _HEAD_LIMIT:
            raise ValueError("a request head of more than 1 MiB")
        if self._chunked:
            if self._head.endswith(b"\n"):
                self._waiting = False
                self._chunk(bytes(self._head).strip())
                self._head.clear()
        elif self._head.endswith((b"\r\n\r\n", b"\n\n")):
            found.append((end, self._begin(bytes(self._head))))
            self._head.clear()
        return end

    def _begin(self, head: bytes) -> str:
        first, *lines = head.strip().decode("latin-1").splitlines()
        parts = (line.lower().partition(":") for line in lines)
        fields = {name.strip(): value.strip() for name, _, value in parts}
        self._chunked = "chunked" in fields.get("transfer-encoding", "")
        self._left = 0 if self._chunked else int(fields.get("content-length", "0"))
        self._waiting = fields.get("expect") == "100-continue"
        return first.split(" ", 1)[0]

    def _chunk(self, line: bytes) -> None:
        if self._trailer:
            if not line:
                self._trailer = self._chunked = False
            return
        if not line:
            return  # the line end after a chunk's bytes
        size = int(line.split(b";")[0], 16)
        self._left = size
        self._trailer = size == 0
