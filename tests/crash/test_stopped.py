"""Ctrl-C (to all of the terminal's processes) and SIGTERM in the middle: a word on what is safe, and no child left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fault_proxy import ALWAYS, FaultProxy, Rule, running_fault_proxy

import akosha_snap
from akosha_snap import api
from akosha_snap.config import load_settings
from akosha_snap.sync.status import sync_status
from akosha_snap.sync.wire import SyncRequest

pytestmark = [
    pytest.mark.seaweed,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

WORDS = {"SIGINT": ("interrupted", 130), "SIGTERM": ("terminated", 143)}
PUSH = "every snapshot in the store is whole; run the same push again, what was uploaded is reused"
RESTORE = "no file under its final name is half done; run the same restore again"
SLEEPER = """
import pathlib, sys, time
if "akosha_snap.source.child" in sys.orig_argv:
    pathlib.Path(__file__).with_name("asleep").touch()
    time.sleep(60)
"""
"""For sitecustomize: the one child of the command's push counts records."""


@pytest.fixture
def proxy(seaweed):
    with running_fault_proxy(seaweed.endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(proxy, seaweed_bucket, tmp_path, memory, monkeypatch) -> str:
    """A store behind the proxy, the settings for it in the environment."""
    monkeypatch.setenv("PYTHONPATH", str(Path(akosha_snap.__file__).parents[1]))
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(memory))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "laptop")
    monkeypatch.setenv("AKOSHA_SNAP_STORE", f"s3://{seaweed_bucket}/base?endpoint={proxy.endpoint}")
    return f"s3://{seaweed_bucket}/base?endpoint={proxy.endpoint}"


def _stopped(
    args: list[object], name: str, ready: Callable[[int], bool], said: bytes = b""
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Start it as a shell does, send the signal once `ready`; how it ended, and after how many seconds."""
    command = [sys.executable, "-m", *map(str, args)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    assert process.stdin
    process.stdin.write(said)
    process.stdin.close()
    process.stdin = None
    until = time.monotonic() + 60
    while not ready(process.pid) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    started = time.monotonic()
    if name == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    out, err = process.communicate(timeout=60)
    took = time.monotonic() - started
    _no_child_left(process.pid)
    return subprocess.CompletedProcess(command, process.returncode, out.decode(), err.decode()), took


def _group(leader: int) -> list[int]:
    """The processes of a session, but for its leader."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and int(stat.parent.name) != leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _no_child_left(leader: int) -> None:
    until = time.monotonic() + 5
    while _group(leader) and time.monotonic() < until:
        time.sleep(0.01)
    assert _group(leader) == []


def _hangs(proxy: FaultProxy, method: str, key: str) -> Callable[[int], bool]:
    rule = Rule("hang", method, key, times=ALWAYS)
    proxy.rules = [rule]
    return lambda _: bool(rule.hit)


def _ended_well(process: subprocess.CompletedProcess[str], took: float, name: str, safe: str) -> None:
    word, code = WORDS[name]
    assert process.stderr == f"akosha-snap: error: {word}; {safe}\n"
    assert (process.returncode, process.stdout) == (code, "")
    assert took < 10


def _goes_on(proxy: FaultProxy, store: str, tmp_path: Path, memory: Path) -> None:
    """Nothing of the copies is left, the store is whole, and the next push succeeds."""
    assert [path for path in (tmp_path / "state").rglob("*") if "staging" in str(path)] == []
    proxy.rules = []
    files = [memory / name for name in ("reflection.duckdb", "knowledge_graph.duckdb")]
    api.push(files, store, system_id="laptop", state_dir=tmp_path / "state", stage_in_child=False)
    assert api.verify(store, "all", level="data", system_id="laptop").ok


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.stress)])
@pytest.mark.parametrize("key", ["/packs/", pytest.param("manifest.json", marks=pytest.mark.stress)])
def test_a_push_while_it_uploads(proxy, store, tmp_path, memory, name, key):
    _ended_well(*_stopped(["akosha_snap", "push"], name, _hangs(proxy, "PUT", key)), name, PUSH)
    _goes_on(proxy, store, tmp_path, memory)
    status = sync_status(load_settings(), _now())
    assert (status.state, status.last.failure.message) == ("failed", WORDS[name][0])


@pytest.mark.parametrize("name", [pytest.param("SIGINT", marks=pytest.mark.stress), "SIGTERM"])
def test_a_push_while_duckdb_counts(proxy, store, tmp_path, memory, monkeypatch, name):
    (tmp_path / "sitecustomize.py").write_text(SLEEPER)
    asleep = tmp_path / "asleep"  # from then on its parent knows of it
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
        _ended_well(*_stopped(["akosha_snap", "push"], name, lambda _: asleep.exists()), name, PUSH)
    _goes_on(proxy, store, tmp_path, memory)


@pytest.mark.stress
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_what_reads_or_deletes(proxy, store, tmp_path, memory, name):
    _goes_on(proxy, store, tmp_path, memory)
    back = tmp_path / "back"
    stopped = _stopped(["akosha_snap", "restore", "--to", back], name, _hangs(proxy, "GET", "/packs/"))
    _ended_well(*stopped, name, RESTORE)
    assert not list(back.glob("*"))
    stopped = _stopped(["akosha_snap", "verify", "--level", "data"], name, _hangs(proxy, "GET", "/packs/"))
    _ended_well(*stopped, name, "nothing was changed; run it again")
    proxy.rules = []
    (memory / "more.txt").write_text("more")
    api.push([memory / "more.txt"], store, system_id="laptop", state_dir=tmp_path / "state", stage_in_child=False)
    stopped = _stopped(["akosha_snap", "prune", "--keep-last", 1], name, _hangs(proxy, "DELETE", "manifest.json"))
    _ended_well(*stopped, name, "every snapshot that is left is whole; run the same prune again")
    _goes_on(proxy, store, tmp_path, memory)


def test_a_sync_in_the_background(proxy, store, tmp_path, memory):
    request = msgspec.json.encode(SyncRequest(triggered_by="manual"))
    stopped, took = _stopped(["akosha_snap.sync.child"], "SIGTERM", _hangs(proxy, "PUT", "/packs/"), request)
    assert (stopped.returncode, stopped.stderr) == (143, "")
    assert took < 10
    said = json.loads(stopped.stdout)["failure"]
    assert (said["kind"], said["message"], said["exit_code"]) == ("Interrupted", "terminated", 143)
    status = sync_status(load_settings(), _now())
    assert (status.state, status.running_since) == ("failed", None)
    _goes_on(proxy, store, tmp_path, memory)


def _now() -> Any:
    import datetime as dt

    return dt.datetime.now(dt.UTC)
