"""Staging quiet files: what is copied, what is refused, what is damage."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from test_source_header import NATIVE, READABLE
from test_source_wal import VERSION_ENTRY, entry

from akosha_snap.errors import AkoshaSnapError, BusyError, ConfigError, SourceError
from akosha_snap.source import StagedSource, count_records, stage
from akosha_snap.source import settle as settle_module
from akosha_snap.source.beside import beside
from akosha_snap.source.files import check_name, shown
from akosha_snap.source.header import BLOCKS_START, parse_headers

FIXTURES = Path(__file__).parents[1] / "fixtures" / "duckdb"
BLOCK = 16384


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage is told from a writer at work sooner than in life."""
    monkeypatch.setattr(settle_module, "_STILL_FOR", 0.05)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "staged"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return take(tmp_path, f"{NATIVE}_closed")


@pytest.fixture
def with_wal(tmp_path: Path) -> Path:
    return take(tmp_path, f"{NATIVE}_wal")


def take(folder: Path, name: str) -> Path:
    """A copy of a fixture, and of its WAL, to do things to."""
    path = folder / "memory.duckdb"
    shutil.copyfile(FIXTURES / f"{name}.duckdb", path)
    wal = FIXTURES / f"{name}.duckdb.wal"
    if wal.exists():
        shutil.copyfile(wal, wal_of(path))
    return path


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)


def names(staged: StagedSource) -> list[tuple[str, str]]:
    return [(file.name, file.kind) for file in staged.files]


@pytest.mark.parametrize("version", READABLE)
@pytest.mark.parametrize(("name", "conversations"), [("closed", 300), ("wal", 204), ("only_wal", 12)])
def test_bit_for_bit(tmp_path: Path, into: Path, version: str, name: str, conversations: int) -> None:
    path = take(tmp_path, f"{version}_{name}")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    staged = stage(path, into)
    assert names(staged) == [("memory.duckdb", "duckdb"), ("memory.duckdb.wal", "wal")][: len(before)]
    for file in staged.files:
        assert Path(file.path).read_bytes() == before[file.name]
        assert file.size == len(before[file.name])
        assert stat.S_IMODE(Path(file.path).stat().st_mode) == 0o600
    assert (staged.files[0].block_size, staged.tries, staged.warnings) == (BLOCK, 1, [])
    assert staged.bytes_read == sum(map(len, before.values())) + BLOCKS_START
    assert count_records(Path(staged.files[0].path)).conversations == conversations
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before
    assert {file.name: file.read_bytes() for file in into.iterdir()} == before, "and the copy as it was staged"


def test_the_wal_ends_at_its_last_commit(with_wal: Path, into: Path) -> None:
    log = wal_of(with_wal).read_bytes()
    wal_of(with_wal).write_bytes(log + entry(26)[:-1])
    staged = stage(with_wal, into)
    assert Path(staged.files[1].path).read_bytes() == log
    assert staged.files[1].size == len(log)


@pytest.mark.parametrize("log", [b"", VERSION_ENTRY, VERSION_ENTRY + entry(26)])
def test_a_wal_without_a_commit_stays_behind(database: Path, into: Path, log: bytes) -> None:
    wal_of(database).write_bytes(log)
    assert names(stage(database, into)) == [("memory.duckdb", "duckdb")]
    assert [file.name for file in into.iterdir()] == ["memory.duckdb"]


def test_plain(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"notes" * 1000)
    os.utime(path, (1, 1))
    staged = stage(path, into)
    assert names(staged) == [("notes.txt", "plain")]
    assert (into / "notes.txt").read_bytes() == path.read_bytes()
    assert (staged.tries, staged.bytes_read, staged.files[0].size) == (1, 5000, 5000)


def test_plain_just_written_is_looked_at_again(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"notes")
    assert stage(path, into).tries > 1


def test_plain_that_never_rests(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from akosha_snap.source import plain

    path = tmp_path / "log.txt"
    path.write_bytes(b"line\n")
    real = plain.read_piece

    def growing(*arguments: Any) -> bytes:
        with path.open("ab") as file:
            file.write(b"line\n")
        return real(*arguments)

    monkeypatch.setattr(plain, "read_piece", growing)
    with pytest.raises(BusyError, match="kept changing") as caught:
        stage(path, into, deadline=0.3)
    assert caught.value.exit_code == 11
    assert not list(into.iterdir())


# ---- symlinks and odd names


@pytest.mark.parametrize("where", ["real", "link"])  # DuckDB 1.5 and 2.0; 1.4
def test_symlink_with_its_wal(tmp_path: Path, into: Path, with_wal: Path, where: str) -> None:
    link = tmp_path / "folder" / "link.duckdb"
    link.parent.mkdir()
    link.symlink_to(with_wal)
    if where == "link":
        wal_of(with_wal).rename(wal_of(link))
    staged = stage(link, into)
    assert names(staged) == [("link.duckdb", "duckdb"), ("link.duckdb.wal", "wal")]
    assert count_records(into / "link.duckdb").conversations == 204


def test_symlink_with_two_wals(tmp_path: Path, into: Path, with_wal: Path) -> None:
    link = tmp_path / "link.duckdb"
    link.symlink_to(with_wal)
    shutil.copyfile(wal_of(with_wal), wal_of(link))
    with pytest.raises(SourceError, match="two write-ahead logs"):
        stage(link, into)


def test_symlink_as_duckdb_itself_leaves_it(tmp_path: Path, into: Path) -> None:
    """Where this DuckDB keeps the WAL of a database it opened through a symlink, we find it."""
    import subprocess
    import sys

    real, link = tmp_path / "a" / "real.duckdb", tmp_path / "b" / "link.duckdb"
    for folder in (real.parent, link.parent):
        folder.mkdir()
    source = (
        "import duckdb, os, sys; duckdb.connect(sys.argv[1]).close(); os.symlink(*sys.argv[1:]);"
        "c = duckdb.connect(sys.argv[2]); c.execute('CREATE TABLE conversations_v2 AS SELECT 1 AS id'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", source, str(real), str(link)], check=True)
    assert len(stage(link, into).files) == 2
    assert count_records(into / "link.duckdb").conversations == 1


