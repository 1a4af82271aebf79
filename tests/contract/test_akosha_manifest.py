"""Our manifests before the real, unmodified Akosha (Python 3.13, `nox -s contract`), and our copy of its rules."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import akosha_rules
import memory_db
import pytest
from helpers import profile, prose
from hypothesis import example, given
from hypothesis import strategies as st

from akosha_snap import api
from akosha_snap.manifest import Cost, Counts, FileEntry, FrameLocation, FullFile, decode_manifest, encode_manifest
from akosha_snap.manifest.ids import bare_name
from akosha_snap.manifest.keys import full_file_key
from akosha_snap.snapshot.commit import make_manifest
from akosha_snap.stores import DirectoryStore, MemoryStore, Store

with warnings.catch_warnings():
    # What akosha 0.11 depends on still uses pydantic's json_encoders
    warnings.filterwarnings("ignore", "`json_encoders` is deprecated", DeprecationWarning, r"pydantic\.")
    pytest.importorskip("akosha")
    from akosha.ingestion.worker import IngestionWorker
    from akosha.models.schemas import SystemMemoryUploadManifest, validate_system_id, validate_upload_id

pytestmark = pytest.mark.akosha

SYSTEM = "mac-local"
REFUSALS = (AssertionError, AttributeError, KeyError, TypeError, ValueError)


def load(data: bytes) -> SystemMemoryUploadManifest:
    """As IngestionWorker._try_create_upload does it."""
    return SystemMemoryUploadManifest(**json.loads(data))


def accepts(check: Callable[[], object]) -> bool:
    try:
        check()
    except REFUSALS:
        return False
    return True


def accepted_by_akosha(data: bytes) -> bool:
    return accepts(lambda: load(data))


def accepted_by_copy(data: bytes) -> bool:
    return accepts(lambda: akosha_rules.check_manifest(data, now=dt.datetime.now(dt.UTC)))


def push(store: Store, folder: Path, **options: Any) -> str:
    """Push every file of a folder; returns the upload id."""
    paths = sorted(folder.iterdir())
    for path in paths:
        os.utime(path, (1_700_000_000, 1_700_000_000))  # long unchanged: no push waits for it to settle
    result = api.push(paths, store, system_id=SYSTEM, stage_in_child=False, **options)
    assert result.upload_id
    return result.upload_id


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small memory."""
    folder = tmp_path_factory.mktemp("memory")
    memory_db.build(folder, conversations=60)
    return folder


