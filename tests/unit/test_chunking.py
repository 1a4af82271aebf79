"""Where files are cut. The vectors are part of the format: a change here re-uploads every store."""

from __future__ import annotations

import io

import pytest
from helpers import MIB, noise

from akosha_snap.chunking import V1, Grid, chunks
from akosha_snap.errors import AkoshaSnapError, SourceError

BLOCK = 262_144


def sizes(data: bytes, grid: Grid | None = None) -> list[int]:
    return [len(chunk.data) for chunk in chunks(io.BytesIO(data), len(data), grid)]


PLAIN_VECTOR = [
    98978,
    111538,
    56847,
    70422,
    67980,
    111919,
    53108,
    70200,
    125759,
    77913,
    39941,
    58605,
    41698,
    22623,
    41045,
]
GRID_VECTOR = [4096, 4096, 4096, 86690, 111538, 56847, 7069, 106578, 24755, 111919, 18892, 34216, 65784]


def test_golden_vector_of_a_plain_file():
    assert sizes(noise(MIB, "golden")) == PLAIN_VECTOR


def test_golden_vector_of_a_duckdb_file():
    assert sizes(noise(3 * 4096 + 2 * BLOCK + 100_000, "golden"), Grid(BLOCK)) == GRID_VECTOR


def test_golden_vector_of_what_has_no_structure():
    assert sizes(bytes(600_000)) == [BLOCK, BLOCK, 600_000 - 2 * BLOCK]


def test_sections_are_three_headers_then_blocks():
    assert list(Grid(BLOCK).sections(3 * 4096 + BLOCK + 5)) == [
        (0, 4096),
        (4096, 4096),
        (8192, 4096),
        (12288, BLOCK),
        (12288 + BLOCK, 5),
    ]


@pytest.mark.parametrize("size", [0, 1, 4096, 5000, 12288, 12289])
def test_sections_of_a_short_file_cover_it(size):
    assert sum(length for _, length in Grid(BLOCK).sections(size)) == size


@pytest.mark.parametrize("block", [16_384, BLOCK])
def test_a_grid_cuts_at_every_header_and_block(block):
    data = noise(3 * 4096 + 5 * block + 1000)
    starts = {chunk.offset for chunk in chunks(io.BytesIO(data), len(data), Grid(block))}
    assert {offset for offset, _ in Grid(block).sections(len(data))} <= starts


def test_a_changed_block_leaves_the_cuts_of_all_others():
    before = noise(3 * 4096 + 4 * BLOCK)
    start = 3 * 4096 + BLOCK
    after = before[:start] + noise(BLOCK, "other") + before[start + BLOCK :]

    def outside(data: bytes) -> list[tuple[int, int]]:
        found = chunks(io.BytesIO(data), len(data), Grid(BLOCK))
        return [(c.offset, len(c.data)) for c in found if not start <= c.offset < start + BLOCK]

    assert outside(before) == outside(after)


def test_an_empty_source_has_no_chunks():
    assert sizes(b"") == []


@pytest.mark.parametrize("grid", [None, Grid(BLOCK)])
def test_a_source_that_ends_early_is_refused(grid):
    with pytest.raises(SourceError, match="1000 bytes early"):
        list(chunks(io.BytesIO(noise(99_000)), 100_000, grid))


def test_only_size_bytes_are_read():
    source = io.BytesIO(noise(200_000))
    assert sum(len(chunk.data) for chunk in chunks(source, 150_000)) == 150_000
    assert source.tell() == 150_000


def test_sizes_stay_within_bounds_and_near_the_average():
    found = sizes(noise(9 * MIB))
    assert all(V1.min_size <= size <= V1.max_size for size in found[:-1])
    assert 0 < found[-1] <= V1.max_size
    assert 0.5 * V1.avg_size < sum(found) / len(found) < 2 * V1.avg_size


def test_the_slow_fallback_of_pyfastcdc_is_refused(monkeypatch):
    import pyfastcdc
    from pyfastcdc.py.fastcdc import FastCDC

    monkeypatch.setattr(pyfastcdc, "FastCDC", FastCDC)
    with pytest.raises(AkoshaSnapError, match="without its compiled part") as caught:
        sizes(b"x" * 100_000)
    assert "--only-binary" in caught.value.hint
