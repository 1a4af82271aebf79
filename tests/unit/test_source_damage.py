"""What is damage: in blocks, headers and WALs, and in files of a later storage version."""

# ruff: noqa: F811
from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from test_source_header import READABLE, seal
from test_source_stage import (  # noqa: F401
    BLOCK,
    FIXTURES,
    database,
    flip,
    hasty,
    into,
    live_and_free,
    names,
    refused,
    take,
    wal_of,
    with_wal,
)
from test_source_wal import FLUSH, entry

from akosha_snap.errors import BusyError, DamageError, SourceError
from akosha_snap.source import count_records, stage
from akosha_snap.source.header import BLOCKS_START, HEADER_SIZE, parse_headers


def test_bit_flip_in_a_live_block(database: Path, into: Path) -> None:
    live, free = live_and_free(database)
    for block in (live[0], live[-1]):
        flip(database, BLOCKS_START + block * BLOCK + 5000)
        error = refused(
            database, into, DamageError, f"block {block} at byte {BLOCKS_START + block * BLOCK} does not match"
        )
        assert error.exit_code == 4
        assert "restore from a snapshot" in error.hint
        flip(database, BLOCKS_START + block * BLOCK + 5000)
    there = (database.stat().st_size - BLOCKS_START) // BLOCK
    assert any(block < there for block in free)
    for block in (block for block in free if block < there):
        flip(database, BLOCKS_START + block * BLOCK + 5000)
    assert stage(database, into).tries == 1
    assert count_records(into / "memory.duckdb").conversations == 300


@pytest.mark.parametrize("header", [0, 1, 2])
def test_bit_flip_in_a_header(database: Path, into: Path, header: int) -> None:
    """DuckDB (1.4, 1.5, 2.0) opens no file one of whose headers fails, the older one included."""
    flip(database, header * HEADER_SIZE + 3000)
    with pytest.raises(DamageError):
        count_records(database)
    refused(database, into, DamageError, f"the header at byte {header * HEADER_SIZE} does not match")


@pytest.mark.parametrize("size", [12, 5000, BLOCKS_START - 1])
def test_cut_off_in_the_headers(database: Path, into: Path, size: int) -> None:
    os.truncate(database, size)
    refused(database, into, DamageError, f"cut off inside its headers, at byte {size}")


def test_cut_off(database: Path, into: Path) -> None:
    live, _ = live_and_free(database)
    os.truncate(database, BLOCKS_START + live[-1] * BLOCK + 100)
    refused(database, into, DamageError, f"block {live[-1]} at byte {BLOCKS_START + live[-1] * BLOCK}")
    os.truncate(database, BLOCKS_START)
    refused(database, into, DamageError, "block")


def test_cut_off_after_the_last_live_block_is_duckdbs_own_doing(tmp_path: Path, into: Path) -> None:
    """A checkpoint writes the header, with its block count, and then truncates the free end."""
    path = tmp_path / "shrunk.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS shrunk (BLOCK_SIZE 16384)")
        connection.execute("CREATE TABLE shrunk.conversations_v2 AS SELECT hash(range) h FROM range(2000)")
        connection.execute("CHECKPOINT shrunk")
    live, free = live_and_free(path)
    data = path.read_bytes()
    end = BLOCKS_START + (max(live) + 1) * BLOCK
    if not free or max(free) < max(live):  # make one: as if a free block had been truncated away
        raw = bytearray(data)
        current = parse_headers(data[:BLOCKS_START]).current
        assert current
        block, piece = current.free_list & (1 << 56) - 1, current.free_list >> 56
        start = BLOCKS_START + block * BLOCK
        at = start + 8 + piece * 248 + 8
        count = struct.unpack_from("<Q", raw, at)[0]
        raw[at + 8 : at + 248 - 8] = struct.pack("<Q", current.block_count) + raw[at + 8 : at + 240 - 8]
        struct.pack_into("<Q", raw, at, count + 1)
        from akosha_snap.source.checksum import checksum

        struct.pack_into("<Q", raw, start, checksum(bytes(raw[start + 8 : start + BLOCK])))
        for header in (1, 2):
            if struct.unpack_from("<Q", raw, header * HEADER_SIZE + 8)[0] == current.iteration:
                struct.pack_into("<Q", raw, header * HEADER_SIZE + 32, current.block_count + 1)
                seal(raw, header)
        path.write_bytes(raw)
    os.truncate(path, end)
    assert stage(path, into).files[0].size == end
    assert count_records(into / "shrunk.duckdb").conversations == 2000


def test_a_wal_of_another_checkpoint(tmp_path: Path, into: Path) -> None:
    with_wal = take(tmp_path, "v2_0_wal")
    log = bytearray(wal_of(with_wal).read_bytes())
    at = log.index(b"\x67\x00") + 2
    log[at] += 5
    wal_of(with_wal).write_bytes(log)
    refused(with_wal, into, DamageError, "continues from checkpoint")


def test_a_wal_of_another_database(tmp_path: Path, into: Path) -> None:
    with_wal = take(tmp_path, "v2_0_wal")
    shutil.copyfile(FIXTURES / "v2_0_only_wal.duckdb.wal", wal_of(with_wal))
    refused(with_wal, into, DamageError, "belongs to another database")