def test_question_mark(tmp_path: Path, into: Path, with_wal: Path) -> None:
    odd = tmp_path / "why?.duckdb"
    with_wal.rename(odd)
    wal_of(with_wal).rename(tmp_path / "why.wal?.duckdb")
    assert beside(odd, ".wal").name == "why.wal?.duckdb"
    assert names(stage(odd, into)) == [("why?.duckdb", "duckdb"), ("why.wal?.duckdb", "wal")]
    assert count_records(into / "why?.duckdb").conversations == 204


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a\x7f", "a\x9b", "\udcff.duckdb"])
def test_refused_names(tmp_path: Path, into: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(ConfigError) as caught:
        stage(path, into)
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()
    assert "rename" in caught.value.hint


@pytest.mark.parametrize("path", ["/", ".", "..", "a/.."])
def test_paths_that_name_nothing(path: str) -> None:
    with pytest.raises(ConfigError):
        check_name(Path(path))


def test_shown_is_printable() -> None:
    assert shown(Path("/a\n/\udcff/é")) == "/a\\n/\\xff/é"


# ---- bad input


def test_missing(tmp_path: Path, into: Path) -> None:
    for path in (tmp_path / "no.duckdb", tmp_path / "no" / "no.duckdb", tmp_path / ("n" * 300)):
        refused(path, into, ConfigError, "does not exist")


def refused(path: Path, into: Path, kind: type[AkoshaSnapError], said: str, deadline: float = 5) -> AkoshaSnapError:
    with pytest.raises(AkoshaSnapError, match=said) as caught:
        stage(path, into, deadline=deadline)
    assert type(caught.value) is kind
    assert caught.value.exit_code == kind.exit_code
    assert shown(path) in caught.value.message
    assert "\n" not in str(caught.value)
    assert not list(into.iterdir()), "nothing half done is left"
    return caught.value


def test_nul_in_the_path(into: Path) -> None:
    with pytest.raises(ConfigError):
        stage(Path("/tmp/a\0b/c"), into)


def test_directory(tmp_path: Path, into: Path) -> None:
    refused(tmp_path, into, ConfigError, "is a directory")


def test_fifo_socket_device(tmp_path: Path, into: Path) -> None:
    fifo, address = tmp_path / "fifo.duckdb", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        for path in (fifo, address, Path("/dev/null"), Path("/dev/zero")):
            refused(path, into, ConfigError, "not a regular file")


def test_empty(tmp_path: Path, into: Path) -> None:
    for name in ("empty.duckdb", "empty.txt"):
        (tmp_path / name).touch()
        refused(tmp_path / name, into, ConfigError, "is empty: nothing to snapshot")


@pytest.mark.parametrize("name", ["not.duckdb", "not.DDB"])
@pytest.mark.parametrize("content", [b"short", b"SQLite format 3\0" + bytes(5000)])
def test_not_duckdb(tmp_path: Path, into: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, into, ConfigError, "is not a DuckDB database")


def test_the_wal_itself(with_wal: Path, into: Path) -> None:
    refused(wal_of(with_wal), into, ConfigError, "write-ahead log")
    with_wal.unlink()
    assert names(stage(wal_of(with_wal), into)) == [("memory.duckdb.wal", "plain")]


def test_encrypted(tmp_path: Path, into: Path) -> None:
    refused(take(tmp_path, "v2_0_encrypted"), into, SourceError, "encrypted")


def test_unreadable(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:  # whom no mode keeps out
        real = os.open

        def denied(path: Any, flags: int, mode: int = 0o777) -> int:
            if Path(path) == database:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, flags, mode)

        monkeypatch.setattr(os, "open", denied)
    database.chmod(0)
    refused(database, into, SourceError, "permission denied")


def test_two_files_of_one_name(database: Path, into: Path) -> None:
    stage(database, into)
    with pytest.raises(ConfigError, match="two files"):
        stage(database, into)
    assert (into / "memory.duckdb").exists()


def test_no_room_for_the_copy(database: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from akosha_snap.source import blocks

    def full(path: Path, file: Any, data: Any) -> None:
        from akosha_snap.source.files import write_piece

        class Full:
            def write(self, data: Any) -> int:
                raise OSError(28, "No space left on device")

        write_piece(path, Full(), data)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "write_piece", full)
    with pytest.raises(SourceError, match="cannot be written: No space left") as caught:
        stage(database, into)
    assert "space" in caught.value.hint
    assert not list(into.iterdir())


def test_no_folder_for_the_copy(database: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be written"):
        stage(database, tmp_path / "nowhere")


def live_and_free(path: Path) -> tuple[list[int], list[int]]:
    from akosha_snap.source.freelist import read_free_blocks

    with path.open("rb") as file:
        current = parse_headers(file.read(BLOCKS_START)).current
        assert current
        free = read_free_blocks(file, current, [])
    return [block for block in range(current.block_count) if block not in free], sorted(free)
