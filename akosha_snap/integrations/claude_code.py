"""Claude Code's `SessionEnd` hook: our entry in its settings file, put in and taken out again.

The file belongs to somebody else: everything in it stays, in its order, and nothing is written
where nothing changes. Its form: https://code.claude.com/docs/en/hooks
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from akosha_snap.atomic import publish, temporary_file
from akosha_snap.errors import ConfigError, SourceError

__all__ = ["HookEdit", "apply", "hook_command", "plan_install", "plan_uninstall"]

_EVENT = "SessionEnd"

_TIMEOUT = 10
"""Seconds for the hook, which only starts the sync: 0.1 s and Python's own start."""

_WORD = r"""(?:'[^']*'|"[^"]*"|[^\s'"`;&|<>()])+"""
_PROGRAM = r"""(?:[^\s'"`;&|<>()]*|'[^']*|"[^"]*)akosha[-_]snap(?:\.exe)?['"]?"""
_OURS = re.compile(rf"(?:{_WORD}(?: -P)? -m akosha_snap|{_PROGRAM}) hook run")
"""The whole of a command of ours, of any version: one that does more is the user's own."""

_BACKUP_SUFFIX = ".akosha-snap.bak"


class HookEdit(NamedTuple):
    """A change of a settings file: the texts before and after it, None where there is or was no file."""

    path: Path
    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after

    @property
    def backup(self) -> Path | None:
        """Where `apply` keeps the file as it was."""
        return (
            self.path.with_name(self.path.name + _BACKUP_SUFFIX) if self.changed and self.before is not None else None
        )


def hook_command(python: str) -> str:
    """The command line of the hook, by this very Python: a session's PATH may hold another, or none.

    `-P` keeps the modules of the project that the session ran in from being taken for ours.
    """
    parts = [python, "-P", "-m", "akosha_snap", "hook", "run"]
    return subprocess.list2cmdline(parts) if os.name == "nt" else shlex.join(parts)


def plan_install(path: Path, command: str) -> HookEdit:
    """The change that makes `command` run at the end of a session, in place of an older entry of ours.

    Raises ConfigError where the file is not what Claude Code reads, SourceError where it cannot be read.
    """
    path, before, settings = _read(path)
    entry = {"type": "command", "command": command, "timeout": _TIMEOUT}
    groups = _groups(path, settings)
    found = [hook for group in groups for hook in group["hooks"] if _is_ours(hook)]
    if found == [entry]:
        return HookEdit(path, before, before)
    _remove(groups)
    groups.append({"hooks": [entry]})
    settings.setdefault("hooks", {})[_EVENT] = groups
    return HookEdit(path, before, _text(settings, before))


def plan_uninstall(path: Path) -> HookEdit:
    """The change that takes our entries out, and what was only there for them. Raises as plan_install does."""
    path, before, settings = _read(path)
    groups = _groups(path, settings)
    if not any(_is_ours(hook) for group in groups for hook in group["hooks"]):
        return HookEdit(path, before, before)
    _remove(groups)
    settings["hooks"][_EVENT] = groups
    if not groups:
        del settings["hooks"][_EVENT]
    if not settings["hooks"]:
        del settings["hooks"]
    return HookEdit(path, before, _text(settings, before))


def apply(edit: HookEdit) -> None:
    """Write the file in one step, with its mode, after a copy of it as it was. Raises SourceError."""
    if not edit.changed or edit.after is None:
        return
    try:
        edit.path.parent.mkdir(parents=True, exist_ok=True)
        if edit.backup:
            shutil.copy2(edit.path, edit.backup)
        with temporary_file(edit.path.parent) as (path, file):
            file.write(edit.after.encode())
            file.flush()
            os.fsync(file.fileno())
            file.close()
            if edit.before is not None:
                shutil.copymode(edit.path, path)
            publish(path, edit.path, overwrite=True)
    except OSError as error:
        raise SourceError(f"{edit.path} cannot be written: {error.strerror}", hint="nothing was changed") from None


def _read(path: Path) -> tuple[Path, str | None, dict[str, Any]]:
    """The file a link leads to, its text and what it says."""
    path = path.resolve()
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return path, None, {}
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint="correct that") from None
    except UnicodeDecodeError:
        raise _refusal(path, "not UTF-8") from None
    try:
        settings = json.loads(text, object_pairs_hook=_without_twins) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _refusal(path, f"not valid JSON: {error}") from None
    try:
        json.dumps(settings, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise _refusal(path, "not plain JSON: it has a number or a half of a character that JSON cannot hold") from None
    if not isinstance(settings, dict):
        raise _refusal(path, "not a JSON object")
    return path, text, settings


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with a key twice would lose one of them."""
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("an object has a key twice")
    return result


def _groups(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """What the file says of our event, checked as far as we touch it."""
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict):
        raise _refusal(path, "its `hooks` is not an object")
    groups = hooks.get(_EVENT, [])
    well_formed = isinstance(groups, list) and all(
        isinstance(group, dict) and isinstance(group.get("hooks"), list) for group in groups
    )
    if not well_formed:
        raise _refusal(path, f"its `hooks.{_EVENT}` is not a list of objects with `hooks`")
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


def _text(settings: dict[str, Any], before: str | None) -> str:
    """The settings as JSON, indented as they were."""
    indent = re.search(r"^([ \t]+)\"", before or "", re.MULTILINE)
    width: str | int = indent[1] if indent else 2
    return json.dumps(settings, indent=width, ensure_ascii=False) + "\n"


def _refusal(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is {why}" if why.startswith("not") else f"{path}: {why}", hint="correct it first: it stays as it is"
    )
