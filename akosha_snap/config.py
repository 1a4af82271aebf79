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
from typing import Annotated, Literal, NamedTuple, TypedDict, Unpack, cast, get_args, get_type_hints

import msgspec

from akosha_snap.errors import ConfigError
from akosha_snap.manifest.ids import check_system_id, system_id_from_hostname

__all__ = [
    "MEMORY_FILES",
    "Given",
    "Method",
    "Secret",
    "Setting",
    "Settings",
    "checked_given",
    "load_settings",
    "state_dir_at_least",
]

MEMORY_FILES = ("reflection.duckdb", "knowledge_graph.duckdb")
"""What a push takes from the data folder where no file is named."""

Method = Literal["auto", "cloud", "http"]
"""How memories are sent; `auto` is `cloud` where that works, else `http`."""

_DATA_DIR = "~/.claude/data"
_AKOSHA_URL = "http://localhost:8682/mcp"
_NO_STORE = 'give --store URL, set AKOSHA_SNAP_STORE (or AKOSHA_CLOUD_BUCKET), or put store = "URL" in {file}'
_ENDPOINT = re.compile(r"https?://[^/\s?#]+[^\s?#]*")
_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")
_AKOSHA = re.compile(r"https?://[^/\s?#@]+[^\s?#@]*")
_TOKEN = re.compile(r"[!-~]+")  # what an HTTP header can carry

_METHODS = ("auto", "cloud", "http")
_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_OPTIONS = {
    "force_method": "--method",
    "enable_fallback": "--fallback",
    "store": "--store",
    "system_id": "--system-id",
    "allow_insecure_http": "--allow-insecure-http",
}

_Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\x00]*$")]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file: every key it may have."""

    store: _Text | None = None
    endpoint: _Text | None = None
    region: _Text | None = None
    system_id: _Text | None = None
    data_dir: _Text | None = None
    state_dir: _Text | None = None
    akosha_url: _Text | None = None
    api_token: _Text | None = None
    force_method: _Text | None = None
    enable_fallback: bool | None = None
    upload_on_session_end: bool | None = None
    allow_insecure_http: bool | None = None


class Given(TypedDict, total=False):
    """Settings that a caller gives; the same keys as in the TOML file. None counts as not given."""

    store: str | None
    endpoint: str | None
    region: str | None
    system_id: str | None
    data_dir: str | None
    state_dir: str | None
    akosha_url: str | None
    api_token: str | None
    force_method: str | None
    enable_fallback: bool | None
    upload_on_session_end: bool | None
    allow_insecure_http: bool | None


def checked_given(given: Mapping[str, object]) -> Given:
    """`given` as settings may travel to another process: text, true or false; a path becomes text.

    Raises ConfigError for a name that is no setting's, and for a value of another type.
    """
    kinds = get_type_hints(Given)
    checked: dict[str, object] = {}
    for name, value in given.items():
        if name not in kinds:
            raise ConfigError(f"there is no setting {name!r}", hint=f"the settings are {', '.join(kinds)}")
        plain = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(plain, kinds[name]):
            what = "neither true nor false" if bool in get_args(kinds[name]) else "neither text nor a path of text"
            raise ConfigError(f"the argument {name} is {what}", hint="correct it")
        checked[name] = plain
    return cast("Given", checked)


class Secret:
    """A value that no message, log or repr may show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """The value itself, for the one place that must send it."""
        return self._value


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
    akosha_url: str
    api_token: Secret | None
    force_method: Method
    enable_fallback: bool
    upload_on_session_end: bool
    allow_insecure_http: bool

    def need_store(self) -> Setting:
        """The store's URL. Raises ConfigError where none was given, naming the ways to give one."""
        if self.store is None:
            raise ConfigError("no store was given", hint=_NO_STORE.format(file=self.config_file))
        return self.store

    def memory_files(self) -> list[Path]:
        """The memory databases in the data folder, those that exist."""
        return [path for name in MEMORY_FILES if os.path.lexists(path := self.data_dir / name)]


