"""Chunks that later frames need as bases: in memory for a while, on disk after that, gone after their last use."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import BinaryIO

__all__ = ["KeptChunks"]

_IN_MEMORY = 16 * 1024 * 1024
"""Bytes. Twice as much takes the same time, half as much has 64 sessions of 100 MB write 155 MB to disk."""


class KeptChunks:
    """Keeps what was decoded for those that need it, by frame; memory is bounded."""

    def __init__(self, frames: Iterable[int], bases: Sequence[Sequence[int]], spill: BinaryIO) -> None:
        """`bases[i]` are those of frame i; `spill` takes chunks that have no other place on disk."""
        self._uses = array("I", bytes(array("I").itemsize * len(bases)))
        for i in frames:
            for base in bases[i]:
                self._uses[base] += 1
        self._spill = spill
        self._spilled: dict[int, int] = {}
        self._end = 0
        self._recent: OrderedDict[int, tuple[bytes, bool]] = OrderedDict()
        self._size = 0

    def put(self, i: int, chunk: bytes, *, is_elsewhere: bool) -> None:
        """Keep a chunk as long as it is needed; one that `is_elsewhere` on disk only while there is room."""
        if not self._uses[i]:
            return
        self._recent[i] = chunk, is_elsewhere
        self._size += len(chunk)
        while self._size > _IN_MEMORY:
            old, (data, can_go) = self._recent.popitem(last=False)
            self._size -= len(data)
            if not can_go:
                self._spilled[old] = self._spill.seek(self._end)
                self._end += self._spill.write(data)

    def take(self, i: int, size: int) -> bytes | None:
        """A chunk of `size` bytes for one of those that need it; None where it is elsewhere."""
        self._uses[i] -= 1
        if i in self._recent:
            chunk, _ = self._recent[i]
            if not self._uses[i]:
                del self._recent[i]
                self._size -= len(chunk)
            return chunk
        if i not in self._spilled:
            return None
        self._spill.seek(self._spilled[i])
        return self._spill.read(size)
