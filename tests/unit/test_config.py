"""Flag over environment over file over default; what is invalid fails."""

from __future__ import annotations

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
        'data_dir = "/d"\nstate_dir = "~/t"\n'
    )
    settings = load_settings(environ={"AKOSHA_SNAP_CONFIG": str(file)})
    assert (settings.endpoint, settings.region) == ("http://localhost:1", "auto")
    assert (settings.data_dir, settings.state_dir) == (Path("/d"), Path.home() / "t")


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
