"""Read many frames with few requests: neighbours in a pack come in one ranged read, the next ones ahead of time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from akosha_snap.errors import DamageError, ObjectNotFound
from akosha_snap.manifest.keys import pack_key
from akosha_snap.snapshot.ahead import ahead
from akosha_snap.snapshot.system import System

__all__ = ["Span", "fetch", "plan_reads"]

_MAX_READ = 16 * 1024 * 1024
"""Bytes of one read, unless a single frame is larger: with those ahead, the memory a restore holds."""

_MAX_GAP = 128 * 1024
"""Unwanted bytes worth reading to save a request: at 20 Mbit/s they take one 50 ms round trip."""

_AHEAD = 2 * _MAX_READ
"""Bytes asked for before they are wanted: two large reads, or many small ones, eight at a time."""

_PARALLEL = 8


class Span(NamedTuple):
    """A frame's bytes on the store: pack id, offset and length in bytes."""

    pack: bytes
    offset: int
    length: int

    @property
    def end(self) -> int:
        """One past the last byte."""
        return self.offset + self.length


def plan_reads(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Group spans, given in the order they are wanted, into reads of one pack each."""
    group: list[Span] = []
    for span in spans:
        if group:
            last = group[-1]
            gap = span.offset - last.end
            near = span.pack == last.pack and 0 <= gap <= _MAX_GAP
            if not near or span.end - group[0].offset > _MAX_READ:
                yield group
                group = []
        group.append(span)
    if group:
        yield group


def fetch(system: System, spans: Iterable[Span]) -> Iterator[memoryview | DamageError]:
    """The bytes of each span, in order; a DamageError in place of those that the store has lost.

    Reads run ahead in threads; at most a few times _MAX_READ bytes are held.
    """
    reads = ahead(lambda group: _read(system, group), plan_reads(spans), threads=_PARALLEL, limit=_AHEAD, weigh=_weigh)
    for group, data in reads:
        yield from _split(group, data)


def _weigh(group: list[Span]) -> int:
    return group[-1].end - group[0].offset


def _read(system: System, group: list[Span]) -> bytes | DamageError:
    start, end = group[0].offset, group[-1].end
    key = pack_key(system.id, group[0].pack)
    try:
        data = system.packs.read(group[0].pack, start, end - start)
    except ObjectNotFound:
        return DamageError(f"pack {key} is missing")
    if len(data) != end - start:
        return DamageError(f"pack {key} is cut short")
    return data


def _split(group: list[Span], data: bytes | DamageError) -> Iterator[memoryview | DamageError]:
    if isinstance(data, DamageError):
        yield from itertools.repeat(data, len(group))
        return
    view, start = memoryview(data), group[0].offset
    for span in group:
        yield view[span.offset - start : span.end - start]
