"""System ids, upload ids and file names."""

from __future__ import annotations

import datetime as dt

import pytest
from akosha_rules import _check_file as check_akosha_name
from akosha_rules import is_system_id, is_upload_id
from helpers import NOW

from akosha_snap.errors import ConfigError, NothingThereError
from akosha_snap.manifest.ids import (
    bare_name,
    check_system_id,
    check_upload_id,
    is_file_name,
    make_upload_id,
    system_id_from_hostname,
    upload_time,
)

ROOT = bytes.fromhex("3f9c0a1b") + bytes(28)


@pytest.mark.parametrize("system_id", ["a", "mac-local", "A_b-9", "x" * 100])
def test_system_ids_akosha_accepts(system_id):
    assert check_system_id(system_id) == system_id
    assert is_system_id(system_id)


@pytest.mark.parametrize("system_id", ["", "mac.local", "a b", "a/b", "..", "é", "x" * 101, "a\n", "٣"])
def test_system_ids_akosha_refuses(system_id):
    with pytest.raises(ConfigError, match="system id"):
        check_system_id(system_id)


@pytest.mark.parametrize(
    ("hostname", "system_id"),
    [
        ("mac.local", "mac-local"),
        ("MacBook-Pro-von-Jörg.local", "MacBook-Pro-von-J-rg-local"),
        ("a..b", "a-b"),
        (".lan", "lan"),
        ("under_score", "under_score"),
        ("h" * 200, "h" * 100),
    ],
)
def test_a_hostname_becomes_a_system_id(hostname, system_id):
    assert system_id_from_hostname(hostname) == system_id
    assert is_system_id(system_id)


@pytest.mark.parametrize("hostname", ["", "...", "日本", " "])
def test_a_hostname_of_which_nothing_is_left(hostname):
    with pytest.raises(ConfigError, match="hostname") as caught:
        system_id_from_hostname(hostname)
    assert "--system-id" in caught.value.hint


def test_an_upload_id_tells_time_and_content():
    upload_id = make_upload_id(ROOT, NOW, None)
    assert upload_id == "20261123T071500Z-3f9c0a1b"
    assert upload_time(upload_id) == NOW
    assert is_upload_id(upload_id)


def test_an_upload_id_is_utc_wherever_it_is_made():
    tokyo = dt.timezone(dt.timedelta(hours=9))
    assert make_upload_id(ROOT, NOW.astimezone(tokyo), None) == make_upload_id(ROOT, NOW, None)


@pytest.mark.parametrize("behind", [0, 0.9, 1, 3600, 400 * 86400])
def test_the_last_push_is_the_newest_though_the_clock_runs_behind(behind):
    newest = make_upload_id(ROOT, NOW, None)
    following = make_upload_id(bytes(32), NOW - dt.timedelta(seconds=behind), newest)
    assert following > newest
    assert upload_time(following) == NOW + dt.timedelta(seconds=1)


def test_upload_ids_sort_by_time():
    moments = [NOW + dt.timedelta(seconds=7**i) for i in range(9)]
    made = [make_upload_id(bytes([255 - 20 * i]) * 32, moment, None) for i, moment in enumerate(moments)]
    assert made == sorted(made)


@pytest.mark.parametrize(
    "text",
    ["", "latest", "20261123T071500Z", "20261123T071500Z-3F9C0A1B", "20261123T071500Z-3f9c0a1", "../../etc/passwd",
     "20261323T071500Z-3f9c0a1b", "20261123T251500Z-3f9c0a1b", "20261123T071500Z-3f9c0a1b\n"],
)  # fmt: skip
def test_what_is_no_upload_id(text):
    with pytest.raises(NothingThereError, match="no snapshot is called"):
        check_upload_id(text)


@pytest.mark.parametrize(
    "name", ["reflection.duckdb", ".hidden", "a b", "a:b", "what?", "日本.duckdb", "a..b", "x" * 255, "é" * 127]
)
def test_names_that_any_folder_can_hold(name):
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "../x", "/etc/passwd", "a\0", "a\nb", "\x7f", "\ud800", "x" * 256, "é" * 128,
             "\x85"],
)  # fmt: skip
def test_names_that_some_folder_cannot_hold(name):
    assert not is_file_name(name)


@pytest.mark.parametrize("name", ["reflection.duckdb", "reflection.duckdb.wal", "A-b_9.x", "x" * 255])
def test_a_name_akosha_accepts_stays_as_it_is(name):
    assert bare_name(name) == name


@pytest.mark.parametrize(
    "name", ["a b", ".hidden", "a..b", "a. .b", "..x", "manifest.json", "memories.json", "日本", "é" * 127, "x y" * 85]
)
def test_any_other_name_is_cleaned_and_stays_unique(name):
    bare = bare_name(name)
    check_akosha_name(bare)
    assert not bare.startswith(".")
    assert bare not in {"manifest.json", "memories.json"}
    assert bare != bare_name(name + "!")
