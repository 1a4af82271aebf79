"""Addresses of stores: what they open, and what is refused how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from akosha_snap.errors import ConfigError
from akosha_snap.stores import DirectoryStore, S3Options, S3Store, open_store


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/backups/akosha", "/backups/akosha"),
        ("/with space/and?question#hash", "/with space/and?question#hash"),
        ("file:///backups/akosha", "/backups/akosha"),
        ("file://localhost/backups", "/backups"),
        ("FILE:///with%20space", "/with space"),
        ("./s3:name", "s3:name"),
        ("relative/path", "relative/path"),
    ],
)
def test_folders(url, path):
    store = open_store(url)
    assert isinstance(store, DirectoryStore)
    assert store.url == Path(path).absolute().as_uri()


def test_the_url_of_a_folder_opens_it(tmp_path):
    store = DirectoryStore(tmp_path / "a b%20ü")
    store.put("k", b"x")
    assert open_store(store.url).get("k") == b"x"


def test_home(clean_environment):
    assert open_store("~/store").url == (clean_environment / "store").as_uri()
    with pytest.raises(ConfigError):
        open_store("~no-such-user-here/store")


def test_a_windows_drive_is_a_folder():
    assert isinstance(open_store("C:\\backups"), DirectoryStore)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:topsecret/def@mem/x",
        "s3://AKIA:topsecret%40mem",
        "s3:AKIA:topsecret@mem",
        "AKIA:topsecret@mem/x",
        "s3://AKIA:top secret, topsecret@mem/x",
        "s3://mem/x#topsecret",
        "s3://mem/x?region=a&aws_secret_access_key:topsecret",
        "s3://mem;secret=topsecret",
        "s3://mem/x?topsecret=1",
        "s3://mem?endpoint=http://a:topsecret@h",
    ],
)
def test_a_secret_in_a_url_is_never_echoed(url):
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/prefix",
        "s3://my.bucket-1/deep/prefix",
        "s3://bucket/p?endpoint=http://127.0.0.1:8333",
        "s3://bucket?endpoint=https://x.r2.cloudflarestorage.com&region=auto",
        "s3://bucket/p?region=eu-west-1&addressing=virtual",
    ],
)
def test_the_url_of_a_bucket_opens_it(url):
    store = open_store(url)
    assert isinstance(store, S3Store)
    assert store.url == url
    assert repr(store) == f"S3Store({url!r})"


def test_slashes_around_a_prefix_do_not_matter():
    assert open_store("s3://bucket//p/q/").url == "s3://bucket/p/q"


def test_settings_serve_a_url_that_names_none():
    settings = {"endpoint": "http://setting:1", "region": "setting"}
    assert open_store("s3://bucket", **settings).url == "s3://bucket?endpoint=http://setting:1&region=setting"
    named = "s3://bucket?endpoint=http://named:2&region=named"
    assert open_store(named, **settings).url == named
    assert isinstance(open_store("/folder", **settings), DirectoryStore)


@pytest.mark.parametrize(
    ("options", "addressing", "region"),
    [
        (S3Options(), "auto", "us-east-1"),
        (S3Options(region="auto"), "auto", "us-east-1"),
        (S3Options(region="eu-west-1"), "auto", "eu-west-1"),
        (S3Options("https://h:1"), "path", "us-east-1"),
        (S3Options("https://h:1", "auto"), "path", "auto"),
        (S3Options("https://h:1", addressing="virtual"), "virtual", "us-east-1"),
    ],
)
def test_how_the_client_is_set_up(options, addressing, region):
    client = S3Store("bucket", options=options)._client
    assert client.meta.config.s3["addressing_style"] == addressing
    assert client.meta.region_name == region
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (5, 30)


def test_the_region_of_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert S3Store("bucket")._client.meta.region_name == "ap-south-1"


def test_a_profile_that_is_not_there(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="nobody"):
        S3Store("bucket").get("k")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("/a\0b", "zero byte"),
        ("gs://bucket/p", "gs:// is not supported"),
        ("http://host/p", "http:// is not supported"),
        ("s3:bucket", "not followed by //"),
        ("file:/abs", "not followed by //"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://a", "is not a bucket name"),
        ("s3://-bucket", "not a bucket name"),
        ("s3://bucket:80/p", "not a bucket name"),
        ("s3://[bad/p", "it is not a URL"),
        ("s3://buc\nket/p", "unprintable"),
        ("s3://bucket/a//b", "prefix is not one"),
        ("s3://bucket/../b", "prefix is not one"),
        ("s3://bucket/p?colour=red", "unknown options"),
        ("s3://bucket/p?endpoint", "not name=value pairs"),
        ("s3://bucket/p?region=a&region=b", "an option twice"),
        ("s3://bucket/p?region=no/where", "its region is not"),
        ("s3://bucket/p?addressing=odd", "addressing is not one of auto, path, virtual"),
        ("s3://bucket/p?addressing=", "addressing is not one of"),
        ("s3://bucket/p?endpoint=127.0.0.1:8333", r"not of the form http\(s\)://host"),
        ("s3://bucket/p?endpoint=ftp://host", "not of the form"),
        ("s3://bucket/p?endpoint=http://", "not of the form"),
        ("s3://bucket/p?endpoint=http://host:0", "not of the form"),
        ("s3://bucket/p?endpoint=http://host:port", "no valid host and port"),
        ("s3://bucket/p?endpoint=http://host/%3Fa=b", "options of its own"),
        ("s3://bucket/p#fragment", "fragment"),
        ("file://host/folder", "names a host"),
        ("file:///folder?a=b", "takes no options"),
        ("file:///", "names no folder"),
        ("file:///a%00b", "names no folder"),
        ("memory://", "not supported"),  # it would say saved, and keep nothing
        ("memory://name", "not supported"),
    ],
)
def test_what_cannot_be_a_store(url, why):
    with pytest.raises(ConfigError, match=why) as caught:
        open_store(url)
    assert "file:///folder" in caught.value.hint
    assert caught.value.exit_code == 2
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "s3://user:hunter2@bucket/p",
        "s3://user:hun@hunter2@bucket/p",
        "s3://bucket/p?endpoint=http://user:hunter2@host:1",
        "s3://bucket/p?endpoint=http%3A%2F%2Fuser%3Ahunter2%40host",
        "s3://bucket/p?secret_key=hunter2",
        "https://user:hunter2@host/p",
        "file://user:hunter2@host/p",
        "s3://user:hunter2@[bad/p",
    ],
)
def test_secrets_are_refused_and_never_shown(url):
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    with pytest.raises(ConfigError) as caught:
        open_store("s3://bucket", endpoint="http://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_importing_and_opening_is_light():
    code = """
import sys
from akosha_snap.stores import open_store
open_store("s3://bucket?endpoint=http://127.0.0.1:1")
print([name for name in ("boto3", "botocore", "filelock", "stamina", "urllib3") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
