"""Fixtures for every test: a clean environment, and S3 servers on loopback."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from seaweed import Seaweed, running_seaweed

_BUCKETS = itertools.count(1)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No setting of the machine reaches a test, and no test leaves loopback for credentials.

    Returns the home folder of this test, empty.
    """
    for name in list(os.environ):
        if name.startswith(("AWS_", "AKOSHA_", "XDG_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for name, folder in [("CONFIG", ".config"), ("DATA", ".local/share"), ("STATE", ".local/state")]:
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return home


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A real SeaweedFS, one per test session: endpoint, access_key, secret_key."""
    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def seaweed_credentials(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Seaweed:
    """The same server, with its credentials in this test's environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    return seaweed


@pytest.fixture
def seaweed_bucket(seaweed_credentials: Seaweed) -> Iterator[str]:
    """The name of a fresh bucket on SeaweedFS; the credentials are in the environment."""
    yield from _bucket(seaweed_credentials.endpoint)


@pytest.fixture
def seaweed_url(seaweed: Seaweed, seaweed_bucket: str) -> str:
    """The URL of an empty store on SeaweedFS, ready for `open_store` or `--store`."""
    return f"s3://{seaweed_bucket}/base?endpoint={seaweed.endpoint}"


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """The endpoint of a moto S3 server in this process; it accepts any credentials."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_url(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty store on moto, ready for `open_store` or `--store`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "moto")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "moto")
    for bucket in _bucket(moto_endpoint):
        yield f"s3://{bucket}/base?endpoint={moto_endpoint}"


def _bucket(endpoint: str) -> Iterator[str]:
    """Make a bucket, and drop it with all it holds afterwards."""
    import boto3

    name = f"test-{os.getpid()}-{next(_BUCKETS)}"
    client = boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=name)
    yield name
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        if keys := [{"Key": item["Key"]} for item in page.get("Contents", [])]:
            client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
    client.delete_bucket(Bucket=name)
    client.close()
