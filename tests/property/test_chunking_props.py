"""Cut points depend on the bytes alone."""

from __future__ import annotations

import io
import itertools

from helpers import MIB, noise, profile
from hypothesis import example, given
from hypothesis import strategies as st
from pyfastcdc import FastCDC

from akosha_snap.chunking import V1, Grid, chunks


class Dribble:
    """A source whose reads return as many bytes as the script says, never more than asked for."""

    def __init__(self, data: bytes, script: list[int]) -> None:
        self._source = io.BytesIO(data)
        self._steps = itertools.cycle(script)

    def read(self, size: int, /) -> bytes:
        return self._source.read(min(size, next(self._steps)))


@st.composite
def contents(draw) -> bytes:
    """Noise and runs of one byte: content with cut points, and content without any."""
    pieces = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 3 * MIB)), min_size=1, max_size=4))
    return b"".join(noise(size, i) if busy else bytes(size) for i, (busy, size) in enumerate(pieces))


grids = st.none() | st.sampled_from([2048, 16_384, 262_144]).map(Grid)


@profile(40)
@given(contents(), st.lists(st.integers(1, 100_000), min_size=1, max_size=20), grids)
def test_boundaries_do_not_depend_on_read_sizes(data, script, grid):
    whole = list(chunks(io.BytesIO(data), len(data), grid))
    dribbled = list(chunks(Dribble(data, [max(step, len(data) // 2000) for step in script]), len(data), grid))
    assert [(c.offset, len(c.data)) for c in dribbled] == [(c.offset, len(c.data)) for c in whole]


@profile(40)
@given(contents())
@example(noise(9 * MIB))
@example(noise(5 * MIB) + bytes(5 * MIB))
def test_streaming_cuts_as_fastcdc_does_on_the_whole(data):
    cutter = FastCDC(
        V1.avg_size, min_size=V1.min_size, max_size=V1.max_size, normalized_chunking=V1.normalization, seed=V1.seed
    )
    expected = [(piece.offset, piece.length) for piece in cutter.cut_buf(data)] if data else []
    assert [(c.offset, len(c.data)) for c in chunks(io.BytesIO(data), len(data))] == expected


@profile(40)
@given(contents(), grids)
def test_chunks_are_the_source_in_order_without_gaps(data, grid):
    found = list(chunks(io.BytesIO(data), len(data), grid))
    assert b"".join(c.data for c in found) == data
    assert [c.offset for c in found] == list(itertools.accumulate((len(c.data) for c in found), initial=0))[:-1]
    assert all(0 < len(c.data) <= V1.max_size for c in found)
