"""The policies of docs/iam, word for word, enforced by a real S3 server: each lets its key do its job, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3.session
import pytest
from botocore.exceptions import ClientError
from helpers import SYSTEM, Bench, edited, flipped, noise
from seaweed import running_seaweed

from akosha_snap import api
from akosha_snap.akosha.storage import SnapshotStorage
from akosha_snap.errors import CredentialsError, NothingThereError, StoreError
from akosha_snap.manifest.keys import format_key, system_marker
from akosha_snap.snapshot import storing
from akosha_snap.stores import Buffer, Layer, Store, open_store, transfer

pytestmark = pytest.mark.seaweed

DOCS = Path(__file__).parents[2] / "docs" / "iam"
BUCKET = "memories"
VERSIONED = "versioned"
MIB = 1024 * 1024
A_DAY_AND_A_BIT = 90_000
DENY_ABORT = {"Effect": "Deny", "Action": "s3:AbortMultipartUpload", "Resource": "*"}


def policy(name: str, system: str = SYSTEM, bucket: str = BUCKET) -> dict[str, Any]:
    """A policy of the documentation, for `system`."""
    text = (DOCS / f"{name}.json").read_text().replace("BUCKET", bucket)
    parsed: dict[str, Any] = json.loads(text.replace("SYSTEM", system))
    return parsed


def actions(one: dict[str, Any]) -> list[tuple[str, str]]:
    """Each pair of statement and action that a policy allows."""
    pairs = []
    for statement in one["Statement"]:
        given = statement["Action"]
        pairs += [(statement["Sid"], action) for action in ([given] if isinstance(given, str) else given)]
    return pairs


def without(name: str, sid: str, action: str) -> dict[str, Any]:
    """The same policy without one action of one statement."""
    left = policy(name)
    for statement in left["Statement"]:
        if statement["Sid"] == sid:
            given = statement["Action"]
            statement["Action"] = [one for one in ([given] if isinstance(given, str) else given) if one != action]
    left["Statement"] = [statement for statement in left["Statement"] if statement["Action"]]
    return left


def everyone() -> dict[str, dict[str, Any]]:
    """Each key of the tests, by name, and its policy."""
    keys = {name: policy(name) for name in ("push", "read", "prune")}
    keys["other"] = policy("push", "another")
    keys["versioned"] = policy("push", bucket=VERSIONED)
    below = json.dumps(policy("push"))
    for top in ("systems/", "akosha-snap/"):
        below = below.replace(top, f"base/{top}")
    keys["below"] = json.loads(below)
    akosha = json.loads(json.dumps(policy("read")).replace(f"{SYSTEM}/*", "*"))
    keys["akosha"] = akosha
    bare = without("push", "Add", "s3:AbortMultipartUpload")
    keys["bare"] = {**bare, "Statement": [*bare["Statement"], DENY_ABORT]}
    for name in ("push", "read", "prune"):
        keys |= {f"{name} {sid} {action}": without(name, sid, action) for sid, action in actions(policy(name))}
    return keys


NEEDED = [name for name in everyone() if " " in name and "Abort" not in name]


class Server(NamedTuple):
    """An S3 server that knows the keys of `everyone`, and its administrator's client."""

    endpoint: str
    client: Any


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    policies = everyone()
    admin = [{"accessKey": "testkey", "secretKey": "testsecret"}]
    identities: list[dict[str, Any]] = [{"name": "admin", "credentials": admin, "actions": ["Admin"]}]
    for number in range(len(policies)):
        key = [{"accessKey": key_of(number), "secretKey": "secret"}]
        identities.append({"name": f"user-{number}", "credentials": key, "actions": [], "policyNames": [f"p{number}"]})
    named = [{"name": f"p{i}", "content": json.dumps(one)} for i, one in enumerate(policies.values())]
    text = json.dumps({"identities": identities, "policies": named})
    with running_seaweed(tmp_path_factory.mktemp("iam"), text) as running:
        session = boto3.session.Session(running.access_key, running.secret_key, region_name="us-east-1")
        client = session.client("s3", endpoint_url=running.endpoint)
        client.create_bucket(Bucket=BUCKET)
        yield Server(running.endpoint, client)
        client.close()


def key_of(number: int) -> str:
    return f"key-{number}"


Login = Callable[..., Store]


@pytest.fixture
def login(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    """Opens the store, empty at first, as one of `everyone` or as `admin`."""

    def login(name: str, where: str = BUCKET) -> Store:
        names = list(everyone())
        key = ("testkey", "testsecret") if name == "admin" else (key_of(names.index(name)), "secret")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key[1])
        store = open_store(f"s3://{where}?endpoint={server.endpoint}")
        with contextlib.suppress(CredentialsError):
            store.list_page(system_marker(SYSTEM))  # it takes the key from the environment now, and keeps it
        return store

    yield login
    for page in server.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            server.client.delete_object(Bucket=BUCKET, Key=item["Key"])


