"""A counting proxy in front of an S3 server: every byte passes as it is, both ways, and is counted.

The Host header passes too, so that a client's signature (of the proxy's own address) holds. It can make
the line slow: so many Mbit/s each way, so many milliseconds before each request.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Iterator

from benchmarks.framing import RequestFraming

__all__ = ["Proxy", "Shape", "Traffic", "running_proxy"]

_PIECE = 1 << 18
_SHAPED_PIECE = 1 << 14


@dataclasses.dataclass(frozen=True)
class Shape:
    """How slow the line is: 0 is as fast as it goes."""

    megabits: float = 0.0
    latency: float = 0.0
    """Milliseconds before each request is passed on."""


@dataclasses.dataclass
class Traffic:
    """What went over the wire, heads and bodies."""

    up: int = 0
    down: int = 0
    connections: int = 0
    requests: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def copy(self) -> Traffic:
        """As it is now."""
        return Traffic(self.up, self.down, self.connections, collections.Counter(self.requests))

    def since(self, before: Traffic) -> Traffic:
        """What has been added since."""
        return Traffic(
            self.up - before.up,
            self.down - before.down,
            self.connections - before.connections,
            self.requests - before.requests,
        )


class _Line:
    """One direction of the line, shared by all connections."""

    def __init__(self, megabits: float) -> None:
        self._seconds_per_byte = 8 / (megabits * 1e6) if megabits else 0.0
        self._free_at = 0.0

    async def carry(self, size: int) -> None:
        if self._seconds_per_byte:
            self._free_at = max(self._free_at, time.monotonic()) + size * self._seconds_per_byte
            await asyncio.sleep(max(0.0, self._free_at - time.monotonic()))


class Proxy:
    """Listens on 127.0.0.1 and passes everything on to `port` there."""

    def __init__(self, port: int, shape: Shape) -> None:
        self.traffic = Traffic()
        self.endpoint = ""
        self._port = port
        self._shape = shape
        self._piece = _SHAPED_PIECE if shape.megabits else _PIECE
        self._up, self._down = _Line(shape.megabits), _Line(shape.megabits)

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Until told to stop."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2 * _PIECE)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        server.close()
        await asyncio.sleep(0.01)  # a connection just accepted gets to its `finally` only once it has begun
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.connections += 1
        writers = [writer]
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port, limit=2 * _PIECE)
            writers.append(to_server)
            await self._pass_on(reader, to_server, from_server, writer)
        except OSError:
            pass  # the server does not listen: the client sees its connection closed
        finally:
            for each in writers:
                each.close()
            await asyncio.gather(*(each.wait_closed() for each in writers), return_exceptions=True)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        framing = RequestFraming()
        _no_delay(writer)
        _no_delay(to_server)
        up = asyncio.create_task(self._upwards(reader, to_server, framing))
        down = asyncio.create_task(self._downwards(from_server, writer, framing))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if up.done() and not down.done():  # the client has said all: let the server finish
                await asyncio.wait({down}, timeout=10)
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)

    async def _upwards(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framing: RequestFraming
    ) -> None:
        while data := await reader.read(self._piece):
            found = framing.feed(data)
            self.traffic.requests.update(method for _, method in found)
            self.traffic.up += len(data)
            if found and self._shape.latency:
                await asyncio.sleep(len(found) * self._shape.latency / 1000)
            await self._up.carry(len(data))
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _downwards(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framing: RequestFraming
    ) -> None:
        while data := await reader.read(self._piece):
            framing.answered(data)
            self.traffic.down += len(data)
            await self._down.carry(len(data))
            writer.write(data)
            await writer.drain()


def _no_delay(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextlib.contextmanager
def running_proxy(port: int, shape: Shape | None = None) -> Iterator[Proxy]:
    """A proxy in a thread of its own, in front of what listens on `port`."""
    proxy, ready = Proxy(port, shape or Shape()), threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        loop.run_until_complete(proxy.serve(ready, stop))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the proxy did not start")
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
