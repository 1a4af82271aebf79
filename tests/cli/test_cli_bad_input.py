"""Every line of issue 2's "Bad input": one clear line, the right exit code, no traceback."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def _push_fails(cli, path: Path, code: int, *said: str) -> None:
    outcome = cli("push", path)
    assert outcome.code == code
    assert path.name in outcome.error
    for words in said:
        assert words in outcome.error
    result = cli("push", path, "--json")
    assert result.json["success"] is False
    assert result.json["error"] == outcome.error
    assert result.json["upload_id"] is None
    assert result.json_error["exit_code"] == code
    assert f"{result.json_error['message']}; {result.json_error['hint']}".removesuffix("; ") == outcome.error


def test_missing_file(cli, store, tmp_path) -> None:
    _push_fails(cli, tmp_path / "no.duckdb", 2, "does not exist")
    assert not store.exists()


def test_empty_file(cli, store, tmp_path) -> None:
    (tmp_path / "empty.duckdb").touch()
    _push_fails(cli, tmp_path / "empty.duckdb", 2, "is empty")


def test_directory(cli, store, tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    _push_fails(cli, tmp_path / "folder", 2, "is a directory")


def test_not_a_duckdb_file(cli, store, tmp_path) -> None:
    (tmp_path / "text.duckdb").write_text("this is no database\n" * 1000)
    _push_fails(cli, tmp_path / "text.duckdb", 2, "is not a DuckDB database")


def test_truncated_duckdb_file(cli, store, memory) -> None:
    path = memory / "reflection.duckdb"
    os.truncate(path, path.stat().st_size - 300_000)
    _push_fails(cli, path, 4)


def test_bit_flipped_duckdb_file(cli, store, memory) -> None:
    path = memory / "reflection.duckdb"
    data = bytearray(path.read_bytes())
    data[12_288 + 262_144 + 5000] ^= 1
    path.write_bytes(data)
    _push_fails(cli, path, 4, "block")


def test_one_bad_file_fails_the_push_whole(cli, store, memory, tmp_path) -> None:
    assert cli("push", memory / "reflection.duckdb", tmp_path / "no.duckdb").code == 2
    assert not store.exists()


def _without_root_powers() -> None:
    libc = ctypes.CDLL(None)
    for capability in CAPABILITIES:
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.skipif(sys.platform != "linux", reason="drops capabilities, should the tests run as root")
def test_unreadable_file(process, store, tmp_path) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("closed")
    path.chmod(0)
    probe = subprocess.run([sys.executable, "-c", f"open({str(path)!r})"], preexec_fn=_without_root_powers)
    if probe.returncode == 0:
        pytest.skip("this user reads everything")
    outcome = process("push", path, preexec_fn=_without_root_powers)
    assert outcome.code == 1
    assert "secret.txt cannot be read: permission denied" in outcome.error


@pytest.mark.parametrize("command", [["show"], ["restore", "--to", "back"], ["verify"]])
def test_unknown_upload_id(cli, store, memory, command) -> None:
    cli("push", memory / "reflection.duckdb")
    unknown = "20200101T000000Z-00000000"
    outcome = cli(*command, unknown)
    assert outcome.code == 10
    assert unknown in outcome.error
    assert "akosha-snap list" in outcome.error
    outcome = cli(*command, "yesterday")
    assert outcome.code == 10
    assert "no snapshot is called 'yesterday'" in outcome.error


@pytest.mark.parametrize("command", [["push", "x"], ["list"], ["show"], ["restore", "--to", "back"], ["verify"]])
def test_bad_system_id_and_bad_store(cli, store, command) -> None:
    outcome = cli(*command, "--system-id", "mac.local")
    assert outcome.code == 2
    assert "'mac.local' is not valid (--system-id)" in outcome.error
    for url in ["", "ftp://host/x", "s3://", "s3://bucket?colour=red", "s3://k:secret@bucket"]:
        outcome = cli(*command, "--store", url)
        assert outcome.code == 2
        assert "is not the URL of a store" in outcome.error
        assert "secret" not in outcome.error
        assert "(--store)" in outcome.error


def test_no_store_names_the_ways_to_give_one(cli) -> None:
    outcome = cli("list")
    assert outcome.code == 2
    for way in ["--store", "AKOSHA_SNAP_STORE", "AKOSHA_CLOUD_BUCKET", "config.toml"]:
        assert way in outcome.error


def test_nothing_there(cli, store, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(tmp_path / "data"))
    outcome = cli("push")
    assert outcome.code == 10
    assert str(tmp_path / "data") in outcome.error
    for command in (["list"], ["show"], ["restore", "--to", "x"], ["verify"], ["verify", "all"]):
        outcome = cli(*command)
        assert outcome.code == 10, command
        assert store.name in outcome.error


def test_wrong_bucket(process, memory, seaweed_credentials) -> None:
    url = f"s3://no-such-bucket?endpoint={seaweed_credentials.endpoint}"
    outcome = process("push", memory / "reflection.duckdb", "--store", url)
    assert outcome.code == 10
    assert "no-such-bucket" in outcome.error


@pytest.mark.parametrize(("key", "secret"), [("testkey", "wrong"), ("wrong", "testsecret"), (None, None)])
def test_wrong_credentials(process, memory, seaweed_url, monkeypatch, key, secret) -> None:
    for name, value in [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)]:
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    outcome = process("push", memory / "reflection.duckdb", "--store", seaweed_url)
    assert outcome.code == 12
    assert "AWS_ACCESS_KEY_ID" in outcome.error
    assert "testsecret" not in outcome.error
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testkey")  # so that the bucket can be removed again
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecret")


def test_nobody_at_the_endpoint(process, memory) -> None:
    outcome = process(
        "list", "--store", "s3://bucket?endpoint=http://127.0.0.1:9", env={**os.environ, "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s"},
    )  # fmt: skip
    assert outcome.code == 1
    assert "127.0.0.1:9" in outcome.error


def test_restore_with_no_space_left(cli, process, store, memory, tmp_path) -> None:
    assert cli("push", memory / "reflection.duckdb").code == 0

    most = (memory / "reflection.duckdb").stat().st_size - 4096  # coverage's own file has to fit, too

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    outcome = process("restore", "--to", tmp_path / "back", preexec_fn=small_disk)
    assert outcome.code == 1
    assert "back" in outcome.error
    assert "free some space" in outcome.error
    assert list((tmp_path / "back").iterdir()) == []


def test_restore_replaces_nothing(cli, store, memory, tmp_path) -> None:
    cli("push", memory / "reflection.duckdb")
    there = tmp_path / "back" / "reflection.duckdb"
    there.parent.mkdir()
    there.write_text("mine")
    outcome = cli("restore", "--to", there.parent)
    assert outcome.code == 11
    assert "--force" in outcome.error
    assert there.read_text() == "mine"
    outcome = cli("restore", "--to", there)
    assert outcome.code == 2
    outcome = cli("restore", "--to", tmp_path / "x", "--file", "other.duckdb")
    assert outcome.code == 10
    assert "reflection.duckdb" in outcome.error


@pytest.mark.parametrize(
    "args",
    [
        ["push", "--no-such-option"],
        ["frobnicate"],
        ["restore"],
        ["verify", "--level", "deep"],
        ["verify", "--level", "data", "--sample", "0"],
        ["verify", "--level", "data", "--sample", "101"],
        ["verify", "--level", "data", "--sample", "nan"],
        ["verify", "--sample", "5"],
        ["show", "a", "b"],
    ],
)
def test_usage_errors(cli, store, args) -> None:
    outcome = cli(*args)
    assert outcome.code == 2
    assert "--help" in outcome.error
    as_json = cli(*args, "--json")
    assert as_json.code == 2
    assert as_json.out == ""
    assert as_json.json_error["kind"] == "UsageError"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB, where the tests may mount one."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
def test_a_full_disk(cli, store, memory, full_disk, monkeypatch) -> None:
    path = memory / "reflection.duckdb"
    assert cli("push", path).code == 0
    outcome = cli("restore", "--to", full_disk / "back")
    assert outcome.code == 1
    assert "No space left on device" in outcome.error
    assert "free some space" in outcome.error
    assert list((full_disk / "back").iterdir()) == []
    dense = full_disk.parent / "dense"
    dense.write_bytes(random.Random(1).randbytes(500_000))
    outcome = cli("push", dense, "--store", full_disk / "store")
    assert outcome.code == 1
    assert "no space left on device" in outcome.error
    assert list(full_disk.rglob("manifest.json")) == []
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(full_disk / "state"))
    outcome = cli("push", path, "--store", full_disk.parent / "elsewhere")
    assert outcome.code == 0, "the state folder is only a convenience"
    assert "no room" in outcome.err
    assert [found.name for found in full_disk.rglob("*.duckdb*")] == []


def test_a_full_disk_under_the_demo(cli, full_disk) -> None:
    outcome = cli("demo", "--keep", full_disk / "demo")
    assert outcome.code == 1
    assert "space" in outcome.error.lower()
