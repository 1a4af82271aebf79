"""What every store promises, run over each kind of store, bare and under its decorators."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from akosha_snap.errors import ObjectExists, ObjectNotFound
from akosha_snap.stores import (
    CountingStore,
    DirectoryStore,
    MemoryStore,
    ObjectInfo,
    RetryingStore,
    S3Options,
    S3Store,
    Store,
    deleting,
    list_all,
    md5_of,
    multipart,
    put_file,
    transfer,
)
from akosha_snap.stores.s3_lean import LeanClient

MIB = 1024 * 1024

KINDS = [
    "memory",
    "directory",
    "moto",
    "moto-boto3",
    pytest.param("seaweed", marks=pytest.mark.seaweed),
    pytest.param("seaweed-boto3", marks=pytest.mark.seaweed),
]
PREFIXES = itertools.count(1)


@pytest.fixture(scope="session")
def bases(request) -> Callable[[str], S3Store]:
    """A store of each kind whose client the tests share: making one takes longer than most of them."""

    @functools.cache
    def base(kind: str) -> S3Store:
        server, _, client = kind.partition("-")
        if server == "moto":
            endpoint, key, secret = request.getfixturevalue("moto_endpoint"), "key", "secret"
        else:
            endpoint, key, secret, _ = request.getfixturevalue("seaweed")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", key)
            patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
            made = S3Store(f"contract{client}", options=S3Options(endpoint, page_size=3, lean=client != "boto3"))
            assert isinstance(made._client, LeanClient) is (client != "boto3")
            made._client.create_bucket(Bucket=f"contract{client}")
        return made

    return base


@pytest.fixture(params=KINDS)
def bare(request, tmp_path) -> Store:
    """An empty store that lists three keys a page, where it lists in pages."""
    match request.param:
        case "memory":
            return MemoryStore(page_size=3)
        case "directory":
            (tmp_path / "store").mkdir()
            return DirectoryStore(tmp_path / "store")
        case kind:
            base = request.getfixturevalue("bases")(kind)
            store = S3Store(base._bucket, f"contract/{next(PREFIXES)}", base._options)
            store._made = base._client
            return store


@pytest.fixture(params=["bare", "decorated"])
def store(request, bare) -> Store:
    return bare if request.param == "bare" else RetryingStore(CountingStore(bare))


def keys(store: Store, prefix: str = "", *, after: str = "") -> list[str]:
    return sorted(info.key for info in list_all(store, prefix, after=after))


def race(count: int, action: Callable[[int], None]) -> list[int]:
    """Run `action` in `count` threads at once; the numbers of those that did not find an object there."""
    barrier = threading.Barrier(count)

    def run(number: int) -> bool:
        barrier.wait()
        try:
            action(number)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(count) as pool:
        won = list(pool.map(run, range(count)))
    return [number for number, winner in enumerate(won) if winner]


class TestPutAndGet:
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_an_object_comes_back_as_it_was(self, store, kind):
        store.put("packs/ab/abcd", kind(b"\x00frames\xff"))
        assert store.get("packs/ab/abcd") == b"\x00frames\xff"
        assert store.head("packs/ab/abcd") == ObjectInfo("packs/ab/abcd", 8)
        (listed,) = store.list_page("packs/ab/").objects
        assert listed == ObjectInfo("packs/ab/abcd", 8, md5_of(store.get("packs/ab/abcd")))

    def test_an_object_can_be_empty(self, store):
        store.put("empty", b"")
        assert store.get("empty") == b""
        assert store.get("empty", start=0, length=10) == b""
        assert store.head("empty").size == 0
        assert keys(store) == ["empty"]

    def test_a_put_replaces(self, store):
        store.put("a", b"first, and longer")
        store.put("a", b"second")
        assert store.get("a") == b"second"

    def test_a_large_object(self, store):
        data = bytes(range(256)) * (8 * MIB // 256)
        store.put("large", data)
        assert store.get("large") == data
        assert store.get("large", start=5 * MIB + 1, length=MIB) == data[5 * MIB + 1 : 6 * MIB + 1]

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (3, 4, b"3456"),
            (0, 1, b"0"),
            (9, 1, b"9"),
            (8, 100, b"89"),
            (0, 0, b""),
            (10, 5, b""),
            (10, None, b""),
            (1000, 5, b""),
            (2**63 - 1, 1, b""),
            (2**63, 5, b""),
            (10**30, None, b""),
            (3, 10**30, b"3456789"),
        ],
    )
    def test_a_range(self, store, start, length, expected):
        store.put("digits", b"0123456789")
        assert store.get("digits", start=start, length=length) == expected

    @pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
    def test_a_range_that_is_none(self, store, start, length):
        with pytest.raises(ValueError, match="range"):
            store.get("a", start=start, length=length)

    @pytest.mark.parametrize("options", [{}, {"start": 2, "length": 3}, {"length": 0}])
    def test_what_is_not_there_cannot_be_read(self, store, options):
        store.put("folder/object", b"x")
        for key in ["missing", "folder", "folder/missing", "folder/object/below", "missing/folder/x"]:
            with pytest.raises(ObjectNotFound, match=key):
                store.get(key, **options)

    def test_what_is_not_there_has_no_size(self, store):
        store.put("folder/object", b"x")
        for key in ["missing", "folder", "folder/missing"]:
            with pytest.raises(ObjectNotFound, match=key):
                store.head(key)

    @pytest.mark.parametrize("key", ["with space", "~tilde", "a+b=c&d", "%41", "#hash?", "ünïcode/ключ", "a.b..c"])
    def test_printable_keys(self, store, key):
        store.put(key, b"x")
        assert store.get(key) == b"x"
        assert keys(store) == [key]

    @pytest.mark.parametrize(
        "key",
        ["", "/", "/a", "a//b", "a//", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb", "a\\b", ".tmp-x", "a/.tmp-1/b"],
    )
    def test_bad_keys_are_refused(self, store, key):
        able = multipart(store)
        for call in [
            lambda: store.get(key),
            lambda: store.head(key),
            lambda: store.put(key, b""),
            lambda: able.start_multipart(key),
            lambda: deleting(store).delete(key),
        ]:
            with pytest.raises(ValueError, match="not a key"):
                call()


class TestConditionalCreate:
    def test_only_the_first_create_succeeds(self, store):
        store.put("m/manifest.json", b"first", if_absent=True)
        with pytest.raises(ObjectExists, match=r"m/manifest\.json"):
            store.put("m/manifest.json", b"second", if_absent=True)
        assert store.get("m/manifest.json") == b"first"

    def test_a_large_refused_create_is_told_as_such(self, store):
        store.put("taken", b"first")
        with pytest.raises(ObjectExists):
            store.put("taken", bytes(33 * MIB), if_absent=True)
        assert store.get("taken") == b"first"

    def test_of_sixteen_threads_one_wins(self, store):
        winners = race(16, lambda n: store.put("race/key", b"%d" % n * 1000, if_absent=True))
        assert len(winners) == 1
        assert store.get("race/key") == b"%d" % winners[0] * 1000
        assert keys(store) == ["race/key"]


class TestMarkers:
    def test_a_marker_is_read_but_not_listed(self, store):
        store.put("systems/mac/", b"")
        assert store.get("systems/mac/") == b""
        assert store.head("systems/mac/") == ObjectInfo("systems/mac/", 0)
        assert keys(store) == []
        store.put("systems/mac/", b"")
        store.put("systems/mac/manifest.json", b"{}")
        assert keys(store, "systems/") == ["systems/mac/manifest.json"]

    def test_a_marker_is_created_once(self, store):
        store.put("systems/mac/", b"", if_absent=True)
        with pytest.raises(ObjectExists):
            store.put("systems/mac/", b"", if_absent=True)

    def test_a_missing_marker(self, store):
        store.put("systems/mac", b"x")
        for key in ["other/", "systems/other/"]:
            with pytest.raises(ObjectNotFound):
                store.get(key)
            with pytest.raises(ObjectNotFound):
                store.head(key)

    def test_deleting_a_marker_spares_what_is_below(self, store):
        store.put("systems/mac/", b"")
        store.put("systems/mac/manifest.json", b"{}")
        deleting(store).delete("systems/mac/")
        assert store.get("systems/mac/manifest.json") == b"{}"


class TestListing:
    @pytest.fixture
    def filled(self, store) -> Store:
        for key in ["a", "ab", "a-b/x", "a/b", "a/c/d", "b/c"]:
            store.put(key if key != "a" else "a.", b"12345")
        return store

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", ["a-b/x", "a.", "a/b", "a/c/d", "ab", "b/c"]),
            ("a", ["a-b/x", "a.", "a/b", "a/c/d", "ab"]),
            ("a/", ["a/b", "a/c/d"]),
            ("a-", ["a-b/x"]),
            ("a/c", ["a/c/d"]),
            ("a/b", ["a/b"]),
            ("a/b/", []),
            ("c", []),
            ("missing/folder/", []),
        ],
    )
    def test_a_prefix_is_the_start_of_a_key(self, filled, prefix, expected):
        assert keys(filled, prefix) == expected

    def test_sizes(self, filled):
        assert {info.size for info in list_all(filled, "")} == {5}

    def test_an_empty_store(self, store):
        assert store.list_page("") == ([], None)

    @pytest.mark.parametrize("prefix", ["/", "/a", "a//", "../x", "a/../b", "a\\"])
    def test_prefixes_no_key_can_have(self, store, prefix):
        with pytest.raises(ValueError, match="no key can start"):
            store.list_page(prefix)

    @pytest.mark.parametrize(
        ("prefix", "after", "expected"),
        [
            ("", "", [1, 2, 3, 4, 5]),
            ("", "u/1", [2, 3, 4, 5]),
            ("", "u/1/", [2, 3, 4, 5]),
            ("u/", "u/3", [4, 5]),
            ("u/", "u/2x", [3, 4, 5]),
            ("u/", "u/5", []),
            ("u/", "a", [1, 2, 3, 4, 5]),
            ("u/", "z", []),
            ("u/4", "u/2", [4]),
            ("u/2", "u/4", []),
            ("none/", "none/1", []),
        ],
    )
    def test_only_keys_after_one(self, store, prefix, after, expected):
        for number in [3, 1, 5, 2, 4]:
            store.put(f"u/{number}", b"x")
        assert keys(store, prefix, after=after) == [f"u/{number}" for number in expected]

    def test_what_follows_a_marker_takes_one_request(self, bare):
        """An upload's manifest and all newer ones: what a push asks that knows the last upload."""
        store = CountingStore(bare)
        uploads = [f"systems/mac/2026112{day}T071501Z-fbcad508/" for day in range(1, 9)]
        for upload in reversed(uploads):
            store.put(upload, b"")
            store.put(f"{upload}manifest.json", b"{}")
        store.put("systems/mac-2/20261129T071501Z-fbcad508/manifest.json", b"{}")
        for last in [7, 6]:
            page = store.list_page("systems/mac/", after=uploads[last])
            assert [info[:2] for info in page.objects] == [(f"{upload}manifest.json", 2) for upload in uploads[last:]]
            assert page.token is None
        assert store.requests_by_method["list_page"] == 2
        assert keys(store, "systems/mac/", after=uploads[2]) == [f"{upload}manifest.json" for upload in uploads[2:]]

    def test_no_key_comes_before_a_bad_one(self, store):
        with pytest.raises(ValueError, match="no key can start"):
            store.list_page("a", after="/")

    def test_other_prefixes_of_a_bucket_are_not_seen(self, bare):
        if not isinstance(bare, S3Store):
            pytest.skip("no bucket to share")
        bare.put("mine", b"")
        beside = S3Store(bare._bucket, f"{bare._prefix}".rstrip("/") + "0", bare._options)
        beside._made = bare._client
        beside.put("theirs", b"")
        assert keys(bare) == ["mine"]
        assert keys(beside) == ["theirs"]


