"""Flag over environment over file over default; what is invalid fails."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from akosha_snap.config import load_settings
from akosha_snap.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def test_defaults(clean_environment, monkeypatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my.mac.local")
    settings = load_settings(environ={})
    assert settings.store is None
    assert (settings.endpoint, settings.region) == (None, None)
    assert (settings.system_id, settings.system_id_origin) == ("my-mac-local", "hostname")
    assert settings.data_dir == clean_environment / ".claude" / "data"
    assert settings.state_dir.name == "akosha-snap"
    assert settings.config_file.name == "config.toml"


def test_each_source_gives_way_to_the_one_above(file) -> None:
    file.write_text('store = "/file"\nsystem_id = "file"\n')
    environ = {"AKOSHA_SNAP_CONFIG": str(file)}
    settings = load_settings(environ=environ)
    assert settings.need_store() == ("/file", f"store in {file}")
    assert settings.system_id == "file"
    environ |= {"AKOSHA_CLOUD_BUCKET": "bucket/prefix", "AKOSHA_SYSTEM_ID": "env"}
    settings = load_settings(environ=environ)
    assert settings.need_store() == ("s3://bucket/prefix", "AKOSHA_CLOUD_BUCKET")
    assert settings.system_id == "env"
    environ |= {"AKOSHA_SNAP_STORE": "/env"}
    assert load_settings(environ=environ).need_store() == ("/env", "AKOSHA_SNAP_STORE")
    settings = load_settings(store="/flag", system_id="flag", environ=environ)
    assert settings.need_store() == ("/flag", "--store")
    assert (settings.system_id, settings.system_id_origin) == ("flag", "--system-id")


@pytest.mark.parametrize("url", ["s3://bucket/x", "file:///folder"])
def test_a_bucket_that_is_a_url(url) -> None:
    assert load_settings(environ={"AKOSHA_CLOUD_BUCKET": url}).need_store().value == url


def test_every_key_of_the_file(file) -> None:
    file.write_text(
        'store = "/s"\nendpoint = "http://localhost:1"\nregion = "auto"\nsystem_id = "me"\n'
        'data_dir = "/d"\nstate_dir = "~/t"\nakosha_url = "https://akosha:1/mcp"\napi_token = "secret"\n'
        'force_method = "cloud"\nenable_fallback = false\nupload_on_session_end = false\n'
    )
    file.chmod(0o600)
    settings = load_settings(environ={"AKOSHA_SNAP_CONFIG": str(file)})
    assert (settings.endpoint, settings.region) == ("http://localhost:1", "auto")
    assert (settings.data_dir, settings.state_dir) == (Path("/d"), Path.home() / "t")
    assert (settings.akosha_url, settings.force_method) == ("https://akosha:1/mcp", "cloud")
    assert (settings.enable_fallback, settings.upload_on_session_end) == (False, False)
    assert settings.api_token is not None
    assert settings.api_token.reveal() == "secret"


def test_an_empty_variable_counts_as_unset() -> None:
    names = ["AKOSHA_SNAP_STORE", "AKOSHA_CLOUD_ENDPOINT", "AKOSHA_SYSTEM_ID", "AKOSHA_SNAP_CONFIG"]
    settings = load_settings(environ=dict.fromkeys(names, ""))
    assert settings.store is None
    assert settings.system_id_origin == "hostname"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('stor = "/s"', "unknown field `stor`"),
        ("store = 3", r"Expected `str.*`, got `int` - at `\$.store`"),
        ('store = ""', r"length >= 1 - at `\$.store`"),
        ('data_dir = "a\\u0000b"', r"at `\$.data_dir`"),
        ("store = ", "not valid TOML"),
        ("[cloud]", "unknown field `cloud`"),
        ('enable_fallback = "no"', "Expected `bool.*`, got `str`"),
        ('force_method = "ftp"', "force_method in .*settings.toml is not one of auto, cloud, http"),
        ('endpoint = "localhost"', "endpoint in .*settings.toml is not an http"),
        ('system_id = "mac.local"', "'mac.local' is not valid .system_id in .*settings.toml"),
        ('data_dir = "~nobody-of-that-name/x"', "data_dir in"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(file, text, said) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(environ={"AKOSHA_SNAP_CONFIG": str(file)})
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(environ={"AKOSHA_SNAP_CONFIG": str(tmp_path / "no.toml")})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(environ={"AKOSHA_SNAP_CONFIG": str(tmp_path)})
    (tmp_path / "latin.toml").write_bytes(b'store = "\xff"')
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_settings(environ={"AKOSHA_SNAP_CONFIG": str(tmp_path / "latin.toml")})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AKOSHA_CLOUD_ENDPOINT", "localhost:8333"),
        ("AKOSHA_CLOUD_ENDPOINT", "ftp://localhost"),
        ("AKOSHA_CLOUD_REGION", "us east"),
        ("AKOSHA_SYSTEM_ID", "a b"),
        ("AKOSHA_URL", "localhost:8682"),
        ("AKOSHA_URL", "http://me:hunter2@localhost:8682/mcp"),
        ("AKOSHA_API_TOKEN", "two words"),
        ("AKOSHA_API_TOKEN", "line\nbreak"),
        ("AKOSHA_API_TOKEN", "windows\r"),
        ("AKOSHA_API_TOKEN", "hunté"),
        ("AKOSHA_FORCE_METHOD", "HTTP"),
        ("AKOSHA_ENABLE_FALLBACK", "maybe"),
        ("AKOSHA_UPLOAD_ON_SESSION_END", "2"),
        ("AKOSHA_SNAP_DATA_DIR", "~nobody-of-that-name"),
        ("AKOSHA_SNAP_STATE_DIR", "~nobody-of-that-name"),
    ],
)
def test_an_invalid_variable_fails_and_is_named(name, value) -> None:
    with pytest.raises(ConfigError, match=name):
        load_settings(environ={name: value})


def test_a_secret_in_an_endpoint_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={"AKOSHA_CLOUD_ENDPOINT": "me:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_no_store() -> None:
    with pytest.raises(ConfigError, match=r"--store URL.*AKOSHA_SNAP_STORE.*AKOSHA_CLOUD_BUCKET.*config.toml"):
        load_settings(environ={}).need_store()


def test_the_memory_is_what_is_there(tmp_path) -> None:
    settings = load_settings(environ={"AKOSHA_SNAP_DATA_DIR": str(tmp_path)})
    assert settings.memory_files() == []
    for name in ("knowledge_graph.duckdb", "reflection.duckdb", "reflection.duckdb.wal", "other.duckdb"):
        (tmp_path / name).touch()
    assert [path.name for path in settings.memory_files()] == ["reflection.duckdb", "knowledge_graph.duckdb"]


def test_the_defaults_of_a_sync() -> None:
    settings = load_settings(environ={})
    assert settings.akosha_url == "http://localhost:8682/mcp"
    assert settings.api_token is None
    assert (settings.force_method, settings.enable_fallback, settings.upload_on_session_end) == ("auto", True, True)


@pytest.mark.parametrize(("said", "means"), [("true", True), ("1", True), ("Yes", True), ("off", False), ("0", False)])
def test_a_switch_in_the_environment(said, means) -> None:
    assert load_settings(environ={"AKOSHA_ENABLE_FALLBACK": said}).enable_fallback is means


def test_a_flag_comes_before_the_environment_and_the_host_program_after_the_file(file) -> None:
    file.write_text("enable_fallback = true\n")
    environ = {"AKOSHA_SNAP_CONFIG": str(file), "AKOSHA_FORCE_METHOD": "http"}
    host = {"force_method": "cloud", "enable_fallback": False, "system_id": "host"}
    settings = load_settings(environ=environ, host=host)
    assert (settings.force_method, settings.enable_fallback, settings.system_id) == ("http", True, "host")
    settings = load_settings(environ=environ, host=host, force_method="cloud", enable_fallback=False)
    assert (settings.force_method, settings.enable_fallback) == ("cloud", False)
    with pytest.raises(ConfigError, match=r"system_id of the host program"):
        load_settings(environ={}, host={"system_id": "mac.local"})


def test_a_token_is_shown_by_nothing(file) -> None:
    settings = load_settings(environ={"AKOSHA_API_TOKEN": "hunter2"})
    assert "hunter2" not in f"{settings} {settings!r} {settings.api_token}"
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={"AKOSHA_API_TOKEN": "hunter2 "})
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="needs permission bits")
def test_a_token_in_a_file_that_others_can_read(file) -> None:
    file.write_text('api_token = "hunter2"\n')
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read it; chmod 600") as caught:
        load_settings(environ={"AKOSHA_SNAP_CONFIG": str(file)})
    assert "hunter2" not in str(caught.value)
    file.chmod(0o600)
    assert load_settings(environ={"AKOSHA_SNAP_CONFIG": str(file)}).api_token is not None
