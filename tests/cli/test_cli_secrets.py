"""A full run with marked credentials and marked records: none of them shows where it has no business."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from cli_runner import Outcome, command_line
from fake_akosha import FakeAkosha, running_fake
from memory_db import REFLECTION, build

pytestmark = [pytest.mark.seaweed, pytest.mark.skipif(os.name != "posix", reason="modes and /proc")]

KEY, SECRET, SESSION = "AKIAMARKEDKEY0000001", "marked/secret+0000000000000000000000000001", "marked-session-token"
TOKEN, PASSWORD = "marked-akosha-token", "marked-password"
RECORD = "zebra marked record"
CREDENTIALS = (SECRET, SESSION, TOKEN, PASSWORD)
EVERYWHERE = (*CREDENTIALS, KEY, RECORD)
"""What shows in no output. The key's name is no secret, but nobody needs it either."""


class Watch:
    """Reads every command line and every title on this machine, again and again, for what must not be there."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.looked = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    for file in ("cmdline", "comm"):
                        with contextlib.suppress(OSError):
                            said = (process / file).read_bytes().decode(errors="replace")
                            self.looked += "akosha_snap" in said
                            self.seen |= {marker for marker in EVERYWHERE if marker in said}


class Run:
    """Commands as processes of one user, and all they said."""

    def __init__(self, folder: Path, environment: dict[str, str], umask: int, bucket: str, client: Any) -> None:
        self.folder = folder
        self.environment = environment
        self.umask = umask
        self.bucket = bucket
        self.client = client
        self.said: list[str] = []

    def __call__(self, *args: object, given: str | None = None, **changed: str) -> Outcome:
        """Run a command; `changed` are environment variables."""
        done = subprocess.run(
            command_line(*args), capture_output=True, text=True, cwd=self.folder, input=given,
            env=self.environment | changed, umask=self.umask, timeout=60,
        )  # fmt: skip
        self.said += [done.stdout, done.stderr]
        return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def akosha() -> Iterator[FakeAkosha]:
    with running_fake() as fake:
        fake.token = TOKEN
        yield fake


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path, akosha: FakeAkosha, moto_endpoint: str) -> Iterator[Run]:
    data = tmp_path / "data"
    data.mkdir()
    build(data, conversations=5)
    with duckdb.connect(str(data / REFLECTION)) as connection:
        connection.execute("UPDATE conversations_v2 SET content = ? || content, searchable_content = ?", [RECORD] * 2)
    client = boto3.session.Session().client(
        "s3", endpoint_url=moto_endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    bucket = f"secrets-{os.getpid()}-{request.param}"
    client.create_bucket(Bucket=bucket)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SESSION,
        "AKOSHA_API_TOKEN": TOKEN, "AKOSHA_URL": akosha.url, "AKOSHA_SYSTEM_ID": "laptop",
        "AKOSHA_SNAP_STORE": f"s3://{bucket}/base", "AKOSHA_CLOUD_ENDPOINT": moto_endpoint,
        "AKOSHA_SNAP_DATA_DIR": str(data), "AKOSHA_SNAP_STATE_DIR": str(tmp_path / "deep" / "state"),
        "AKOSHA_SNAP_DEBUG": "1",  # tracebacks, too
    }  # fmt: skip
    yield Run(tmp_path, environment, request.param, bucket, client)
    for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        client.delete_object(Bucket=bucket, Key=item["Key"])
    client.delete_bucket(Bucket=bucket)
    client.close()


def _refused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _good_run(run: Run) -> None:
    for arguments in (["push"], ["push", "--json"], ["list"], ["show", "--json"], ["status"],
                      ["verify", "--json"], ["restore", "--to", run.folder / "restored"]):  # fmt: skip
        assert run(*arguments).code == 0, run.said


def _everything(run: Run, akosha: FakeAkosha, seaweed: Any) -> None:
    """What a user does in a year, faults included."""
    _good_run(run)
    assert run("list", "--json").code == run("show", "--chunks").code == run("verify", "--level", "open").code == 0
    assert run("status", "--json").code == 0
    assert run("push", "--method", "http", "--json").code == 0
    assert akosha.stored
    akosha.faults.extend([(500, {}, TOKEN.encode()), {"isError": True, "content": [{"type": "text", "text": TOKEN}]}])
    run("push", "--method", "http", "--full", "--json")
    run("push", "--method", "http", AKOSHA_API_TOKEN=f"{TOKEN}-wrong")
    run("push", AKOSHA_URL=f"http://127.0.0.1:{_refused_port()}/mcp", AKOSHA_SNAP_STORE="/proc/none")
    run("push", "--method", "http", AKOSHA_URL=f"http://user:{PASSWORD}@127.0.0.1:1/mcp")
    assert run("list", AKOSHA_CLOUD_ENDPOINT=seaweed.endpoint).code == 12
    assert run("push", "--json", "--no-fallback", AKOSHA_CLOUD_ENDPOINT=seaweed.endpoint).code == 12
    run("push", AKOSHA_CLOUD_ENDPOINT=seaweed.endpoint, AWS_RETRY_MODE="standard")  # boto3's own client
    for url in (
        f"s3://user:{PASSWORD}@bucket",
        f"s3://b-cket?endpoint=http://u:{PASSWORD}@h",
        f"s3://x?key={PASSWORD}",
    ):
        for command in ("push", "status"):
            run(command, AKOSHA_SNAP_STORE=url)
    run("list", AKOSHA_CLOUD_ENDPOINT=f"http://user:{PASSWORD}@127.0.0.1:1")
    run("hook", "install", "--settings", run.folder / "settings.json")
    started = {"hook_event_name": "SessionEnd", "session_id": "s", "reason": "exit"}
    run("hook", "run", "--json", given=json.dumps(started))
    log = Path(run.environment["AKOSHA_SNAP_STATE_DIR"]) / "sync.log"
    until = time.monotonic() + 20
    while time.monotonic() < until and not (log.exists() and log.read_text().count("\n") > 1):
        time.sleep(0.05)
    run("hook", "run", AKOSHA_SNAP_STORE=f"s3://user:{PASSWORD}@bucket", AKOSHA_URL="http://127.0.0.1:1/mcp")
    time.sleep(1)
    run("status")
    run("status", "--json")


@pytest.mark.parametrize("run", [0o000], indirect=True, ids=["umask-000"])
def test_no_secret_shows(run: Run, akosha: FakeAkosha, seaweed: Any) -> None:
    with Watch() as watch:
        _everything(run, akosha, seaweed)
    assert watch.looked
    assert not watch.seen
    for said in run.said:
        assert not [marker for marker in EVERYWHERE if marker in said], said
    _check_modes(run)

    state = Path(run.environment["AKOSHA_SNAP_STATE_DIR"])
    holding = set()
    for path in [*state.rglob("*"), run.folder / "settings.json"]:
        if path.is_file():
            content = path.read_bytes()
            assert not [marker for marker in (*CREDENTIALS, KEY) if marker.encode() in content], path
            if RECORD.encode() in content:
                holding.add(path.name)
    assert holding == {REFLECTION}, "the mirror alone"

    listed = run.client.list_objects_v2(Bucket=run.bucket)["Contents"]
    assert any("/packs/" in item["Key"] for item in listed)
    for item in listed:
        content = run.client.get_object(Bucket=run.bucket, Key=item["Key"])["Body"].read()
        markers = CREDENTIALS if "/packs/" in item["Key"] else EVERYWHERE
        assert not [marker for marker in markers if marker.encode() in content], item["Key"]


@pytest.mark.parametrize("run", [0o022], indirect=True, ids=["umask-022"])
def test_nothing_is_open_to_others_with_the_usual_umask(run: Run) -> None:
    assert run("push").code == run("restore", "--to", run.folder / "restored").code == 0
    assert run("push", "--method", "http").code == 0
    _check_modes(run)


def _check_modes(run: Run) -> None:
    state = Path(run.environment["AKOSHA_SNAP_STATE_DIR"])
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [state.parent, state, *state.rglob("*")]}
    assert {path: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}
    restored = list((run.folder / "restored").iterdir())
    assert restored
    assert {stat.S_IMODE(path.stat().st_mode) for path in restored} == {0o600}
