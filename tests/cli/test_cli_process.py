"""What only a process of its own shows: signals, pipes, terminals, speed at the start."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runner import command_line

SAFE = "every snapshot in the store is whole; run the same push again, what was uploaded is reused"


@pytest.fixture
def silent_server(monkeypatch) -> Iterator[str]:
    """The URL of a store on a server that takes connections and never answers."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"s3://bucket?endpoint=http://127.0.0.1:{server.getsockname()[1]}"


def _stopped(args: list[object], number: int) -> tuple[int, str, str]:
    """Start the command, send it the signal once it waits for the server, and see how it ends."""
    process = subprocess.Popen(command_line(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not _is_connected(process.pid):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    started = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    return process.returncode, out, err


def _is_connected(pid: int) -> bool:
    try:
        return any(str(fd.readlink()).startswith("socket:") for fd in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # closed between the two looks
        return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@linux
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_stopped_push_cleans_up_and_says_what_is_safe(
    environment, silent_server, memory, tmp_path, monkeypatch, number, code, word
) -> None:
    state = tmp_path / "state"
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(state))
    args = ["push", memory / "reflection.duckdb", "--store", silent_server]
    returned, out, err = _stopped(args, number)
    assert returned == code
    assert out == ""
    assert err == f"akosha-snap: error: {word}; {SAFE}\n"
    assert [path for path in state.rglob("*") if "reflection" in path.name] == []
    returned, out, err = _stopped([*args, "--json"], number)
    assert returned == code
    assert json.loads(out)["success"] is False
    assert json.loads(err)["error"]["kind"] == "Interrupted"


@linux
def test_a_stopped_list(environment, silent_server) -> None:
    assert _stopped(["list", "--store", silent_server], signal.SIGTERM) == (143, "", "akosha-snap: error: terminated\n")


@linux
def test_a_stopped_restore(environment, silent_server, tmp_path) -> None:
    code, out, err = _stopped(["restore", "--to", tmp_path / "back", "--store", silent_server], signal.SIGTERM)
    assert (code, out) == (143, "")
    assert err.endswith("no file under its final name is half done; run the same restore again\n")
    assert not (tmp_path / "back").exists()


def test_nobody_reads_the_output(environment, store, memory) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        command_line("push", memory / "reflection.duckdb"), stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert process.returncode == 1
    assert process.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_output_cannot_be_written(environment, store, memory) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(command_line("demo", "--help"), stdout=full, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 1
    assert process.stderr.count("\n") == 1
    assert "No space left" in process.stderr


def test_names_that_the_terminal_cannot_show(process, store, tmp_path, monkeypatch) -> None:
    (tmp_path / "日記.txt").write_text("x")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    outcome = process("push", "日記.txt")
    assert outcome.code == 0
    assert "\\u65e5\\u8a18.txt" in outcome.out


def test_version_is_quick(environment) -> None:
    best = 9.0
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command_line("--version"), capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert re.fullmatch(r"akosha-snap, version \S+\n", done.stdout)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # the target is 0.15 s; coverage and a busy machine take their share
    assert best < (0.6 if "COVERAGE_PROCESS_START" in os.environ or "COVERAGE_PROCESS_CONFIG" in os.environ else 0.25)


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["push", "--help"]])
def test_help_imports_nothing_heavy(environment, args) -> None:
    source = (
        "import sys\nfrom akosha_snap.cli.boundary import run\n"
        f"assert run({args!r}) == 0\n"
        "heavy = {'boto3', 'duckdb', 'numpy', 'rich', 'msgspec', 'akosha_snap.api'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", source], check=True, capture_output=True)


def _on_a_terminal(args: list[object], **variables: str) -> tuple[int, str]:
    """Run the command with stdout and stderr on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **variables}
    process = subprocess.Popen(command_line(*args), stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        select.select([ours], [], [], 30)
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not data:
            break
        seen += data
    os.close(ours)
    return process.wait(timeout=30), seen.decode()


def test_progress_on_a_terminal(environment, store, memory) -> None:
    code, seen = _on_a_terminal(["push", memory / "reflection.duckdb"])
    assert code == 0
    assert "uploading" in seen
    assert re.search(r"\x1b\[[0-9;]*3[0-9]m", seen)
    assert "saved in" in seen.splitlines()[-1]


def test_no_color(environment, store, memory) -> None:
    code, seen = _on_a_terminal(["push", memory / "reflection.duckdb"], NO_COLOR="1")
    assert code == 0
    assert "saved in" in seen
    assert not re.search(r"\x1b\[[0-9;]*[349][0-9]m", seen)


def test_json_on_a_terminal_is_json_alone(environment, store, memory) -> None:
    code, seen = _on_a_terminal(["push", memory / "reflection.duckdb", "--json"])
    assert code == 0
    assert json.loads(seen)["success"] is True


def test_a_bug_is_one_line(cli, store, monkeypatch) -> None:
    from akosha_snap import api

    monkeypatch.setattr(api, "snapshots", lambda *_, **__: 1 / 0)
    outcome = cli("list")
    assert outcome.code == 1
    assert outcome.error == (
        "ZeroDivisionError: division by zero; this is a bug, run with AKOSHA_SNAP_DEBUG=1 for the traceback"
    )
    monkeypatch.setenv("AKOSHA_SNAP_DEBUG", "1")
    assert "Traceback" in cli("list").err
    assert cli("list", "--json").code == 1


def test_an_os_error_is_one_line(cli, store, monkeypatch) -> None:
    from akosha_snap import api

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/full/disk")

    monkeypatch.setattr(api, "push", fail)
    outcome = cli("push", "x", "--json")
    assert outcome.code == 1
    assert outcome.json_error["message"] == "/full/disk: No space left on device"
    assert outcome.json["error"].startswith("/full/disk: ")


def test_no_command(process) -> None:
    outcome = process()
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("Usage: akosha-snap ")


def test_the_configuration_file(process, memory, tmp_path, clean_environment) -> None:
    folder = clean_environment / ".config" / "akosha-snap"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'store = "{tmp_path}/s"\nsystem_id = "from-file"\ndata_dir = "{memory}"\n')
    assert process("push").code == 0
    assert "system from-file" in process("list").out
    (folder / "config.toml").write_text('stor = "x"\n')
    outcome = process("list")
    assert outcome.code == 2
    assert "config.toml" in outcome.error
    assert "`stor`" in outcome.error
