"""Settings: flag over environment over TOML file over default. docs/configuration.md lists them.

An invalid value fails, it is never ignored. This module and cli/ are the only ones that
read the environment; `AWS_*` stays boto3's own.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from akosha_snap.errors import ConfigError
from akosha_snap.manifest.ids import check_system_id, system_id_from_hostname

__all__ = ["MEMORY_FILES", "Setting", "Settings", "load_settings"]

MEMORY_FILES = ("reflection.duckdb", "knowledge_graph.duckdb")
"""What a push takes from the data folder where no file is named."""

_DATA_DIR = "~/.claude/data"
_NO_STORE = 'give --store URL, set AKOSHA_SNAP_STORE (or AKOSHA_CLOUD_BUCKET), or put store = "URL" in {file}'
_ENDPOINT = re.compile(r"https?://[^/\s?#]+[^\s?#]*")
_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")

_Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\x00]*$")]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file: every key it may have."""

    store: _Text | None = None
    endpoint: _Text | None = None
    region: _Text | None = None
    system_id: _Text | None = None
    data_dir: _Text | None = None
    state_dir: _Text | None = None


class Setting(NamedTuple):
    """A value and where it came from, as a message names it."""

    value: str
    origin: str


class Settings(msgspec.Struct, frozen=True):
    """What a command needs to know. `store` is None where nobody gave one: see `need_store`."""

    store: Setting | None
    endpoint: str | None
    region: str | None
    system_id: str
    system_id_origin: str
    data_dir: Path
    state_dir: Path
    config_file: Path

    def need_store(self) -> Setting:
        """The store's URL. Raises ConfigError where none was given, naming the ways to give one."""
        if self.store is None:
            raise ConfigError("no store was given", hint=_NO_STORE.format(file=self.config_file))
        return self.store

    def memory_files(self) -> list[Path]:
        """The memory databases in the data folder, those that exist."""
        return [path for name in MEMORY_FILES if os.path.lexists(path := self.data_dir / name)]


def load_settings(
    *, store: str | None = None, system_id: str | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Settle every setting; `store` and `system_id` are the flags. Raises ConfigError for any that is invalid."""
    env = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    path, in_file = _read_file(env)

    def choose(key: str, *variables: str, flag: str | None = None) -> Setting | None:
        if flag is not None:
            return Setting(flag, f"--{key.replace('_', '-')}")
        for variable in variables:
            if variable in env:
                return Setting(env[variable], variable)
        value = getattr(in_file, key)
        return Setting(value, f"{key} in {path}") if value is not None else None

    chosen_id = _system_id(choose("system_id", "AKOSHA_SYSTEM_ID", flag=system_id))
    return Settings(
        store=_store(choose("store", "AKOSHA_SNAP_STORE", "AKOSHA_CLOUD_BUCKET", flag=store)),
        endpoint=_matching(_ENDPOINT, choose("endpoint", "AKOSHA_CLOUD_ENDPOINT"), "an http(s)://host[:port] URL"),
        region=_matching(_REGION, choose("region", "AKOSHA_CLOUD_REGION"), "the name of a region"),
        system_id=chosen_id.value,
        system_id_origin=chosen_id.origin,
        data_dir=_folder(choose("data_dir", "AKOSHA_SNAP_DATA_DIR"), lambda: _DATA_DIR),
        state_dir=_folder(choose("state_dir", "AKOSHA_SNAP_STATE_DIR"), _default_state_dir),
        config_file=path,
    )


def _read_file(env: Mapping[str, str]) -> tuple[Path, _File]:
    named = env.get("AKOSHA_SNAP_CONFIG")
    path = _expanded(Setting(named, "AKOSHA_SNAP_CONFIG")) if named else _default_config_file()
    try:
        text = path.read_bytes().decode()
        return path, msgspec.convert(tomllib.loads(text), _File)
    except FileNotFoundError:
        if named:
            raise ConfigError(f"AKOSHA_SNAP_CONFIG names {path}, which does not exist", hint="correct it") from None
        return path, _File()
    except OSError as error:
        raise ConfigError(f"the settings in {path} cannot be read: {error.strerror}", hint="correct that") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="correct the file") from None
    except msgspec.ValidationError as error:
        keys = ", ".join(field.name for field in msgspec.structs.fields(_File))
        raise ConfigError(f"{path}: {error}", hint=f"the settings are {keys}, each a string") from None


def _default_config_file() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("akosha-snap", appauthor=False)) / "config.toml"


def _default_state_dir() -> str:
    import platformdirs

    return platformdirs.user_state_dir("akosha-snap", appauthor=False)


def _store(setting: Setting | None) -> Setting | None:
    if setting and setting.origin == "AKOSHA_CLOUD_BUCKET" and "://" not in setting.value:
        return Setting(f"s3://{setting.value}", setting.origin)
    return setting


def _system_id(setting: Setting | None) -> Setting:
    if setting is None:
        return Setting(system_id_from_hostname(socket.gethostname()), "hostname")
    try:
        return Setting(check_system_id(setting.value), setting.origin)
    except ConfigError as error:
        raise ConfigError(f"{error.message} ({setting.origin})", hint=error.hint) from None


def _matching(pattern: re.Pattern[str], setting: Setting | None, what: str) -> str | None:
    if setting is None:
        return None
    if not pattern.fullmatch(setting.value):
        # the value stays unsaid: an endpoint may hold a password
        raise ConfigError(f"{setting.origin} is not {what}", hint="correct or unset it")
    return setting.value


def _folder(setting: Setting | None, default: Callable[[], str]) -> Path:
    return _expanded(setting or Setting(default(), "default"))


def _expanded(setting: Setting) -> Path:
    try:
        return Path(setting.value).expanduser()
    except RuntimeError as error:  # ~nobody-of-that-name
        raise ConfigError(f"{setting.origin}: {error}", hint="give the folder's full path") from None