@pytest.fixture(scope="module")
def pushed(memory: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The manifest of its push to a folder store."""
    store = tmp_path_factory.mktemp("store")
    upload = push(DirectoryStore(store), memory)
    return (store / "systems" / SYSTEM / upload / "manifest.json").read_bytes()


# --- what we push ---------------------------------------------------------------------------------------------


def test_an_ordinary_push(pushed):
    manifest = load(pushed)
    assert manifest.conversation_count == 60
    assert manifest.files == ["knowledge_graph.duckdb", "reflection.duckdb"]
    assert manifest.total_size_bytes == sum(file["size"] for file in manifest.metadata["akosha_snap"]["files"])
    assert manifest.system_type == "session-buddy"
    assert manifest.metadata == json.loads(pushed)["metadata"]
    assert accepted_by_copy(pushed)


def test_our_manifest_has_exactly_their_fields(pushed):
    assert sorted(json.loads(pushed)) == sorted(SystemMemoryUploadManifest.model_fields)


ODD_NAMES = [
    ".hidden",
    "..x..",
    "...",
    "-",
    "~",
    "~a",
    "manifest.json",
    "memories.json",
    "a b",
    "ünï çödé.md",
    "日記.txt",
]
ODD_NAMES += ["a" * 255, "😀" * 60, "a'b", "$(x)", "a%2f..", "#", "x=y&z", "a.duckdb.old", "semi;colon", "tab-less "]


@pytest.mark.parametrize("full_file", [False, True])
def test_odd_file_names(full_file, tmp_path):
    live = tmp_path / "live"
    live.mkdir()
    for name in ODD_NAMES:
        (live / name).write_bytes(prose(500, name))
    store = DirectoryStore(tmp_path / "store")
    upload = push(store, live, full_file=full_file)
    data = store.get(f"systems/{SYSTEM}/{upload}/manifest.json")
    assert len(set(load(data).files)) == len(ODD_NAMES)
    assert accepted_by_copy(data)
    assert {file.name for file in decode_manifest(data, "it").snapshot.files} == set(ODD_NAMES)


@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), unique=True))
@profile(200)
def test_any_file_name(names):
    assert accepted_by_akosha(encode_manifest(made(names)))


@pytest.mark.parametrize(
    ("size", "conversations", "expected"),
    [
        (100_000_000_000, 1_000_000, (100_000_000_000, 1_000_000)),
        (100_000_000_001, 1_000_001, (None, 1_000_000)),
        (2**62, 2**62, (None, 1_000_000)),
        (1, 0, (1, 0)),
    ],
)
def test_counts_are_capped(size, conversations, expected):
    data = encode_manifest(made(["a"], size=size, conversations=conversations))
    manifest = load(data)
    assert (manifest.total_size_bytes, manifest.conversation_count) == expected
    assert manifest.metadata["akosha_snap"]["counts"]["conversations"] == conversations
    assert accepted_by_copy(data)


def made(names: list[str], *, size: int = 1, conversations: int = 0) -> Any:
    """A manifest as a push makes it, of files that need not exist."""
    uris = [full_file_key(SYSTEM, "20261123T071502Z-eb30385d", bare_name(name)) for name in names]
    entries = [
        FileEntry(name, "plain", size, "0" * 64, 1, FullFile(uri, size, "0" * 64, "0" * 64))
        for name, uri in zip(names, uris, strict=True)
    ]
    return make_manifest(
        root=bytes(32),
        parent=None,
        entries=entries,
        chunk_list=[FrameLocation("0" * 64, "0" * 64, 100, 0, 10, 10, 0)],
        counts=Counts(conversations=conversations),
        cost=Cost(0, 0, 0, 0),
        now=dt.datetime.now(dt.UTC),
    )


class Storage:
    """The storage adapter the worker asks for: a flat listing of keys, and objects or None."""

    def __init__(self, store: MemoryStore) -> None:
        self._objects = store._objects  # the store's own listing leaves the markers out

    def list(self, prefix: str) -> Iterator[str]:
        return (key for key in sorted(self._objects) if key.startswith(prefix))

    async def download(self, key: str) -> bytes | None:
        return self._objects.get(key)


@pytest.mark.parametrize("concurrent", ["true", "false"])
def test_the_worker_discovers_every_push(concurrent, memory, tmp_path, monkeypatch):
    live = shutil.copytree(memory, tmp_path / "live")
    monkeypatch.setenv("USE_CONCURRENT_DISCOVERY", concurrent)
    store, now = MemoryStore(), dt.datetime.now(dt.UTC)
    first = push(store, live, now=lambda: now)
    (live / "notes.txt").write_bytes(prose(2_000))
    second = push(store, live, now=lambda: now, full_file=True)
    worker = IngestionWorker(Storage(store), hot_store=None)
    found = asyncio.run(worker._discover_uploads())
    assert [(each.system_id, each.upload_id, each.storage_prefix) for each in found] == [
        (SYSTEM, upload, f"systems/{SYSTEM}/{upload}/") for upload in (first, second)
    ]


# --- our copy of the rules ------------------------------------------------------------------------------------

MISSING = object()
GARBAGE = [None, [], {}, ["a"], {"a": 1}, "", "garbage", -1, 5.5]
SECOND = dt.timedelta(seconds=1)

offsets = st.sampled_from([0, -3_600, 7_200, 19_800])
ages = st.integers(-400 * 86_400, 400 * 86_400).filter(
    lambda age: min(abs(age + 300), abs(age - 365 * 86_400)) > 120  # not so near a bound that the clock decides
)


@st.composite
def moments(draw: st.DrawFn) -> str:
    zone = dt.timezone(draw(offsets) * SECOND)
    moment = (dt.datetime.now(zone) - draw(ages) * SECOND).replace(microsecond=draw(st.sampled_from([0, 250_000])))
    text = moment.isoformat()
    return draw(st.sampled_from([text, text, text.replace("+00:00", "Z"), text[:19]]))


letters = st.sampled_from("abzAZ09_-.~/\\\x00\n é")
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "uploaded_at": moments() | st.sampled_from([None, [], {}, "", "garbage", "2026-02-30T00:00:00Z"]),
    "conversation_count": st.integers(-2, 1_000_002) | st.sampled_from([0, 10**6, 10**6 + 1, 10**30, *GARBAGE]),
    "total_size_bytes": st.integers(-2, 10**12) | st.sampled_from([0, 10**11, 10**11 + 1, 10**30, *GARBAGE]),
    "version": st.sampled_from(
        ["1.0", "2.13", "1", "1.", ".1", "1.0.0", "1.0\n", "v1.0", "a1.0", "\u0663.\u0660", 1, *GARBAGE]
    ),
    "system_type": st.text(max_size=52) | st.sampled_from(["é" * 50, "é" * 51, *GARBAGE]),
    "checksum": st.sampled_from(
        ["a" * 64, "0" * 64, "A" * 64, "a" * 63, "a" * 65, "g" * 64, f"{'a' * 64}\n", *GARBAGE]
    ),
    "compressed": st.booleans() | st.sampled_from(GARBAGE),
    "compression_format": st.sampled_from(["gzip", "zstd", "lz4", "bzip2", "zstd\n", "gzipped", "ZSTD", *GARBAGE]),
    "files": st.lists(
        st.text(letters, max_size=5) | st.sampled_from(["a" * 255, "a" * 256, 7, None, ["a"]]), max_size=3
    )
    | st.sampled_from(GARBAGE),
    "metadata": st.sampled_from([{"akosha_snap": {}}, *GARBAGE]),
    "unknown": st.sampled_from(GARBAGE),
}
changes = st.fixed_dictionaries({}, optional={name: values | st.just(MISSING) for name, values in FIELDS.items()})


def changed(data: bytes, change: dict[str, Any]) -> bytes:
    manifest = {name: value for name, value in {**json.loads(data), **change}.items() if value is not MISSING}
    return json.dumps(manifest).encode()


@given(change=changes)
@example(change={})
@example(change={"files": "garbage"})
@example(change={"files": {"a": 1}})
@example(change={"files": ["a\n"]})
@example(change={"system_type": ["a"]})
@example(change={"compressed": True, "compression_format": "zstd"})
@profile(2_000)
def test_the_copy_and_the_real_class_agree(pushed, change):
    data = changed(pushed, change)
    assert accepted_by_copy(data) == accepted_by_akosha(data)


@pytest.mark.parametrize("field", FIELDS)
def test_they_agree_on_every_field_alone(pushed, field):
    @given(value=FIELDS[field] | st.just(MISSING))
    @profile(300)
    def agree(value: Any) -> None:
        data = changed(pushed, {field: value})
        assert accepted_by_copy(data) == accepted_by_akosha(data)

    agree()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(change=st.dictionaries(st.sampled_from(sorted(FIELDS)), json_values, max_size=2))
@example(change={"conversation_count": "5"})
@example(change={"conversation_count": True})
@example(change={"compressed": "false"})
@profile(1_000)
def test_what_the_copy_accepts_the_real_class_accepts(pushed, change):
    """The other way round it need not: pydantic takes "5" for 5, and we never write it."""
    data = changed(pushed, change)
    assert accepted_by_akosha(data) or not accepted_by_copy(data)


@pytest.mark.parametrize("data", [b"[]", b"[1]", b'"text"', b"null", b"1", b"{}", b"", b"{", b"\xff"])
def test_they_agree_on_what_is_no_manifest(data):
    assert not accepted_by_akosha(data)
    assert not accepted_by_copy(data)


ids = st.text(st.sampled_from("abzAZ09_-. /é~"), max_size=6) | st.sampled_from(["a" * 100, "a" * 101, "..", "a..b"])


@given(text=ids)
@profile(500)
def test_they_agree_on_ids(text):
    assert akosha_rules.is_system_id(text) == accepts(lambda: validate_system_id(text))
    assert akosha_rules.is_upload_id(text) == accepts(lambda: validate_upload_id(text))
