"""Our entry in Claude Code's settings: put in, taken out, everything else left as it was."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from akosha_snap.errors import ConfigError, ConflictError, SourceError
from akosha_snap.integrations.claude_code import hook_command, plan_install, plan_uninstall
from akosha_snap.integrations.settings_file import apply

OTHERS = {
    "model": "opus",
    "hooks": {
        "SessionEnd": [{"matcher": "clear", "hooks": [{"type": "command", "command": "echo bye"}]}],
        "Stop": [{"hooks": [{"type": "command", "command": "say ready"}]}],
    },
    "permissions": {"allow": ["Bash(ls:*)"], "ünï": "日本"},
}
COMMAND = hook_command(sys.executable)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "claude" / "settings.json"


def _install(path: Path, command: str = COMMAND) -> bool:
    edit = plan_install(path, command)
    apply(edit)
    return edit.changed


def _uninstall(path: Path) -> bool:
    edit = plan_uninstall(path)
    apply(edit)
    return edit.changed


def _ours(path: Path) -> list[str]:
    groups = json.loads(path.read_text())["hooks"]["SessionEnd"]
    return [hook["command"] for group in groups for hook in group["hooks"] if "akosha_snap" in hook["command"]]


def test_into_no_file_at_all(settings) -> None:
    assert _install(settings)
    assert json.loads(settings.read_text()) == {
        "hooks": {"SessionEnd": [{"hooks": [{"type": "command", "command": COMMAND, "timeout": 10}]}]}
    }
    assert [path.name for path in settings.parent.iterdir()] == ["settings.json"]


def test_all_else_stays_and_uninstall_is_the_way_back(settings) -> None:
    settings.parent.mkdir()
    before = json.dumps(OTHERS, indent=4, ensure_ascii=False) + "\n"
    settings.write_text(before)
    settings.chmod(0o640)
    assert _install(settings)
    after = json.loads(settings.read_text())
    assert after["hooks"]["SessionEnd"][0] == OTHERS["hooks"]["SessionEnd"][0]
    assert list(after) == list(OTHERS)
    assert after["hooks"]["Stop"] == OTHERS["hooks"]["Stop"]
    assert settings.read_text().startswith('{\n    "model"')
    assert settings.with_name("settings.json.akosha-snap.bak").read_text() == before
    if os.name == "posix":
        assert settings.stat().st_mode & 0o777 == 0o640
    assert _uninstall(settings)
    assert settings.read_text() == before


def test_again_changes_nothing(settings) -> None:
    _install(settings)
    before = settings.stat()
    assert not _install(settings)
    after = settings.stat()  # reading it may move its access time, nothing else
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert _uninstall(settings)
    assert settings.read_text() == "{}\n"
    assert not _uninstall(settings)


def test_an_older_entry_gives_way(settings) -> None:
    for command in (
        "/old/venv/bin/akosha-snap hook run",
        "'/o l d/python' -m akosha_snap hook run",
        "'/o l d/python' -P -m akosha_snap hook run",
    ):
        _install(settings, command)
        assert _ours(settings) == [command] or "akosha-snap" in command
    assert _install(settings)
    assert _ours(settings) == [COMMAND]
    assert "akosha-snap hook run" not in settings.read_text()


def test_another_command_that_names_us_is_not_ours(settings) -> None:
    settings.parent.mkdir()
    for command in ("akosha-snap status", "A=1 akosha-snap hook run; mine", "mine && akosha-snap hook run"):
        theirs = {"hooks": {"SessionEnd": [{"hooks": [{"type": "command", "command": command}]}]}}
        settings.write_text(json.dumps(theirs))
        assert not _uninstall(settings)
        assert _install(settings)
        assert command in settings.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "// a comment\n{}",
        "[]",
        '{"hooks": []}',
        '{"hooks": {"SessionEnd": {}}}',
        '{"hooks": {"SessionEnd": [{"command": "x"}]}}',
        '{"model": "a", "model": "b"}',
        '{"n": 1e400}',
        '{"n": NaN}',
        '{"a": "\\ud800"}',
    ],
)
def test_a_file_of_another_form_is_refused_and_stays(settings, text) -> None:
    settings.parent.mkdir()
    settings.write_text(text)
    for plan in (lambda: plan_install(settings, COMMAND), lambda: plan_uninstall(settings)):
        with pytest.raises(ConfigError, match=r"settings\.json.*it stays as it is"):
            plan()
    assert settings.read_text() == text
    settings.write_bytes(b"\xff{}")
    with pytest.raises(ConfigError, match="not UTF-8"):
        plan_install(settings, COMMAND)


def test_a_file_that_cannot_be_read_or_written(tmp_path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        plan_install(tmp_path, COMMAND)
    (tmp_path / "file").touch()
    with pytest.raises(SourceError):
        apply(plan_install(tmp_path / "file" / "settings.json", COMMAND))


def test_what_somebody_else_writes_meanwhile_stays(settings) -> None:
    new = plan_install(settings, COMMAND)
    settings.parent.mkdir()
    settings.write_text('{"theirs": 1}')
    with pytest.raises(ConflictError, match="was changed by somebody else just now"):
        apply(new)
    edit = plan_install(settings, COMMAND)
    settings.write_text('{"theirs": 2}')
    with pytest.raises(ConflictError):
        apply(edit)
    assert settings.read_text() == '{"theirs": 2}'
    settings.unlink()
    with pytest.raises(ConflictError):
        apply(edit)
    assert not settings.exists()


def test_no_copy_is_ever_overwritten(settings) -> None:
    settings.parent.mkdir()
    for number in range(1, 4):
        settings.write_text(json.dumps({"number": number}))
        assert _install(settings)
        _uninstall(settings)
    before = sorted(settings.parent.glob("settings.json.akosha-snap.bak*"))
    assert len(before) == 6
    kept = [path.read_text() for path in before]
    assert [json.loads(text).get("number") for text in kept if "hooks" not in text] == [1, 2, 3]
    settings.write_text(json.dumps({"number": 2}))
    edit = plan_install(settings, COMMAND)
    assert apply(edit) in before, "a copy with this very content is there"
    assert sorted(settings.parent.glob("settings.json.akosha-snap.bak*")) == before
    assert [path.read_text() for path in before] == kept


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_copy_is_not_written_through_a_link(settings, tmp_path) -> None:
    settings.parent.mkdir()
    settings.write_text("{}")
    (tmp_path / "precious").write_text("mine")
    (settings.parent / "settings.json.akosha-snap.bak").symlink_to(tmp_path / "precious")
    assert apply(plan_install(settings, COMMAND)) == settings.parent.resolve() / "settings.json.akosha-snap.bak2"
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_link_stays_a_link(settings, tmp_path) -> None:
    dotfiles = tmp_path / "dotfiles.json"
    dotfiles.write_text("{}")
    settings.parent.mkdir()
    settings.symlink_to(dotfiles)
    assert _install(settings)
    assert settings.is_symlink()
    assert _ours(dotfiles) == [COMMAND]


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")
def test_the_command_survives_a_shell(tmp_path) -> None:
    odd = tmp_path / "it's a python"
    odd.symlink_to(sys.executable)
    command = hook_command(str(odd))
    assert shlex.split(command) == [str(odd), "-P", "-m", "akosha_snap", "hook", "run"]
    done = subprocess.run(["sh", "-c", command.replace("hook run", "--version")], capture_output=True, text=True)
    assert "akosha-snap, version" in done.stdout or "No module named" in done.stderr


@pytest.mark.parametrize(("moment", "left"), [(1, []), (3, ["settings.json.akosha-snap.bak"])])
def test_a_crash_leaves_the_old_file(settings, monkeypatch, moment, left) -> None:
    settings.parent.mkdir()
    settings.write_text('{"model": "opus"}')
    fsync, calls = os.fsync, itertools.count(1)
    monkeypatch.setattr(os, "fsync", lambda number: 1 / 0 if next(calls) == moment else fsync(number))
    with pytest.raises(ZeroDivisionError):
        _install(settings)
    assert settings.read_text() == '{"model": "opus"}'
    assert sorted(path.name for path in settings.parent.iterdir()) == ["settings.json", *left]
