"""Our methods in a list like Session-Buddy's; what the real one makes of them is in tests/contract."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
from fake_akosha import running_fake

from akosha_snap.errors import ConfigError
from akosha_snap.integrations.session_buddy import SnapSyncMethod, install


def installed(**given: Any) -> list[SnapSyncMethod]:
    hybrid = SimpleNamespace(config=None, methods=["theirs"])
    install(hybrid, **given)
    return hybrid.methods


def test_one_that_is_tried_and_two_that_are_asked_for_by_name() -> None:
    methods = installed()
    assert [method.get_method_name() for method in methods] == ["auto", "cloud", "http"]
    assert [method.is_available() for method in methods] == [True, False, False]


def test_nothing_is_asked_of_a_server_that_does_not_answer(monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AKOSHA_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/mcp")
        before = time.monotonic()
        assert [method.is_available() for method in installed()] == [True, False, False]
        assert time.monotonic() - before < 0.3
        assert not SnapSyncMethod(None, "http").is_available()
        assert time.monotonic() - before < 1.5


def test_each_way_alone(monkeypatch, tmp_path) -> None:
    assert not SnapSyncMethod(None, "cloud").is_available()
    assert SnapSyncMethod(None, "cloud", store=tmp_path).is_available()
    with running_fake() as akosha:
        monkeypatch.setenv("AKOSHA_URL", akosha.url)
        assert SnapSyncMethod(None, "http").is_available()
        assert SnapSyncMethod(None, "http", store=tmp_path).is_available()
        assert not SnapSyncMethod(None, "http", store=tmp_path, enable_fallback=False).is_available()
        assert not SnapSyncMethod(None, "http", force_method="cloud").is_available()
    monkeypatch.setenv("AKOSHA_FORCE_METHOD", "fax")
    assert SnapSyncMethod(None, "http").is_available(), "to say what is wrong"


def test_settings_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="there is no setting 'bucket'"):
        installed(bucket="x")
    with pytest.raises(ConfigError, match="the argument enable_fallback is neither true nor false"):
        SnapSyncMethod(None, enable_fallback="no")  # type: ignore[arg-type]