class TestMultipart:
    def test_parts_become_one_object(self, store):
        able = multipart(store)
        parts = [b"a" * 5 * MIB, b"b" * 5 * MIB, b"the end"]
        upload = able.start_multipart("big/file")
        tags = [able.put_part("big/file", upload, n, part) for n, part in enumerate(parts, start=1)]
        assert keys(store) == []
        able.finish_multipart("big/file", upload, tags)
        assert store.get("big/file") == b"".join(parts)
        assert keys(store) == ["big/file"]

    def test_a_part_sent_twice_counts_once(self, store):
        able = multipart(store)
        upload = able.start_multipart("k")
        able.put_part("k", upload, 1, b"x" * (6 * MIB))
        first = able.put_part("k", upload, 1, b"y" * (5 * MIB))
        second = able.put_part("k", upload, 2, memoryview(b"end"))
        able.finish_multipart("k", upload, [first, second])
        assert store.get("k") == b"y" * (5 * MIB) + b"end"

    def test_a_taken_key_is_replaced(self, store):
        able = multipart(store)
        store.put("k", b"first")
        upload = able.start_multipart("k")
        able.finish_multipart("k", upload, [able.put_part("k", upload, 1, b"second")])
        assert store.get("k") == b"second"

    def test_an_aborted_upload_leaves_nothing(self, store, request):
        able = multipart(store)
        upload = able.start_multipart("k")
        tag = able.put_part("k", upload, 1, b"x")
        able.abort_multipart("k", upload)
        assert keys(store) == []
        if "moto" in request.node.name:
            return  # moto 5 answers 500 (a KeyError of its own)
        with pytest.raises(ObjectNotFound, match="k"):
            able.finish_multipart("k", upload, [tag])


