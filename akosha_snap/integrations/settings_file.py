"""Settings in a JSON file that belongs to another program: read, and written without losing anything of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from akosha_snap.atomic import publish, sweep, temporary_file
from akosha_snap.errors import ConfigError, ConflictError, SourceError

__all__ = ["SettingsEdit", "apply", "as_text", "read_settings", "refusal"]

_BACKUP_SUFFIX = ".akosha-snap.bak"
_BACKUPS = 100
"""Copies that are kept: each change leaves one, and none is ever overwritten."""


class SettingsEdit(NamedTuple):
    """A change of a settings file: the texts before and after it, None where there is or was no file."""

    path: Path
    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after


def apply(edit: SettingsEdit) -> Path | None:
    """Write the file in one step, with its mode, and keep a copy of it as it was; returns where, if there was one.

    Raises ConflictError where the file is no longer what the edit was made from, SourceError where it
    cannot be written; then it stays as it is.
    """
    if not edit.changed or edit.after is None:
        return None
    try:
        _check_unchanged(edit)
        edit.path.parent.mkdir(parents=True, exist_ok=True)
        sweep(edit.path.parent)
        backup = None if edit.before is None else _kept(edit.path, edit.before.encode())
        with _written(edit.path, edit.after.encode(), like=edit.before is not None) as path:
            _check_unchanged(edit)  # once more, for it took a while to write
            publish(path, edit.path, overwrite=edit.before is not None)
    except FileExistsError:
        raise _changed(edit.path) from None
    except OSError as error:
        raise SourceError(f"{edit.path} cannot be written: {error.strerror}", hint="nothing was changed") from None
    return backup


def _kept(path: Path, content: bytes) -> Path:
    """A copy of the file beside it: one that is there already, else under the first name that is free."""
    for number in range(1, _BACKUPS + 1):
        backup = path.with_name(f"{path.name}{_BACKUP_SUFFIX}{number if number > 1 else ''}")
        if not backup.is_symlink() and backup.is_file() and _bytes(backup) == content:
            return backup
        if not os.path.lexists(backup):
            with contextlib.suppress(FileExistsError), _written(path, content, like=True) as copy:
                publish(copy, backup, overwrite=False)
                return backup
    raise ConflictError(
        f"{_BACKUPS} earlier copies of {path} are beside it",
        hint=f"remove those of the name {path.name}{_BACKUP_SUFFIX}*",
    )


@contextlib.contextmanager
def _written(path: Path, content: bytes, *, like: bool) -> Iterator[Path]:
    """A finished file in the folder of `path`, with its mode if `like`, to be published."""
    with temporary_file(path.parent) as (temporary, file):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        if like:
            shutil.copymode(path, temporary)
        yield temporary


def _check_unchanged(edit: SettingsEdit) -> None:
    if _bytes(edit.path) != (None if edit.before is None else edit.before.encode()):
        raise _changed(edit.path)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _changed(path: Path) -> ConflictError:
    return ConflictError(f"{path} was changed by somebody else just now", hint="run it again: nothing was changed")


def read_settings(path: Path) -> tuple[Path, str | None, dict[str, Any]]:
    """The file a link leads to, its text (None where there is no file) and what it says.

    Raises ConfigError where it is not a JSON object that can be written again as it is, SourceError
    where it cannot be read.
    """
    path = path.resolve()
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return path, None, {}
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint="correct that") from None
    except UnicodeDecodeError:
        raise refusal(path, "not UTF-8") from None
    try:
        settings = json.loads(text, object_pairs_hook=_without_twins) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise refusal(path, f"not valid JSON: {error}") from None
    try:
        json.dumps(settings, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise refusal(path, "not plain JSON: it has a number or a half of a character that JSON cannot hold") from None
    if not isinstance(settings, dict):
        raise refusal(path, "not a JSON object")
    return path, text, settings


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with a key twice would lose one of them."""
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("an object has a key twice")
    return result


def as_text(settings: dict[str, Any], before: str | None) -> str:
    """The settings as JSON, indented as they were."""
    indent = re.search(r"^([ \t]+)\"", before or "", re.MULTILINE)
    width: str | int = indent[1] if indent else 2
    return json.dumps(settings, indent=width, ensure_ascii=False) + "\n"


def refusal(path: Path, why: str) -> ConfigError:
    """The error of a file of another form, which stays as it is."""
    return ConfigError(
        f"{path} is {why}" if why.startswith("not") else f"{path}: {why}", hint="correct it first: it stays as it is"
    )
