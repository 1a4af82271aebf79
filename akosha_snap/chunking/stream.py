"""Cut a stream of bytes into chunks, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from akosha_snap.chunking.grid import Grid
from akosha_snap.chunking.params import V1, ChunkerParams
from akosha_snap.errors import AkoshaSnapError, SourceError

if TYPE_CHECKING:
    from pyfastcdc import FastCDC

__all__ = ["Chunk", "Readable", "chunks", "cut", "make_cutter"]

_WINDOW = 4 * 1024 * 1024
"""Bytes looked at together in a stream without a grid: many chunks, little memory."""


class Readable(Protocol):
    """What `chunks` reads from: a binary file, say."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; fewer is fine, none means the end."""
        ...


class Chunk(NamedTuple):
    """A run of bytes of the source: its offset there and the bytes themselves."""

    offset: int
    data: memoryview


def chunks(source: Readable, size: int, grid: Grid | None = None, params: ChunkerParams = V1) -> Iterator[Chunk]:
    """Cut `size` bytes of `source` into chunks, in order and without gaps.

    The cut points depend on the bytes alone, never on how many `read` returns at a
    time. With a `grid`, every section of it is cut on its own. Raises SourceError
    where the source ends before `size`.
    """
    cutter = make_cutter(params)
    if grid is None:
        yield from _free(cutter, source, size, params.max_size)
        return
    for offset, length in grid.sections(size):
        yield from cut(cutter, _read_exactly(source, length), offset)


def make_cutter(params: ChunkerParams) -> FastCDC:
    """FastCDC with these parameters; not to be shared between threads. Raises AkoshaSnapError without pyfastcdc."""
    from pyfastcdc import FastCDC

    if not FastCDC.__module__.startswith("pyfastcdc.cy"):
        # Its pure-Python fallback runs at 4 MB/s where the compiled one does 1,800.
        raise AkoshaSnapError(
            "pyfastcdc is installed without its compiled part, too slow to be of use",
            hint="run: pip install --force-reinstall --only-binary=:all: pyfastcdc",
        )
    return FastCDC(
        params.avg_size,
        min_size=params.min_size,
        max_size=params.max_size,
        normalized_chunking=params.normalization,  # type: ignore[arg-type]
        seed=params.seed,
    )


def cut(cutter: FastCDC, data: bytes, offset: int) -> Iterator[Chunk]:
    """Cut the bytes of one section, which lies at `offset`, with a cutter from `make_cutter`."""
    view = memoryview(data)
    for piece in cutter.cut_buf(data):
        yield Chunk(offset + piece.offset, view[piece.offset : piece.offset + piece.length])


def _free(cutter: FastCDC, source: Readable, size: int, max_size: int) -> Iterator[Chunk]:
    """FastCDC starts afresh at each cut, so a window that begins at a cut gives the cuts of the whole.

    A cut is certain when the window reaches `max_size` past the chunk's start.
    """
    offset, carried = 0, b""
    while offset < size:
        wanted = min(max(_WINDOW, 2 * max_size), size - offset)
        window = carried + _read_exactly(source, wanted - len(carried))
        last = offset + wanted == size
        done = 0
        for chunk in cut(cutter, window, offset):
            if not last and wanted - done < max_size:
                break
            done += len(chunk.data)
            yield chunk
        carried = window[done:]
        offset += done


def _read_exactly(source: Readable, length: int) -> bytes:
    data = source.read(length)
    if len(data) == length:
        return data
    parts = [data]
    missing = length - len(data)
    while missing:
        if not (data := source.read(missing)):
            raise SourceError(f"the source ended {missing} bytes early", hint="it changed while it was read: run again")
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