class TestPutFile:
    @pytest.fixture
    def small_parts(self, monkeypatch):
        monkeypatch.setattr(transfer, "SINGLE_PUT", 6 * MIB)
        monkeypatch.setattr(transfer, "PART_SIZE", 5 * MIB)

    @pytest.mark.parametrize("size", [0, 1, 6 * MIB, 6 * MIB + 1, 10 * MIB])
    def test_a_file_of_any_size(self, store, tmp_path, small_parts, size):
        path = tmp_path / "file"
        path.write_bytes((b"0123456789abcde" * (size // 15 + 1))[:size])
        assert put_file(store, "files/reflection.duckdb", path) == size
        assert store.get("files/reflection.duckdb") == path.read_bytes()

    @pytest.mark.parametrize("size", [10, 7 * MIB])
    def test_a_taken_key_is_replaced_and_nothing_is_left(self, store, tmp_path, small_parts, size):
        path = tmp_path / "file"
        path.write_bytes(bytes(size))
        store.put("k", b"first")
        put_file(store, "k", path)
        assert store.get("k") == bytes(size)
        assert not list(Path(tmp_path).rglob(".tmp-*"))


class TestDelete:
    def test_a_deleted_object_is_gone(self, store):
        store.put("a/b", b"x")
        store.put("a/c", b"y")
        deleting(store).delete("a/b")
        assert keys(store) == ["a/c"]
        with pytest.raises(ObjectNotFound):
            store.get("a/b")
        store.put("a/b", b"again", if_absent=True)

    def test_deleting_what_is_not_there_is_no_error(self, store):
        deleting(store).delete("never/was")


@pytest.mark.seaweed
def test_seventy_megabytes_in_parts_with_bounded_memory(seaweed_url, tmp_path):
    """A file over SINGLE_PUT goes in parts, of which few are in memory at a time."""
    import tracemalloc

    from akosha_snap.stores import open_store

    path = tmp_path / "file"
    with path.open("wb") as file:
        for number in range(70):
            file.write(bytes([number]) * MIB)
    store = CountingStore(open_store(seaweed_url))
    store.put("warm", b"")  # boto3's own memory is not ours
    tracemalloc.start()
    try:
        assert put_file(store, "file", path) == 70 * MIB
        assert tracemalloc.get_traced_memory()[1] < 50 * MIB
    finally:
        tracemalloc.stop()
    assert store.requests_by_method == {"put": 1, "start_multipart": 1, "put_part": 5, "finish_multipart": 1}
    assert store.bytes_sent == 70 * MIB
    assert store.get("file", start=69 * MIB - 1, length=2) == bytes([68, 69])
    assert store.head("file").size == 70 * MIB
