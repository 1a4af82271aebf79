"""The demo: told in ten lines, checked in all it claims, and gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_runner import command_line

from akosha_snap.demo.compare import compare_bytes, compare_rows
from akosha_snap.demo.process import running_writer
from akosha_snap.errors import AkoshaSnapError


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files, to see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_demo(process, temporary) -> None:
    started = time.monotonic()
    outcome = process("demo")
    assert time.monotonic() - started < 120
    assert outcome.code == 0, outcome
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    assert [line[:4] for line in lines] == [f"{number:2}. " for number in range(1, 11)]
    assert [line.split()[1] for line in lines] == (
        ["memory", "rows", "push", "session", "push", "push", "verify", "restore", "restore", "done"]
    )
    assert max(map(len, lines)) <= 120
    assert list(temporary.iterdir()) == []


def test_demo_kept_as_json(process, temporary, tmp_path, monkeypatch) -> None:
    outcome = process("demo", "--keep", "story", "--json")
    assert outcome.code == 0, outcome
    result = outcome.json
    assert [step["step"] for step in result["steps"]] == (
        ["built", "pushed", "worked", "pushed", "pushed", "checked", "restored", "restored"]
    )
    first, second, third = (step["result"] for step in result["steps"] if step["step"] == "pushed")
    assert second["bytes_transferred"] < first["bytes_transferred"] / 20
    assert third["unchanged"] is True
    kept = tmp_path / "story"
    assert {path.name for path in kept.iterdir()} == {"memory", "restored-1", "restored-2", "state", "store"}
    monkeypatch.setenv("AKOSHA_SNAP_STORE", str(kept / "store"))
    listed = process("list", "--system-id", "demo", "--json").json["snapshots"]
    assert [snapshot["upload_id"] for snapshot in listed] == [second["upload_id"], first["upload_id"]]
    again = process("demo", "--keep", kept)
    assert again.code == 11
    assert "is not empty" in again.error
    taken = tmp_path / "taken"
    taken.touch()
    assert process("demo", "--keep", taken).code == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_demo_leaves_nothing(environment, temporary, number, code) -> None:
    # a session of its own, signalled whole, as a terminal does it
    process = subprocess.Popen(
        command_line("demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    first = process.stdout.readline()
    writer = int(first.split()[3])
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert err.count("\n") == 1
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(writer, 0)


def test_the_writer_leaves_when_the_demo_is_killed(environment, temporary) -> None:
    process = subprocess.Popen(command_line("demo"), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    writer = int(process.stdout.readline().split()[3])
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _runs(writer):
        time.sleep(0.05)
    assert not _runs(writer)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rsplit(")", 1)[1].split()[0] != "Z"


def test_the_comparisons_see_a_difference(tmp_path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    with running_writer(one) as writer:
        writer.build()
        rows = writer.digests()
        writer.close()
    compare_rows(one, rows, "it")
    with pytest.raises(AkoshaSnapError, match="other rows than the writer had in kg_entities"):
        compare_rows(one, rows | {"kg_entities": (rows["kg_entities"][0], "0" * 64)}, "it")
    with pytest.raises(AkoshaSnapError, match="has the files"):
        compare_bytes(one, other, "it", "the other")
    for path in one.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    assert compare_bytes(one, other, "it", "the other") == sum(path.stat().st_size for path in one.iterdir())
    with (other / "reflection.duckdb").open("r+b") as file:
        file.seek(5000)
        file.write(b"X")
    with pytest.raises(AkoshaSnapError, match=r"reflection\.duckdb: it differs from the other"):
        compare_bytes(one, other, "it", "the other")


def test_a_writer_that_fails_says_why(tmp_path) -> None:
    with (
        pytest.raises(AkoshaSnapError, match="could not build: IOException"),
        running_writer(tmp_path / "no") as writer,
    ):
        writer.build()
    with running_writer(tmp_path) as writer:
        os.kill(writer.pid, signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(AkoshaSnapError, match="ended when told to build"):
            writer.build()


def test_the_writer_needs_nothing_but_duckdb(tmp_path) -> None:
    from akosha_snap.demo import writer

    orders = "".join(json.dumps({"do": do, "folder": str(tmp_path)}) + "\n" for do in ("build", "digests", "close"))
    done = subprocess.run(
        [sys.executable, "-P", str(writer.__file__)],
        input=orders,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(reply) for reply in replies] == [["answer"]] * 3
    assert replies[1]["answer"]["conversations_v2"][0] == 1620
