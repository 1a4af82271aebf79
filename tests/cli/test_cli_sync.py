"""`status`, `hook`, and which way `push` takes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from fake_akosha import running_fake

from akosha_snap.config import load_settings
from akosha_snap.source.spawn import child_environment
from akosha_snap.sync.state import under_way

KEYS = {"state", "last", "last_success", "running_since", "age_seconds", "system_id", "force_method"}
KEYS |= {"enable_fallback", "upload_on_session_end", "next_store", "next_akosha_url", "log"}


@pytest.fixture
def no_akosha(monkeypatch) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
    monkeypatch.setenv("AKOSHA_URL", url)
    return url


@pytest.fixture
def data(memory, monkeypatch) -> Path:
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(memory))
    return memory


def test_status_before_anything(cli) -> None:
    outcome = cli("status")
    assert (outcome.code, outcome.out) == (10, "no sync has ended yet\n")
    assert outcome.error == "no sync has ended yet; run `akosha-snap push`"
    outcome = cli("status", "--json")
    assert outcome.json.keys() >= KEYS
    assert outcome.json["state"] == "never"
    assert outcome.json_error["kind"] == "NothingThereError"


def test_status_after_a_push(cli, store, data) -> None:
    upload_id = cli("push", "--json").json["upload_id"]
    outcome = cli("status")
    assert (outcome.code, outcome.err) == (0, "")
    assert f": snapshot {upload_id}, " in outcome.out
    assert outcome.out.endswith("(command, system test)\n")
    found = cli("status", "--json").json
    assert (found["state"], found["last"]["result"]["triggered_by"]) == ("ok", "command")
    assert 0 <= found["age_seconds"] < 60
    assert cli("status", "--max-age", "1h").code == 0
    outcome = cli("status", "--max-age", "0s")
    assert outcome.code == 1
    assert "the last sync that worked was 0.0 hours ago" in outcome.error
    cli("push")
    assert f"nothing had changed since snapshot {upload_id}" in cli("status").out


@pytest.mark.parametrize("age", ["", "2", "2 d", "-1d", "d", "1y", "nan", "٣d"])
def test_a_duration_that_is_none(cli, age) -> None:
    outcome = cli("status", "--max-age", age)
    assert outcome.code == 2
    assert "is not a duration such as 90s" in outcome.error


def test_a_push_that_failed_shows_with_its_own_code(cli, store, data) -> None:
    cli("push")
    (data / "reflection.duckdb").write_bytes(b"no database")
    assert cli("push").code == 2
    outcome = cli("status")
    assert outcome.code == 2
    assert "is not a DuckDB database" in outcome.error
    first, second = outcome.out.splitlines()
    assert first.startswith("last sync ")
    assert first.endswith(": failed (command)")
    assert second.startswith("last that worked ")
    assert cli("status", "--max-age", "2d").code == 0


def test_a_push_waits_for_a_sync_that_is_at_work(cli, store, data, monkeypatch) -> None:
    state_dir = load_settings().state_dir
    at_work, waited_for = threading.Event(), threading.Event()

    def sync() -> None:
        with under_way(state_dir):
            at_work.set()
            waited_for.wait(30)

    def warn(messages: list[str]) -> None:
        said.extend(messages)
        waited_for.set()

    said: list[str] = []
    thread = threading.Thread(target=sync)
    thread.start()
    at_work.wait(30)
    named = cli("push", data / "reflection.duckdb")
    assert (named.code, named.err) == (0, ""), "which is no sync"
    with monkeypatch.context() as patch:
        patch.setattr("akosha_snap.cli.output.warn", warn)
        assert cli("push").code == 0
    thread.join()
    assert said == ["another sync is at work: waiting for it"]
    assert cli("push").err == ""


def test_a_push_does_not_wait_for_ever(cli, store, data, monkeypatch) -> None:
    monkeypatch.setattr("akosha_snap.sync.state._LOCK_TIMEOUT", 0.1)
    with under_way(load_settings().state_dir):
        outcome = cli("push")
    assert outcome.code == 11
    assert "another sync was at work" in outcome.error


def test_another_file_and_a_dry_run_are_no_sync(cli, store, data) -> None:
    cli("push", data / "reflection.duckdb")
    cli("push", "--dry-run")
    assert cli("status").code == 10


def test_status_needs_no_store_but_a_state_it_can_read(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AKOSHA_SNAP_STATE_DIR", str(tmp_path))
    (tmp_path / "last-sync.json").write_text("{")
    outcome = cli("status")
    assert outcome.code == 1
    assert "last-sync.json is not what a sync wrote" in outcome.error


def test_nothing_to_sync_to(cli, no_akosha, data) -> None:
    for args in (["push"], ["push", "--method", "auto"], ["push", "--no-fallback"]):
        outcome = cli(*args)
        assert outcome.code == 10
        assert outcome.error.startswith("nothing to sync to: no store is configured and Akosha does not answer at http")
        for way in ("AKOSHA_CLOUD_BUCKET", "AKOSHA_SNAP_STORE", "AKOSHA_URL"):
            assert way in outcome.error
    assert cli("push", "--json").json["success"] is False
    outcome = cli("push", "--method", "cloud")
    assert outcome.code == 2
    assert "no store was given" in outcome.error


@pytest.mark.parametrize("option", ["--dry-run", "--full-file"])
def test_what_needs_a_store(cli, option) -> None:
    for method in ("http", "auto"):
        outcome = cli("push", option, "--method", method)
        assert outcome.code == 2
        assert "--method cloud" in outcome.error


def test_full_is_for_http(cli, tmp_path) -> None:
    outcome = cli("push", "--full", "--store", tmp_path)
    assert outcome.code == 2
    assert "--full is for HTTP" in outcome.error


def test_full_where_the_settings_say_cloud(cli, data, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AKOSHA_FORCE_METHOD", "cloud")
    monkeypatch.setenv("AKOSHA_SNAP_STORE", str(tmp_path / "store"))
    outcome = cli("push", "--full")
    assert outcome.code == 2
    assert "--full is for HTTP, and the way is cloud alone" in outcome.error
    assert not (tmp_path / "store").exists()
    with running_fake() as akosha:
        monkeypatch.setenv("AKOSHA_URL", akosha.url)
        assert cli("push", "--full", "--method", "http").code == 0


def test_a_store_that_is_named_is_the_way(cli, no_akosha, data, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AKOSHA_FORCE_METHOD", "http")
    result = cli("push", "--store", tmp_path / "named", "--json").json
    assert (result["method"], "cloud_error" in result) == ("cloud", False)
    result = cli("push", "--store", tmp_path / "named", "--method", "auto", "--json").json
    assert (result["method"], result["unchanged"], result["cloud_error"]) == ("cloud", True, None)
    assert cli("push").code == 1  # by HTTP alone, and nobody there


def test_push_by_http(cli, data, monkeypatch) -> None:
    with running_fake() as akosha:
        monkeypatch.setenv("AKOSHA_URL", akosha.url)
        monkeypatch.setenv("AKOSHA_SYSTEM_ID", "test")
        outcome = cli("push")
        assert outcome.code == 0
        assert outcome.out.startswith(f"45 records sent to {akosha.url} in ")
        assert outcome.out.endswith(" requests (system test)\n")
        assert "40 of kind entity, 80 of kind relationship not sent" in outcome.err
        assert cli("push").out == f"no record is new: nothing sent to {akosha.url} (system test)\n"
        assert cli("push", "--full", "--json").json["http"]["duplicates"] == 45
        assert f": 45 records sent to {akosha.url} (command, system test)" in cli("status").out
        with duckdb.connect(str(data / "reflection.duckdb")) as connection:
            connection.execute("INSERT INTO conversations_v2 (id, content, category) VALUES ('bad', 'refuse', 'x')")
        outcome = cli("push", "--json")
        assert outcome.code == 3
        assert outcome.json["http"]["failed"] == 1
        assert outcome.json_error["kind"] == "PartialError"
        assert cli("status").code == 3
        assert cli("status", "--max-age", "1h").code == 0
        assert "1 record sent" in cli("status").out


def test_a_bad_way(cli) -> None:
    assert cli("push", "--method", "ftp").code == 2


def test_hook_install_and_uninstall(cli, clean_environment) -> None:
    settings = clean_environment / ".claude" / "settings.json"
    outcome = cli("hook", "install", "--dry-run")
    assert outcome.code == 0
    assert '+            "command": "' in outcome.out
    assert outcome.out.endswith("dry run: nothing was written\n")
    assert not settings.exists()
    assert cli("hook", "install").out == f"the hook is installed in {settings}\n"
    assert "akosha_snap hook run" in settings.read_text()
    assert cli("hook", "install").out == f"the hook is installed already: {settings} stays as it is\n"
    result = cli("hook", "uninstall", "--json").json
    assert result == {
        "changed": True,
        "dry_run": False,
        "settings": str(settings),
        "backup": f"{settings}.akosha-snap.bak",
    }
    assert cli("hook", "uninstall").out == f"the hook is not installed: {settings} stays as it is\n"
    assert json.loads(settings.read_text()) == {}


def test_hook_settings_elsewhere(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    cli("hook", "install")
    assert (tmp_path / "config" / "settings.json").exists()
    cli("hook", "install", "--settings", tmp_path / "mine.json")
    assert (tmp_path / "mine.json").exists()
    (tmp_path / "mine.json").write_text("{")
    outcome = cli("hook", "uninstall", "--settings", tmp_path / "mine.json")
    assert outcome.code == 2
    assert "not valid JSON" in outcome.error
    assert cli("hook", "run", "--dry-run").code == 2
    assert cli("hook", "start").code == 2


def test_the_hook_runs_nothing_of_the_projects(cli, store, data, tmp_path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("click", "secrets", "filelock", "duckdb"):
        code = f"open({str(tmp_path / 'ran')!r}, 'w')\nraise ImportError('of the project')\n"
        (project / f"{name}.py").write_text(code)
    cli("hook", "install", "--settings", tmp_path / "settings.json")
    hook = json.loads((tmp_path / "settings.json").read_text())["hooks"]["SessionEnd"][0]["hooks"][0]["command"]
    done = subprocess.run(hook, shell=True, cwd=project, capture_output=True, text=True, timeout=60)  # as Claude Code
    assert (done.returncode, done.stderr) == (0, "")
    deadline = time.monotonic() + 30
    while cli("status", "--json").json["state"] != "ok" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert cli("status", "--json").json["state"] == "ok"
    assert not (tmp_path / "ran").exists()


def test_the_folder_it_runs_in_is_not_handed_on(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    assert str(tmp_path) not in child_environment()["PYTHONPATH"].split(os.pathsep)


def test_hook_run_returns_at_once_and_the_sync_is_done(process, cli, store, data, monkeypatch) -> None:
    outcome = process("hook", "run", input='{"hook_event_name": "SessionEnd", "reason": "exit"}')
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    deadline = time.monotonic() + 30
    while cli("status", "--json").json["state"] != "ok" and time.monotonic() < deadline:
        time.sleep(0.1)
    found = cli("status", "--json").json
    assert (found["state"], found["last"]["result"]["triggered_by"]) == ("ok", "session_end")
    monkeypatch.setattr("sys.executable", "")
    assert "could not be started" in cli("hook", "run").error