@pytest.mark.parametrize("version", READABLE)
def test_bit_flip_in_the_wal(tmp_path: Path, into: Path, version: str) -> None:
    path = take(tmp_path, f"{version}_wal")
    flip(wal_of(path), 100)
    with pytest.raises(DamageError):
        count_records(path)
    refused(path, into, DamageError, r"the entry at byte \d+ of .*\.wal does not match")


def test_a_wal_of_unknown_version_is_kept_whole(tmp_path: Path, into: Path) -> None:
    path = take(tmp_path, "v1_4_wal")
    flip(wal_of(path), 5)
    staged = stage(path, into)
    assert (into / "memory.duckdb.wal").read_bytes() == wal_of(path).read_bytes()
    assert "not known" in staged.warnings[0]


def test_a_checkpoint_under_way(with_wal: Path, into: Path) -> None:
    with wal_of(with_wal).open("ab") as log:
        log.write(entry(99) + FLUSH)
    error = refused(with_wal, into, BusyError, "ends in a checkpoint", deadline=0.3)
    assert "open it once with DuckDB" in error.hint


@pytest.mark.parametrize("suffix", [".wal.checkpoint", ".wal.recovery"])
def test_a_checkpoint_file(database: Path, into: Path, suffix: str) -> None:
    database.with_name(database.name + suffix).write_bytes(b"x")
    refused(database, into, BusyError, "checkpoint", deadline=0.3)


def row_groups(path: Path) -> None:
    """Make a database whose WAL holds row groups that lie in the file beyond its block count."""
    source = (
        "import duckdb, os, sys\n"
        "c = duckdb.connect()\n"
        "c.execute(\"SET checkpoint_threshold = '1TB'\")\n"
        "c.execute(f\"ATTACH '{sys.argv[1]}' AS m (BLOCK_SIZE 16384)\")\n"
        "c.execute('CREATE TABLE m.conversations_v2 (h UBIGINT)')\n"
        "c.execute('CHECKPOINT m')\n"
        "c.execute('INSERT INTO m.conversations_v2 SELECT hash(range) FROM range(260000)')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", source, str(path)], check=True)


def test_row_groups_in_the_wal_make_every_block_count(tmp_path: Path, into: Path) -> None:
    from akosha_snap.source.wal import scan_wal

    path = tmp_path / "bulk.duckdb"
    row_groups(path)
    with wal_of(path).open("rb") as file:
        assert scan_wal(file).row_groups
    current = parse_headers(path.read_bytes()[:BLOCKS_START]).current
    assert current
    beyond = current.block_count + 3
    assert path.stat().st_size > BLOCKS_START + (beyond + 1) * BLOCK
    assert stage(path, into).tries == 1
    assert count_records(into / "bulk.duckdb").conversations == 260000
    for file in into.iterdir():
        file.unlink()
    # A hole is a block that was never written: no one's. Anything else that fails may be someone's
    with path.open("ab") as file:
        file.write(bytes(BLOCK))
    stage(path, into)
    for file in into.iterdir():
        file.unlink()
    flip(path, BLOCKS_START + beyond * BLOCK + 77)
    refused(path, into, DamageError, f"block {beyond} ")
    flip(path, BLOCKS_START + beyond * BLOCK + 77)
    os.truncate(path, path.stat().st_size - BLOCK - 9)
    refused(path, into, DamageError, "cut off")


def test_row_groups_and_a_wal_that_grows(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from akosha_snap.source import live

    path = tmp_path / "bulk.duckdb"
    row_groups(path)
    real = live.copy_blocks

    def growing(*arguments: Any) -> Any:
        with wal_of(path).open("ab") as log:
            log.write(entry(26) + FLUSH)
        return real(*arguments)

    monkeypatch.setattr(live, "copy_blocks", growing)
    refused(path, into, BusyError, "WAL grew", deadline=0.3)


@pytest.fixture
def later(tmp_path: Path) -> Path:
    database = take(tmp_path, "v2_0_closed")
    raw = bytearray(database.read_bytes())
    for header in (1, 2):
        struct.pack_into("<Q", raw, header * HEADER_SIZE + 56, 90)
        seal(raw, header)
    database.write_bytes(raw)
    return database


def test_later_storage_is_copied(later: Path, into: Path) -> None:
    assert stage(later, into).warnings == []


def test_later_storage_whose_blocks_fail_is_copied_with_a_warning(later: Path, into: Path) -> None:
    live, _ = live_and_free(later)
    flip(later, BLOCKS_START + live[0] * BLOCK + 99)
    staged = stage(later, into)
    assert (into / "memory.duckdb").read_bytes() == later.read_bytes()
    assert "later storage version" in staged.warnings[0]
    assert f"block {live[0]}" in staged.warnings[0]


def test_later_storage_whose_headers_fail_is_not_understood(later: Path, into: Path) -> None:
    flip(later, HEADER_SIZE + 3000)
    flip(later, 2 * HEADER_SIZE + 3000)
    raw = bytearray(later.read_bytes())
    struct.pack_into("<Q", raw, 12, 1234)
    seal(raw, 0)
    later.write_bytes(raw)
    refused(later, into, SourceError, "not understood")