@pytest.fixture
def bench(tmp_path: Path, login: Login, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(storing, "_LIST_DEPTH", 0)  # no snapshot needs the pack of another for its chunk list
    return Bench(tmp_path, login("admin"))


FILES = {"a": noise(300_000), "b": noise(20_000, 1)}
LATER = {"a": edited(FILES["a"], 100_000), "b": FILES["b"]}


def two_snapshots(bench: Bench) -> list[str]:
    """The second has most of its chunks from the first."""
    uploads = [str(bench.push(FILES).upload_id)]
    bench.clock.advance(60)
    return [*uploads, str(bench.push(LATER).upload_id)]


def two_unrelated(bench: Bench) -> list[str]:
    """The second needs nothing of the first, which has a whole file too."""
    uploads = [str(bench.push({"a": noise(50_000, "old")}, full_file=True).upload_id)]
    bench.clock.advance(60)
    return [*uploads, str(bench.push(FILES).upload_id)]


class TestPush:
    def test_it_does_everything_but_prune(self, bench, login):
        bench.store = login("push")
        with pytest.raises(NothingThereError) as caught:
            api.verify(bench.store, system_id=SYSTEM)
        assert "push" in caught.value.hint, "it may not look for other systems, and need not"
        first, second = two_snapshots(bench)
        assert bench.push(LATER).requests == 1, "unchanged"
        assert bench.push(LATER, recheck=True).unchanged
        assert bench.push(LATER, state_dir=None).unchanged
        assert bench.uploads() == [second, first]
        assert bench.verify(level="data").ok
        assert bench.restored(first) == FILES
        assert bench.restored(second) == LATER

    def test_it_repairs_and_heals(self, bench, login):
        first, second = two_snapshots(bench)
        pack = bench.own_pack(first)
        bench.store.put(pack, flipped(bench.store.get(pack), 80_000))
        bench.delete(format_key(SYSTEM))
        bench.store = login("push")
        result = api.repair(bench.store, system_id=SYSTEM, now=bench.clock)
        assert [one.upload_id for one in result.lost] == [second, first]
        assert result.recreated == [format_key(SYSTEM)]
        assert result.record
        healed = bench.push(LATER, recheck=True)
        assert healed.upload_id not in {first, second}
        assert bench.verify("latest", level="data").ok
        assert bench.restored() == LATER

    @pytest.mark.parametrize("who", ["push", "bare"])
    def test_a_large_file_in_parts_needs_no_right_to_drop_them(self, bench, login, monkeypatch, who):
        """A push that fails between two parts cannot clean up, tells why it failed, and the next one works."""
        monkeypatch.setattr(transfer, "SINGLE_PUT", MIB)
        monkeypatch.setattr(transfer, "PART_SIZE", 5 * MIB)
        files = {"a": bytes(6 * MIB)}
        bench.store = login(who)
        with pytest.raises(StoreError, match="pulled"):
            bench.push(files, store=FailsInParts(bench.store), full_file=True)
        if who == "bare":
            upload = bench.store.start_multipart(f"{system_marker(SYSTEM)}x")
            with pytest.raises(CredentialsError):
                bench.store.abort_multipart(f"{system_marker(SYSTEM)}x", upload)
        assert bench.push(files, full_file=True).upload_id
        assert bench.verify(level="data").ok

    def test_prune_says_what_is_missing_and_drops_nothing(self, bench, login):
        first, second = two_unrelated(bench)
        bench.clock.advance(A_DAY_AND_A_BIT)
        before, admin = bench.objects(), bench.store
        bench.store = login("push")
        for _ in range(2):
            with pytest.raises(CredentialsError, match="cannot delete systems/") as caught:
                bench.prune()
            assert caught.value.exit_code == 12
            assert "s3:DeleteObject" in caught.value.hint
            bench.clock.advance(A_DAY_AND_A_BIT)
        assert bench.prune(dry_run=True).dropped == [first]
        assert bench.verify(level="data").ok
        bench.store = admin
        after = bench.objects()
        assert {key: after[key] for key in before} == before
        marks = after.keys() - before.keys()
        assert len(marks) == 2
        assert all("/prune/" in key for key in marks)
        bench.store = login("prune")
        done = bench.prune()
        assert (done.dropped, done.packs_deleted) == ([first], 0), "marks of what was not dropped do not count"
        bench.store = admin
        assert bench.uploads() == [second]
        assert not marks & bench.objects().keys()


class FailsInParts(Layer):
    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:
        if number > 1:
            raise StoreError("the plug is pulled")
        return super().put_part(key, upload, number, data)


class TestRead:
    def test_it_reads_all_and_changes_nothing(self, bench, login):
        first, second = two_snapshots(bench)
        before, admin = bench.objects(), bench.store
        bench.store = login("read")
        assert bench.uploads() == [second, first]
        assert api.show(bench.store, first, system_id=SYSTEM, chunks=True).upload_id == first
        for level in ("manifest", "index", "data", "open"):
            assert bench.verify(level=level).ok
        assert bench.restored(first) == FILES
        assert api.repair(bench.store, system_id=SYSTEM, dry_run=True).ok
        assert bench.prune(dry_run=True).dropped == [first]
        for change in (
            lambda: bench.push({"a": b"1"}, state_dir=None),
            lambda: bench.prune(no_push_running=True, grace=0),
            lambda: bench.store.put(format_key(SYSTEM), b"{}"),
            lambda: bench.delete(bench.packs()[0]),
        ):
            with pytest.raises(CredentialsError):
                change()
        bench.store = admin
        assert bench.objects() == before

    def test_akosha_s_worker_reads_every_system(self, bench, login):
        first, second = two_snapshots(bench)
        assert first < second
        storage = SnapshotStorage(login("akosha"), now=bench.clock)

        async def seen() -> list[str]:
            systems = [key async for key in storage.list("systems/")]
            return systems + [key async for key in storage.list(system_marker(SYSTEM))]

        assert asyncio.run(seen()) == [system_marker(SYSTEM), f"{system_marker(SYSTEM)}{second}/"]
        storage.close()


class TestPrune:
    def test_it_prunes_in_two_steps_and_cannot_push(self, bench, login):
        first, second = two_unrelated(bench)
        admin = bench.store
        bench.store = login("prune")
        assert bench.prune().dropped == [first]
        bench.clock.advance(A_DAY_AND_A_BIT)
        assert bench.prune().packs_deleted == 1
        assert bench.uploads() == [second]
        assert bench.verify(level="data").ok
        for change in (lambda: bench.push(LATER, state_dir=None), lambda: bench.delete(format_key(SYSTEM))):
            with pytest.raises(CredentialsError):
                change()
        bench.store = admin
        assert not [key for key in bench.objects() if first in key]
        assert len(bench.packs()) == 1


def test_a_key_is_fenced_into_its_system(bench, login):
    two_snapshots(bench)
    before = bench.objects()
    bench.store = login("other")
    for attempt in (
        bench.uploads,
        lambda: bench.push(FILES, state_dir=None),
        lambda: bench.verify(),
        lambda: bench.store.get(format_key(SYSTEM)),
        lambda: bench.store.list_page("systems/"),
    ):
        with pytest.raises(CredentialsError):
            attempt()
    assert bench.push(FILES, system_id="another", state_dir=None).upload_id
    bench.store = login("admin")
    assert {key: data for key, data in bench.objects().items() if "/another/" not in key} == before


def test_below_a_prefix(bench, login):
    bench.store = login("below", f"{BUCKET}/base")
    two_snapshots(bench)
    assert bench.restored() == LATER
    with pytest.raises(CredentialsError):
        login("below").get(format_key(SYSTEM))


def test_versioning_keeps_what_a_push_key_overwrites(tmp_path, login, server):
    server.client.create_bucket(Bucket=VERSIONED)
    server.client.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    bench = Bench(tmp_path, login("versioned", VERSIONED))
    pack = bench.own_pack(str(bench.push(FILES).upload_id))
    bench.store.put(pack, b"overwritten")
    assert not bench.verify(level="manifest").ok
    versions = server.client.list_object_versions(Bucket=VERSIONED, Prefix=pack)["Versions"]
    (before,) = [version["VersionId"] for version in versions if not version["IsLatest"]]
    with pytest.raises(ClientError, match="AccessDenied"):
        bench.store._client._full().delete_object(Bucket=VERSIONED, Key=pack, VersionId=before)
    with server.client.get_object(Bucket=VERSIONED, Key=pack, VersionId=before)["Body"] as body:
        login("admin", VERSIONED).put(pack, body.read())
    assert bench.verify(level="data").ok


@pytest.mark.parametrize("who", NEEDED)
def test_no_action_can_be_left_out(bench, login, who):
    """Each is used: without it the job that the policy is for ends with exit code 12."""
    two_unrelated(bench)
    bench.clock.advance(60)
    bench.store = login(who)
    jobs = {"push": lambda: bench.push(LATER, state_dir=None), "read": bench.restore, "prune": bench.prune}
    with pytest.raises(CredentialsError):
        jobs[who.split()[0]]()


def test_the_command_says_it_too(bench, login):
    two_snapshots(bench)
    store = login("push")
    options = ["--keep-last", "1", "--store", store.url, "--system-id", SYSTEM]
    command = [sys.executable, "-m", "akosha_snap", "prune", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 12
    assert "cannot delete systems/" in ended.stderr
    assert "s3:DeleteObject" in ended.stderr
    assert ended.stderr.count("\n") == 1
