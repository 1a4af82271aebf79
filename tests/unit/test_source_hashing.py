"""The hashes that come with a staged database."""

# ruff: noqa: F811

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest
from blake3 import blake3
from helpers import profile
from hypothesis import given
from hypothesis import strategies as st
from test_source_moving import between
from test_source_stage import database, into, with_wal  # noqa: F401

from akosha_snap.chunking import Grid
from akosha_snap.source import Hashes, stage, stage_in_child
from akosha_snap.source.hashing import Hasher
from akosha_snap.source.header import BLOCKS_START


def hashes_of(data: bytes, block_size: int) -> Hashes:
    """Made the plain way, by the grid that the chunker cuts by."""
    sections = [blake3(data[start : start + size]).digest() for start, size in Grid(block_size).sections(len(data))]
    return Hashes(blake3(data).digest(), hashlib.sha256(data).hexdigest(), b"".join(sections))


def of_the_database(staged: Any) -> tuple[Hashes | None, Hashes]:
    file = staged.files[0]
    return file.hashes, hashes_of(Path(file.path).read_bytes(), file.block_size)


@profile(50)
@given(st.integers(0, 200), st.integers(1, 7), st.sampled_from([16, 24]))
def test_pieces_of_any_number_of_blocks(blocks: int, at_once: int, block_size: int) -> None:
    data = os.urandom(BLOCKS_START) + bytes(range(256)) * (blocks * block_size // 256) + b"the end"
    with Hasher(block_size) as hasher:
        hasher.update(data[:BLOCKS_START])
        for start in range(BLOCKS_START, len(data), at_once * block_size):
            hasher.update(data[start : start + at_once * block_size])
        assert hasher.finish() == hashes_of(data, block_size)


def test_of_a_quiet_database(with_wal: Path, into: Path) -> None:
    staged = stage(with_wal, into)
    found, expected = of_the_database(staged)
    assert found == expected
    assert [file.hashes is None for file in staged.files] == [False, True], "a log is hashed when it is cut"


def test_of_the_copy_that_was_kept(with_wal: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    between(monkeypatch, [lambda: duckdb.connect(str(with_wal)).close()])
    staged = stage(with_wal, into)
    found, expected = of_the_database(staged)
    assert (staged.tries, found) == (2, expected)


def test_a_copy_is_only_hashed_beside_the_first_try(
    database: Path,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from akosha_snap.source import live

    hashers: list[Hasher | None] = []
    real = live.copy_blocks

    def copying(*arguments: Any) -> Any:
        hashers.append(arguments[-1])
        if len(hashers) < 3:
            raise live.Unsettled("a writer")
        return real(*arguments)

    monkeypatch.setattr(live, "copy_blocks", copying)
    found, expected = of_the_database(stage(database, into))
    assert found == expected
    assert [hasher is not None for hasher in hashers] == [True, False, False]


def test_a_reply_larger_than_a_pipe(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "many blocks.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS many (BLOCK_SIZE 16384)")
        connection.execute("CREATE TABLE many.t AS SELECT hash(range) AS a, hash(range + 0.5) AS b FROM range(2000000)")
    staged = stage_in_child(path, into, deadline=30)
    found, expected = of_the_database(staged)
    assert found == expected
    assert len(expected.sections) > 49152, "in base64 more than the 65,536 bytes a pipe holds"
