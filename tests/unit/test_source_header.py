"""Headers, checksums and free lists, read from files of DuckDB 1.4, 1.5 and 2.0."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akosha_snap.errors import AkoshaSnapError, SourceError
from akosha_snap.source.checksum import checksum, failing_blocks
from akosha_snap.source.freelist import FreeListFault, read_free_blocks
from akosha_snap.source.header import (
    BLOCKS_START,
    HEADER_SIZE,
    NEWEST_KNOWN_STORAGE,
    DatabaseHeader,
    is_duckdb,
    parse_headers,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "duckdb"
READABLE = [version for version in ("v1_4", "v1_5", "v2_0") if version < "v2" or duckdb.__version__ >= "2"]
"""The fixtures that the installed DuckDB can open: 2.0 reads all of them, 1.x not those of 2.0."""
NATIVE = READABLE[-1]
CLOSED = [("v1_4", 64, 15, 3), ("v1_5", 64, 19, 3), ("v2_0", 69, 13, 3)]
"""Version, storage version, and what PRAGMA database_size said of blocks and free blocks."""


def seal(raw: bytearray, header: int) -> None:
    """Give a changed header the checksum it should have."""
    start = header * HEADER_SIZE
    struct.pack_into("<Q", raw, start, checksum(bytes(raw[start + 8 : start + HEADER_SIZE])))


@pytest.fixture
def raw() -> bytearray:
    return bytearray((FIXTURES / "v2_0_closed.duckdb").read_bytes()[:BLOCKS_START])


@pytest.mark.parametrize(("version", "storage", "blocks", "free"), CLOSED)
def test_real_files(version: str, storage: int, blocks: int, free: int) -> None:
    data = (FIXTURES / f"{version}_closed.duckdb").read_bytes()
    assert is_duckdb(data[:12])
    headers = parse_headers(data[:BLOCKS_START])
    assert headers.current
    assert (headers.storage, headers.failing, headers.newer) == (storage, (), False)
    assert (headers.current.block_size, headers.current.block_count) == (16384, blocks)
    assert any(headers.identifier) == (storage > 66)
    assert failing_blocks(memoryview(data)[BLOCKS_START:], 16384) == []
    assert len(read_free_blocks(io.BytesIO(data), headers.current, [])) == free


def test_free_list_agrees_with_duckdb(tmp_path: Path) -> None:
    path = tmp_path / "churned.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS churned (BLOCK_SIZE 16384)")
        connection.execute(
            "CREATE TABLE churned.a AS SELECT range i, hash(range) h, md5(range::VARCHAR) s FROM range(90000)"
        )
        connection.execute("CHECKPOINT churned")
        connection.execute("CREATE TABLE churned.b AS SELECT hash(range) h FROM range(20000)")
        connection.execute("CHECKPOINT churned")
        connection.execute("DROP TABLE churned.a")
        connection.execute("CHECKPOINT churned")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS churned (READ_ONLY)")
        row = connection.execute(
            "SELECT block_size, total_blocks, free_blocks FROM pragma_database_size() WHERE database_name = 'churned'"
        ).fetchone()
    with path.open("rb") as file:
        current = parse_headers(file.read(BLOCKS_START)).current
        assert current
        free = read_free_blocks(file, current, [])
    assert row == (current.block_size, current.block_count, len(free))
    assert len(free) > 31  # more than one metadata piece of a small block holds: the chain was followed


def test_checksum_in_pieces_and_with_a_tail() -> None:
    data = bytes(range(256)) * 3 + b"tail!"
    assert checksum(data[512:], checksum(data[:512])) == checksum(data)
    # DuckDB's own: the flush entry of every WAL, five bytes with this stored checksum
    assert checksum(bytes.fromhex("640064ffff")) == 0x5E3DED2F727DFEE7
    assert checksum(b"") == 5381


def test_current_is_the_higher_iteration_that_holds(raw: bytearray) -> None:
    first, second = (struct.unpack_from("<Q", raw, start + 8)[0] for start in (4096, 8192))
    current = parse_headers(bytes(raw)).current
    assert current
    assert current.iteration == max(first, second)
    raw[(4096 if first > second else 8192) + 100] ^= 1
    headers = parse_headers(bytes(raw))
    assert headers.current
    assert headers.current.iteration == min(first, second)
    assert headers.failing == (4096 if first > second else 8192,)


def test_equal_iterations_mean_the_second(raw: bytearray) -> None:
    for header, count in [(1, 7), (2, 8)]:
        struct.pack_into("<Q", raw, header * HEADER_SIZE + 8, 5)
        struct.pack_into("<Q", raw, header * HEADER_SIZE + 32, count)
        seal(raw, header)
    current = parse_headers(bytes(raw)).current
    assert current
    assert current.block_count == 8


def test_block_size_zero_is_the_default(raw: bytearray) -> None:
    for header in (1, 2):
        struct.pack_into("<Q", raw, header * HEADER_SIZE + 40, 0)
        seal(raw, header)
    current = parse_headers(bytes(raw)).current
    assert current
    assert current.block_size == 262144


def test_newer_storage_is_newer(raw: bytearray) -> None:
    for header in (1, 2):
        struct.pack_into("<Q", raw, header * HEADER_SIZE + 56, NEWEST_KNOWN_STORAGE + 1)
        seal(raw, header)
    assert parse_headers(bytes(raw)).newer


@pytest.mark.parametrize(
    ("header", "offset", "value", "said"),
    [(0, 12, 51, "older"), (0, 20, 1, "encrypted"), (0, 8, 0, "does not say DUCK"), (1, 40, 12345, "not understood")],
)
def test_refused(raw: bytearray, header: int, offset: int, value: int, said: str) -> None:
    struct.pack_into("<Q", raw, header * HEADER_SIZE + offset, value)
    seal(raw, header)
    with pytest.raises(SourceError, match=said):
        parse_headers(bytes(raw))


@pytest.mark.parametrize("version", ["v1_5", "v2_0"])
def test_really_encrypted(version: str) -> None:
    with pytest.raises(SourceError, match="encrypted"):
        parse_headers((FIXTURES / f"{version}_encrypted.duckdb").read_bytes()[:BLOCKS_START])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=BLOCKS_START + 10), st.booleans())
def test_arbitrary_bytes_as_headers(data: bytes, sealed: bool) -> None:
    raw = bytearray(data.ljust(BLOCKS_START, b"\0"))
    if sealed:
        for header in range(3):
            seal(raw, header)
    for candidate in (bytes(data), bytes(raw)):
        with contextlib.suppress(AkoshaSnapError):
            parse_headers(candidate)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40000), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_arbitrary_bytes_as_free_list(data: bytes, pointer: int, count: int) -> None:
    for at in (pointer, pointer & 0x3F00000000000001):
        with contextlib.suppress(FreeListFault):
            read_free_blocks(io.BytesIO(data), DatabaseHeader(1, at, count, 16384), [])


def test_a_free_list_that_loops_or_lies_in_a_failing_block() -> None:
    data = (FIXTURES / "v2_0_closed.duckdb").read_bytes()
    current = parse_headers(data[:BLOCKS_START]).current
    assert current
    block, piece = current.free_list & (1 << 56) - 1, current.free_list >> 56
    with pytest.raises(FreeListFault, match="checksum"):
        read_free_blocks(io.BytesIO(data), current, [block])
    start = BLOCKS_START + block * 16384 + 8 + piece * 248
    looping = bytearray(data)
    struct.pack_into("<QQ", looping, start, current.free_list, 10_000)
    with pytest.raises(FreeListFault, match="nowhere"):
        read_free_blocks(io.BytesIO(looping), current, [])
    ending = bytearray(data)
    struct.pack_into("<QQ", ending, start, 2**64 - 1, 10_000)
    with pytest.raises(FreeListFault, match="too early"):
        read_free_blocks(io.BytesIO(ending), current, [])
