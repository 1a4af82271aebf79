"""The WAL scanner, over logs of DuckDB 1.4, 1.5 and 2.0 and over nonsense."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akosha_snap.source.checksum import checksum
from akosha_snap.source.header import BLOCKS_START, parse_headers
from akosha_snap.source.wal import WalScan, scan_wal

FIXTURES = Path(__file__).parents[1] / "fixtures" / "duckdb"
VERSIONS = ["v1_4", "v1_5", "v2_0"]
FLUSH = bytes.fromhex("0500000000000000e7fe7d722fed3d5e640064ffff")
VERSION_ENTRY = bytes.fromhex("640062650002ffff")


def entry(kind: int, body: bytes = b"\xff\xff") -> bytes:
    payload = b"\x64\x00" + bytes([kind]) + body
    return struct.pack("<QQ", len(payload), checksum(payload)) + payload


def scan(data: bytes) -> WalScan:
    return scan_wal(io.BytesIO(data))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["wal", "only_wal"])
def test_real_logs(version: str, name: str) -> None:
    path = FIXTURES / f"{version}_{name}.duckdb"
    log = path.with_name(path.name + ".wal").read_bytes()
    headers = parse_headers(path.read_bytes()[:BLOCKS_START])
    assert headers.current
    found = scan(log)
    assert found.committed == found.size == len(log)
    assert (found.walkable, found.row_groups, found.checkpointing, found.failing) == (True, False, False, None)
    if version == "v2_0":
        assert (found.identifier, found.iteration) == (headers.identifier, headers.current.iteration)
    else:
        assert (found.identifier, found.iteration) == (None, None)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_cut_of_a_real_log_is_cut_at_a_flush(version: str) -> None:
    log = (FIXTURES / f"{version}_wal.duckdb.wal").read_bytes()
    ends = [end for end in range(len(log) + 1) if log[:end].endswith(FLUSH)]
    assert len(ends) == 6
    for length in range(len(log) + 1):
        found = scan(log[:length])
        assert found.committed == max((end for end in ends if end <= length), default=0)
        assert (found.failing, found.walkable) == (None, True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_flipped_bit_is_found_wherever_it_is(version: str) -> None:
    log = (FIXTURES / f"{version}_wal.duckdb.wal").read_bytes()
    # From the first entry on; and not in the last flush, whose flipped size may look like a commit under way
    for at in range(60 if version == "v2_0" else 8, len(log) - len(FLUSH)):
        flipped = bytearray(log)
        flipped[at] ^= 0x10
        assert scan(bytes(flipped)).failing is not None, at


def test_kinds() -> None:
    start = VERSION_ENTRY + entry(26) + FLUSH
    assert not scan(start).row_groups
    assert scan(start + entry(29) + FLUSH).row_groups
    assert not scan(start + entry(29)).row_groups, "not committed"
    assert scan(start + entry(99)).checkpointing
    assert scan(start + entry(99) + FLUSH).checkpointing
    assert not scan(start + entry(99) + FLUSH + entry(26) + FLUSH).checkpointing
    assert scan(start + entry(99)).committed == len(start)


def test_nothing_committed() -> None:
    for data in (b"", VERSION_ENTRY[:5], VERSION_ENTRY, VERSION_ENTRY + entry(26), VERSION_ENTRY + entry(26)[:20]):
        assert scan(data) == WalScan(len(data), 0)


def test_zeros_a_crash_left_are_the_end() -> None:
    start = VERSION_ENTRY + entry(26) + FLUSH
    assert scan(start + bytes(5000)) == WalScan(len(start) + 5000, len(start))
    assert scan(start + bytes(5000) + FLUSH).failing == len(start)


def test_a_size_that_lies_does_not_hide_commits() -> None:
    start = VERSION_ENTRY + entry(26) + FLUSH
    lying = struct.pack("<QQ", 1 << 40, 1) + b"\x64\x00\x1a"
    assert scan(start + lying).failing is None
    assert scan(start + lying + FLUSH).failing == len(start)


@pytest.mark.parametrize("head", ["640062650001ffff", "640062650003ffff", "640062650002680000ffff", "0000", "64001a"])
def test_unknown_versions_are_kept_whole(head: str) -> None:
    data = bytes.fromhex(head) + entry(26) + FLUSH + bytes(300)
    assert scan(data) == WalScan(len(data), len(data), walkable=False)


def test_a_large_entry_goes_through_in_pieces() -> None:
    log = VERSION_ENTRY + entry(26, bytes(range(256)) * 40_000 + b"odd") + FLUSH
    assert scan(log) == WalScan(len(log), len(log))
    assert scan(log[:-100] + b"x" + log[-99:]).failing == len(VERSION_ENTRY)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", VERSION_ENTRY, VERSION_ENTRY + entry(26) + FLUSH]))
def test_arbitrary_bytes(data: bytes, start: bytes) -> None:
    found = scan(start + data)
    assert 0 <= found.committed <= found.size == len(start + data)
    if found.walkable and found.committed:
        assert (start + data)[: found.committed].endswith(FLUSH)
