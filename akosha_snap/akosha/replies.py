"""Reading the answer to a JSON-RPC request, sent as JSON or as a stream of server-sent events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from akosha_snap.errors import AkoshaError

__all__ = ["MAX_REPLY", "JsonRpcError", "event_data", "find_reply", "limited"]

MAX_REPLY = 64 * 1024 * 1024
"""Bytes of an answer that are read; the largest that Akosha gives lists 1,000 errors."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


class JsonRpcError(AkoshaError):
    """The server understood the request and refused it."""


def limited(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces; raises AkoshaError once there are more than MAX_REPLY bytes of them."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_REPLY:
            raise AkoshaError("Akosha's answer does not end", hint="check that AKOSHA_URL is that of an Akosha server")
        yield piece


def event_data(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each event of a stream (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    data: list[bytes] = []
    for line in _lines(pieces):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    # an event without a blank line after it was cut off, and is none


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    parts: list[bytes] = []
    for piece in pieces:
        if not (b"\n" in piece or b"\r" in piece or (parts and parts[-1].endswith(b"\r"))):
            parts.append(piece)  # part of a long line: joined once, at its end
            continue
        text = b"".join([*parts, piece])
        held = text.endswith(b"\r")  # its \n may be in the next piece
        *lines, rest = _LINE_END.split(text[:-1] if held else text)
        yield from lines
        parts = [rest + b"\r"] if held else [rest] if rest else []


def find_reply(data: bytes, request_id: int) -> tuple[bool, Any]:
    """Whether `data` holds the answer to this request, and its result.

    Notifications and requests of the server's own are passed over. Raises JsonRpcError
    for an error, AkoshaError for what is not JSON-RPC.
    """
    try:
        message = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise AkoshaError("Akosha answered with something that is not JSON", hint="check AKOSHA_URL") from None
    for each in message if isinstance(message, list) else [message]:
        if not isinstance(each, dict):
            raise AkoshaError("Akosha answered with something that is not JSON-RPC", hint="check AKOSHA_URL")
        if each.get("id") == request_id and "method" not in each:
            if "error" in each:
                error = each["error"]
                said = error.get("message", error) if isinstance(error, dict) else error
                raise JsonRpcError(f"Akosha refused the call: {str(said)[:300]}")
            return True, each.get("result")
    return False, None
