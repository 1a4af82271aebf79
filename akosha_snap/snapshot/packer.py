"""Fill packs and upload each when it is full, while the next one fills."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from akosha_snap.frames import Frame, PackBuilder
from akosha_snap.manifest.keys import pack_key
from akosha_snap.snapshot.inventory import Inventory, PackRef
from akosha_snap.snapshot.journal import Journal
from akosha_snap.snapshot.system import System

__all__ = ["PACK_TARGET", "Packer", "new_salt"]

PACK_TARGET = 16 * 1024 * 1024
"""Bytes of a full pack: the fewer packs, the fewer requests a restore takes. The format allows 32 MiB."""

_LARGE = 1_000_000_000
"""Bytes of files from which on packs are half as large: those that fill and are on their way then leave a
push of any size below 200 MB of memory (design-notes.md)."""

_IN_FLIGHT = 2


def new_salt() -> bytes:
    """8 bytes that no other push has: two pushes of the same chunks make packs of different ids."""
    return secrets.token_bytes(8)


class Packer:
    """Takes frames one by one; a context manager, whose end waits for uploads still on their way.

    `ref` is the pack at hand, `number` its number in the inventory once a chunk is in it.
    """

    def __init__(self, system: System, inventory: Inventory, journal: Journal, size: int, salt: bytes) -> None:
        """`size`: bytes of all files of the push; `salt`: bytes that no other push has."""
        self._system = system
        self._inventory = inventory
        self._journal = journal
        self._target = PACK_TARGET if size < _LARGE else PACK_TARGET // 2
        self._salt = salt
        self._builder = PackBuilder(salt)
        self.ref = PackRef()
        self.number: int | None = None
        self._uploads: deque[Future[None]] = deque()
        self._pool = ThreadPoolExecutor(_IN_FLIGHT)
        self.keys: list[str] = []
        self.packs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # a push that failed does nothing behind its caller's back; a Ctrl-C waits for nothing
        waits = kind is None or issubclass(kind, Exception)
        self._pool.shutdown(wait=waits, cancel_futures=kind is not None)

    def add(self, chunk: int, bases: Sequence[int], frame: Frame) -> None:
        """Put the frame of a chunk into the pack at hand, or into a new one where it has no room.

        `chunk` and `bases` are their numbers in the inventory, which learns of the place.
        """
        if not self.has_room(len(frame.stored)):
            self.flush()
        if self.number is None:
            self.number = self._inventory.new_pack(self.ref)
        offset = self._builder.add(frame)
        self._inventory.store(chunk, self.number, offset, len(frame.stored), frame.codec, bases)

    def add_list(self, frame: Frame) -> int:
        """Put the frame of a chunk list into the pack at hand, which has room; returns its offset in bytes."""
        return self._builder.add(frame, is_list=True)

    def has_room(self, stored_size: int) -> bool:
        """Whether a frame of `stored_size` bytes would go into the pack at hand, `ref`."""
        return self._builder.has_room(stored_size, self._target)

    def flush(self) -> None:
        """Finish the pack at hand, start its upload and begin a new one."""
        if not len(self._builder):
            return
        while len(self._uploads) >= _IN_FLIGHT:  # before `finish`, which holds the pack twice for a moment
            self._uploads.popleft().result()
        self.ref.id, data = self._builder.finish()
        self.ref.size = len(data)
        key = pack_key(self._system.id, self.ref.id)
        self.keys.append(key)
        self.packs += 1
        self._uploads.append(self._pool.submit(self._upload, key, self.ref.id, data))
        self._builder, self.ref, self.number = PackBuilder(self._salt), PackRef(), None

    def put_beside(self, marker: str) -> None:
        """Store a marker while packs are on their way; `finish` waits for it too."""
        self._uploads.append(self._pool.submit(self._system.store.put, marker, b""))
        self.keys.append(marker)

    def finish(self) -> None:
        """Upload what is left and wait until everything is stored. Raises what an upload raised."""
        self.flush()
        while self._uploads:
            self._uploads.popleft().result()

    def _upload(self, key: str, pack_id: bytes, data: bytes) -> None:
        self._journal.add(pack_id)  # ahead of the pack: killed in between, the next push looks for it in vain
        self._system.store.put(key, data)
