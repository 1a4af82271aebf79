"""Session-Buddy's settings objects, as both of its generations shape them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from akosha_snap.config import load_settings
from akosha_snap.sync.host_settings import host_settings

DEFAULTS: dict[str, Any] = {
    "cloud_bucket": "",
    "cloud_endpoint": "",
    "cloud_region": "auto",
    "system_id": "",
    "upload_on_session_end": True,
    "enable_fallback": True,
    "force_method": "auto",
}


def flat(**values: Any) -> Any:
    """As in 0.23."""
    return SimpleNamespace(**{f"akosha_{name}": value for name, value in (DEFAULTS | values).items()})


def nested(**values: Any) -> Any:
    """As in 0.36."""
    return SimpleNamespace(cloud_sync=SimpleNamespace(**(DEFAULTS | values)))


def config(**values: Any) -> Any:
    """The AkoshaSyncConfig of both."""
    return SimpleNamespace(**(DEFAULTS | values))


@pytest.mark.parametrize("shape", [flat, nested, config])
def test_each_shape(shape) -> None:
    given = shape(
        cloud_bucket="memories",
        cloud_endpoint="https://r2.example.com",
        system_id="laptop",
        enable_fallback=False,
        upload_on_session_end=False,
        force_method="cloud",
    )
    settings = load_settings(environ={}, host=host_settings(given).given)
    assert settings.need_store().value == "s3://memories"
    assert (settings.endpoint, settings.region) == ("https://r2.example.com", "auto")
    assert (settings.system_id, settings.force_method) == ("laptop", "cloud")
    assert (settings.enable_fallback, settings.upload_on_session_end) == (False, False)


@pytest.mark.parametrize("shape", [flat, nested, config])
def test_defaults_say_nothing(shape) -> None:
    plain = load_settings(environ={})
    settings = load_settings(environ={}, host=host_settings(shape()).given)
    assert settings.store is None
    assert settings.system_id == plain.system_id
    assert (settings.force_method, settings.enable_fallback, settings.upload_on_session_end) == ("auto", True, True)


@pytest.mark.parametrize("other", [None, object(), "x", SimpleNamespace(cloud_sync=None)])
def test_what_is_no_settings_object(other) -> None:
    assert not any(value is not None for value in host_settings(other).given.values())


def test_a_bucket_that_is_a_url_and_a_method_that_names_no_way() -> None:
    given, ignored = host_settings(nested(cloud_bucket="s3://b/prefix", force_method="async"))
    assert ignored == []
    assert (given["store"], given["force_method"]) == ("s3://b/prefix", None)


def test_our_environment_comes_first() -> None:
    environ = {"AKOSHA_CLOUD_BUCKET": "ours", "AKOSHA_ENABLE_FALLBACK": "true"}
    settings = load_settings(
        environ=environ, host=host_settings(flat(cloud_bucket="theirs", enable_fallback=False)).given
    )
    assert settings.need_store().value == "s3://ours"
    assert settings.enable_fallback is True


@pytest.mark.parametrize("shape", [flat, nested, config])
def test_what_cannot_be_right_is_said(shape) -> None:
    given, ignored = host_settings(shape(force_method="fax", enable_fallback="no", cloud_bucket=7, system_id=None))
    assert not any(value is not None for key, value in given.items() if key not in {"region", "upload_on_session_end"})
    assert ignored == [
        "cloud_bucket of the host program is no text: it counts as not set",
        "force_method of the host program is not one of auto, cloud, http: it counts as not set",
        "enable_fallback of the host program is neither true nor false: it counts as not set",
    ]
