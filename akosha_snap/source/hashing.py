"""The hashes of a database's copy, made beside the copying: whoever stores it need not read it again.

On two cores SHA-256 (0.77 s a GiB), both BLAKE3s (0.44) and the copying with its checksums (0.5) take the time of the
first alone (docs/design-notes.md).
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from blake3 import blake3

from akosha_snap.source.files import PIECE
from akosha_snap.source.header import BLOCKS_START, HEADER_SIZE
from akosha_snap.source.model import Hashes

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Hasher", "hash_copy"]

_WAITING = 2
"""Pieces that wait to be hashed at most, 8 MiB: enough that no thread waits for another's next one."""


class Hasher:
    """Hashes a DuckDB file that is handed over from front to back; a context manager, which ends its threads."""

    def __init__(self, block_size: int) -> None:
        """`block_size` in bytes."""
        import hashlib  # here, because the child that counts needs neither
        from concurrent.futures import ThreadPoolExecutor

        self._block_size, self._section = block_size, HEADER_SIZE
        self._sha256, self._blake3, self._sections = hashlib.sha256(), blake3(), bytearray()
        self._pools = ThreadPoolExecutor(1), ThreadPoolExecutor(1)  # one thread each: the pieces stay in order
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)

    def update(self, piece: bytes) -> None:
        """Go on with `piece`: first all three headers, then whole blocks, but for the last piece. Waits its turn."""
        self._under_way.append(self._pools[0].submit(self._sha256.update, piece))
        self._under_way.append(self._pools[1].submit(self._update_blake3, piece, self._section))
        self._section = self._block_size
        while len(self._under_way) > 2 * _WAITING:
            self._under_way.popleft().result()

    def _update_blake3(self, piece: bytes, section: int) -> None:
        self._blake3.update(piece)
        view = memoryview(piece)
        for start in range(0, len(piece), section):
            self._sections += blake3(view[start : start + section]).digest()

    def finish(self) -> Hashes:
        """The hashes of all pieces together."""
        while self._under_way:
            self._under_way.popleft().result()
        return Hashes(self._blake3.digest(), self._sha256.hexdigest(), bytes(self._sections))


def hash_copy(copy: BinaryIO, block_size: int) -> Hashes:
    """The same of a file that is there already, open for reading; `block_size` in bytes."""
    copy.seek(0)
    with Hasher(block_size) as hasher:
        hasher.update(copy.read(BLOCKS_START))
        while piece := copy.read(max(1, PIECE // block_size) * block_size):
            hasher.update(piece)
        return hasher.finish()
