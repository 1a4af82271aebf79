"""What changes in the middle of a copy, and copies that are clones."""

# ruff: noqa: F811
from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from test_source_stage import (  # noqa: F401
    BLOCK,
    database,
    flip,
    hasty,
    into,
    live_and_free,
    names,
    refused,
    wal_of,
    with_wal,
)

from akosha_snap.errors import ConfigError, DamageError
from akosha_snap.source import clone as clone_module
from akosha_snap.source import count_records, stage
from akosha_snap.source.header import BLOCKS_START


def between(monkeypatch: pytest.MonkeyPatch, moves: list[Any]) -> None:
    """Do the next of `moves` between the reading of the WAL and that of the blocks."""
    from akosha_snap.source import live

    real = live.copy_blocks

    def moving(*arguments: Any) -> Any:
        if moves:
            moves.pop(0)()
        return real(*arguments)

    monkeypatch.setattr(live, "copy_blocks", moving)


def test_replaced_in_the_middle(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = database.with_name("other")
    shutil.copyfile(database, other)
    between(monkeypatch, [lambda: other.replace(database)])
    assert stage(database, into).tries == 2


def test_checkpointed_in_the_middle(with_wal: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    between(monkeypatch, [lambda: duckdb.connect(str(with_wal)).close()])
    staged = stage(with_wal, into)
    assert staged.tries == 2
    assert names(staged) == [("memory.duckdb", "duckdb")], "the WAL of the first try is not left"
    assert [file.name for file in into.iterdir()] == ["memory.duckdb"]
    assert count_records(into / "memory.duckdb").conversations == 204


def test_wal_shorter_and_then_gone_in_the_middle(with_wal: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    between(monkeypatch, [lambda: os.truncate(wal_of(with_wal), 90), lambda: wal_of(with_wal).unlink()])
    staged = stage(with_wal, into)
    assert staged.tries == 3
    assert names(staged) == [("memory.duckdb", "duckdb")]


def test_gone_in_the_middle(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    between(monkeypatch, [database.unlink])
    refused(database, into, ConfigError, "does not exist")


def test_shorter_in_the_middle(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from akosha_snap.source import blocks

    whole = database.read_bytes()
    real = blocks.read_piece
    moves = [lambda: os.truncate(database, BLOCKS_START + 10), lambda: database.write_bytes(whole)]

    def shrinking(path: Path, file: Any, size: int) -> bytes:
        if moves:
            moves.pop(0)()
        return real(path, file, size)

    monkeypatch.setattr(blocks, "read_piece", shrinking)
    assert stage(database, into).tries in (2, 3)
    assert (into / "memory.duckdb").read_bytes() == whole


def test_clone_where_the_filesystem_has_it(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(target: int, request: int, source: int) -> int:
        assert request == 0x40049409
        os.write(target, database.read_bytes())
        return 0

    monkeypatch.setattr(fcntl, "ioctl", pretend)
    staged = stage(database, into)
    assert (into / "memory.duckdb").read_bytes() == database.read_bytes()
    assert staged.bytes_read == 2 * BLOCKS_START, "the blocks were not read from the live file"
    (into / "memory.duckdb").unlink()
    flip(database, BLOCKS_START + live_and_free(database)[0][0] * BLOCK + 9)
    refused(database, into, DamageError, "does not match its checksum")


def test_clone_of_other_headers_is_taken_again(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [database.read_bytes()[::-1], database.read_bytes()]

    def pretend(target: int, request: int, source: int) -> int:
        os.write(target, contents.pop(0))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", pretend)
    assert stage(database, into).tries == 2


def test_without_clones_bytes_are_copied(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    stage(database, into)
    monkeypatch.setattr(clone_module.sys, "platform", "darwin")
    (into / "memory.duckdb").unlink()
    stage(database, into)
    assert (into / "memory.duckdb").read_bytes() == database.read_bytes()


def test_a_checkpoints_own_log_that_becomes_the_wal_is_not_missed(
    with_wal: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked for as the WAL too early, and as what it was too late: neither would be there."""
    from akosha_snap.source import live

    under_way = with_wal.with_name(with_wal.name + ".wal.checkpoint")
    wal_of(with_wal).rename(under_way)

    def then_ending(real: Any) -> Any:
        def looked(path: Path) -> Any:
            found = real(path)
            if under_way.exists():
                under_way.rename(wal_of(with_wal))
            return found

        return looked

    monkeypatch.setattr(live, "find_wal", then_ending(live.find_wal))
    monkeypatch.setattr(live, "checkpoint_files", then_ending(live.checkpoint_files))
    staged = stage(with_wal, into)
    assert staged.tries == 2
    assert names(staged) == [("memory.duckdb", "duckdb"), ("memory.duckdb.wal", "wal")]
