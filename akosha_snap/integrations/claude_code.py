"""Claude Code's `SessionEnd` hook: our entry in its settings file, put in and taken out again.

The file belongs to somebody else: everything in it stays, in its order, and nothing is written
where nothing changes. Its form: https://code.claude.com/docs/en/hooks
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from akosha_snap.integrations.settings_file import SettingsEdit, as_text, read_settings, refusal

__all__ = ["hook_command", "plan_install", "plan_uninstall"]

_EVENT = "SessionEnd"

_TIMEOUT = 10
"""Seconds for the hook, which only starts the sync: 0.1 s and Python's own start."""

_WORD = r"""(?:'[^']*'|"[^"]*"|[^\s'"`;&|<>()])+"""
_PROGRAM = r"""(?:[^\s'"`;&|<>()]*|'[^']*|"[^"]*)akosha[-_]snap(?:\.exe)?['"]?"""
_OURS = re.compile(rf"(?:{_WORD}(?: -P)? -m akosha_snap|{_PROGRAM}) hook run")
"""The whole of a command of ours, of any version: one that does more is the user's own."""


def hook_command(python: str) -> str:
    """The command line of the hook, by this very Python: a session's PATH may hold another, or none.

    `-P` keeps the modules of the project that the session ran in from being taken for ours.
    """
    parts = [python, "-P", "-m", "akosha_snap", "hook", "run"]
    return subprocess.list2cmdline(parts) if os.name == "nt" else shlex.join(parts)


def plan_install(path: Path, command: str) -> SettingsEdit:
    """The change that makes `command` run at the end of a session, in place of an older entry of ours.

    Raises ConfigError where the file is not what Claude Code reads, SourceError where it cannot be read.
    """
    path, before, settings = read_settings(path)
    entry = {"type": "command", "command": command, "timeout": _TIMEOUT}
    groups = _groups(path, settings)
    found = [hook for group in groups for hook in group["hooks"] if _is_ours(hook)]
    if found == [entry]:
        return SettingsEdit(path, before, before)
    _remove(groups)
    groups.append({"hooks": [entry]})
    settings.setdefault("hooks", {})[_EVENT] = groups
    return SettingsEdit(path, before, as_text(settings, before))


def plan_uninstall(path: Path) -> SettingsEdit:
    """The change that takes our entries out, and what was only there for them. Raises as plan_install does."""
    path, before, settings = read_settings(path)
    groups = _groups(path, settings)
    if not any(_is_ours(hook) for group in groups for hook in group["hooks"]):
        return SettingsEdit(path, before, before)
    _remove(groups)
    settings["hooks"][_EVENT] = groups
    if not groups:
        del settings["hooks"][_EVENT]
    if not settings["hooks"]:
        del settings["hooks"]
    return SettingsEdit(path, before, as_text(settings, before))


def _groups(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """What the file says of our event, checked as far as we touch it."""
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict):
        raise refusal(path, "its `hooks` is not an object")
    groups = hooks.get(_EVENT, [])
    well_formed = isinstance(groups, list) and all(
        isinstance(group, dict) and isinstance(group.get("hooks"), list) for group in groups
    )
    if not well_formed:
        raise refusal(path, f"its `hooks.{_EVENT}` is not a list of objects with `hooks`")
    return list(groups)


def _is_ours(hook: Any) -> bool:
    return isinstance(hook, dict) and isinstance(hook.get("command"), str) and bool(_OURS.fullmatch(hook["command"]))


def _remove(groups: list[dict[str, Any]]) -> None:
    """Take our hooks out, and the groups that then hold none."""
    for group in list(groups):
        kept = [hook for hook in group["hooks"] if not _is_ours(hook)]
        if not kept and group["hooks"]:
            groups.remove(group)
        else:
            group["hooks"] = kept
