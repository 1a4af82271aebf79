"""The decorators: what they count, swallow and pass through."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from akosha_snap.errors import CapabilityError, ObjectNotFound
from akosha_snap.stores import (
    CountingStore,
    DryRunStore,
    Layer,
    MemoryStore,
    RetryingStore,
    deleting,
    list_all,
    multipart,
    put_file,
)


class Plain:
    """A store that can do no more than a store must."""

    url = "plain://"

    def get(self, key, *, start=0, length=None):
        raise ObjectNotFound(key)

    def head(self, key):
        raise ObjectNotFound(key)

    def put(self, key, data, *, if_absent=False):
        """Store nothing."""

    def list_page(self, prefix, *, token=None, after=""):
        raise NotImplementedError


def test_requests_and_bytes_are_counted():
    store = CountingStore(MemoryStore(page_size=2))
    for key in "abc":
        store.put(key, b"12345")
    store.get("a")
    store.get("a", start=1, length=2)
    store.head("a")
    assert len(list(list_all(store, ""))) == 3
    store.delete("a")
    assert store.requests_by_method == {"put": 3, "get": 2, "head": 1, "list_page": 2, "delete": 1}
    assert store.requests == 9
    assert (store.bytes_sent, store.bytes_received) == (15, 7)


def test_failed_requests_count_with_the_bytes_they_sent():
    store = CountingStore(MemoryStore())
    store.put("a", b"123")
    for act in [lambda: store.put("a", memoryview(b"12345678").cast("I"), if_absent=True), lambda: store.get("b")]:
        with pytest.raises(Exception, match="memory://"):
            act()
    assert store.requests_by_method == {"put": 2, "get": 1}
    assert (store.bytes_sent, store.bytes_received) == (11, 0)


def test_each_step_of_a_multipart_upload_is_a_request():
    store = CountingStore(MemoryStore())
    upload = store.start_multipart("k")
    tags = [store.put_part("k", upload, n, b"123") for n in (1, 2)]
    store.finish_multipart("k", upload, tags)
    store.abort_multipart("k", upload)
    assert store.requests == 5
    assert store.bytes_sent == 6


def test_counts_hold_under_threads():
    store = CountingStore(MemoryStore())
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: store.put(str(n), b"12"), range(2000)))
    assert store.requests == 2000
    assert store.bytes_sent == 4000


def test_a_dry_run_reads_and_does_not_write(tmp_path):
    inner = MemoryStore()
    inner.put("a", b"old")
    store = CountingStore(DryRunStore(inner))
    assert store.get("a") == b"old"
    store.put("a", b"new", if_absent=True)
    store.put("b", b"new")
    store.delete("a")
    upload = store.start_multipart("c")
    store.finish_multipart("c", upload, [store.put_part("c", upload, 1, b"123")])
    store.abort_multipart("c", upload)
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    put_file(store, "file", path)
    assert [info.key for info in list_all(inner, "")] == ["a"]
    assert inner.get("a") == b"old"
    assert store.bytes_sent == 14
    with pytest.raises(ValueError, match="not a key"):
        store.put("../a", b"")


@pytest.mark.parametrize("layers", [[], [CountingStore], [CountingStore, RetryingStore], [Layer, DryRunStore]])
def test_layers_are_as_able_as_what_they_wrap(layers):
    able, plain = MemoryStore(), Plain()
    for layer in layers:
        able, plain = layer(able), layer(plain)
    assert multipart(able) is able
    assert deleting(able) is able
    assert multipart(plain) is None
    assert deleting(plain) is None
    assert able.url == "memory://"


def test_a_missing_capability_is_said():
    store = CountingStore(Plain())
    for act in [
        lambda: store.start_multipart("k"),
        lambda: store.put_part("k", "u", 1, b""),
        lambda: store.finish_multipart("k", "u", []),
        lambda: store.abort_multipart("k", "u"),
        lambda: store.delete("k"),
    ]:
        with pytest.raises(CapabilityError, match="plain://"):
            act()
    assert store.requests == 0


def test_reprs_say_what_is_stacked():
    assert repr(RetryingStore(CountingStore(MemoryStore()))) == "RetryingStore(CountingStore(MemoryStore(0 objects)))"