def load_settings(
    *, host: Given | None = None, environ: Mapping[str, str] | None = None, **flags: Unpack[Given]
) -> Settings:
    """Settle every setting. Raises ConfigError for any that is invalid.

    `flags` come first of all. `host` are settings of the program that embeds us (Session-Buddy):
    they come after our own file, just before the defaults.
    """
    env = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    path, in_file = _read_file(env)

    def choose(key: str, *variables: str) -> Setting | None:
        sources = [(flags.get(key), _OPTIONS.get(key, f"the argument {key}"))]
        sources += [(env.get(variable), variable) for variable in variables]
        sources += [(getattr(in_file, key), f"{key} in {path}")]
        sources += [((host or {}).get(key), f"{key} of the host program")]
        found = next(((value, origin) for value, origin in sources if value is not None), None)
        return Setting(_text(found[0]), found[1]) if found else None

    chosen_id = _system_id(choose("system_id", "AKOSHA_SYSTEM_ID"))
    token = choose("api_token", "AKOSHA_API_TOKEN")
    return Settings(
        store=_store(choose("store", "AKOSHA_SNAP_STORE", "AKOSHA_CLOUD_BUCKET")),
        endpoint=_matching(_ENDPOINT, choose("endpoint", "AKOSHA_CLOUD_ENDPOINT"), "an http(s)://host[:port] URL"),
        region=_matching(_REGION, choose("region", "AKOSHA_CLOUD_REGION"), "the name of a region"),
        system_id=chosen_id.value,
        system_id_origin=chosen_id.origin,
        data_dir=_folder(choose("data_dir", "AKOSHA_SNAP_DATA_DIR"), lambda: _DATA_DIR),
        state_dir=_folder(choose("state_dir", "AKOSHA_SNAP_STATE_DIR"), _default_state_dir),
        config_file=path,
        akosha_url=_matching(_AKOSHA, choose("akosha_url", "AKOSHA_URL"), "an http(s)://host[:port]/mcp URL")
        or _AKOSHA_URL,
        api_token=Secret(_matching(_TOKEN, token, "a token: visible ASCII characters") or "") if token else None,
        force_method=_method(choose("force_method", "AKOSHA_FORCE_METHOD")),
        enable_fallback=_switch(choose("enable_fallback", "AKOSHA_ENABLE_FALLBACK")),
        upload_on_session_end=_switch(choose("upload_on_session_end", "AKOSHA_UPLOAD_ON_SESSION_END")),
        allow_insecure_http=_switch(choose("allow_insecure_http", "AKOSHA_SNAP_ALLOW_INSECURE_HTTP"), default=False),
    )


def state_dir_at_least(given: str | None) -> Path:
    """Where to note that the settings are invalid: the state folder, or the default one where that is what is wrong."""
    chosen = given or os.environ.get("AKOSHA_SNAP_STATE_DIR")
    try:
        return _expanded(Setting(chosen or _default_state_dir(), "default"))
    except ConfigError:
        return Path(_default_state_dir())


def _read_file(env: Mapping[str, str]) -> tuple[Path, _File]:
    named = env.get("AKOSHA_SNAP_CONFIG")
    path = _expanded(Setting(named, "AKOSHA_SNAP_CONFIG")) if named else _default_config_file()
    try:
        with path.open("rb") as file:
            in_file = msgspec.convert(tomllib.loads(file.read().decode()), _File)
            readable_by_others = os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077
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
        raise ConfigError(f"{path}: {error}", hint=f"the settings are {keys}") from None
    if in_file.api_token and readable_by_others:
        raise ConfigError(f"{path} holds api_token and others can read it", hint=f"chmod 600 {path}")
    return path, in_file


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


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _method(setting: Setting | None) -> Method:
    if setting is None:
        return "auto"
    if setting.value not in _METHODS:
        raise ConfigError(f"{setting.origin} is not one of {', '.join(_METHODS)}", hint="correct or unset it")
    return cast("Method", setting.value)


def _switch(setting: Setting | None, *, default: bool = True) -> bool:
    """On or off."""
    if setting is None:
        return default
    if setting.value.lower() not in _SWITCH:
        raise ConfigError(f"{setting.origin} is neither true nor false", hint="correct or unset it")
    return _SWITCH[setting.value.lower()]


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
