"""Listings of many pages and files of many parts, where stores misbehave."""

from __future__ import annotations

import tracemalloc

import pytest

from akosha_snap.errors import CapabilityError, ObjectNotFound, SourceError, StoreError, TransientStoreError
from akosha_snap.stores import CountingStore, DryRunStore, Layer, MemoryStore, Page, list_all, put_file, transfer
from akosha_snap.stores.transfer import part_size

MIB = 1024 * 1024


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file of five parts."""
    monkeypatch.setattr(transfer, "SINGLE_PUT", 10)
    monkeypatch.setattr(transfer, "part_size", lambda size: 10)
    path = tmp_path / "large"
    path.write_bytes(b"0123456789" * 4 + b"01234")
    return path


def test_a_listing_that_never_ends():
    class Endless(Layer):
        def list_page(self, prefix, *, token=None, after=""):
            return Page([], "again")

    with pytest.raises(StoreError, match="does not end") as caught:
        list(list_all(Endless(MemoryStore()), ""))
    assert "another store" in caught.value.hint


def test_a_listing_of_many_pages():
    store = MemoryStore(page_size=7)
    for n in range(100):
        store.put(f"{n:03}", b"")
    assert [info.key for info in list_all(store, "")] == [f"{n:03}" for n in range(100)]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 16 * MIB),
        (10 * 1024 * MIB, 16 * MIB),
        (160_000 * MIB, 16 * MIB),
        (160_000 * MIB + 1, 17 * MIB),
        (5 * 1024 * 1024 * MIB, 525 * MIB),
    ],
)
def test_part_sizes(size, expected):
    assert part_size(size) == expected
    assert size / part_size(size) <= 10_000


def test_a_missing_file(tmp_path):
    with pytest.raises(SourceError, match=r"cannot read .*nothing: No such file") as caught:
        put_file(MemoryStore(), "k", tmp_path / "nothing")
    assert "check that the file is there" in caught.value.hint


def test_a_folder_for_a_file(tmp_path):
    with pytest.raises(SourceError, match="cannot read"):
        put_file(MemoryStore(), "k", tmp_path)


def test_a_bad_key_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match="not a key"):
        put_file(MemoryStore(), "../k", tmp_path / "nothing")


@pytest.mark.parametrize("failing", ["put_part", "finish_multipart"])
@pytest.mark.parametrize("error", [StoreError("first"), KeyboardInterrupt()])
def test_a_failed_upload_is_aborted_and_its_own_error_told(large, failing, error):
    class Breaking(Layer):
        aborted = 0

        def _request(self, method, call, *, sent=0):
            if method == failing:
                raise error
            if method == "abort_multipart":
                type(self).aborted += 1
                raise StoreError("second")
            return call()

    with pytest.raises(type(error)) as caught:
        put_file(Breaking(MemoryStore()), "k", large)
    assert caught.value is error
    assert Breaking.aborted == 1


LOST = [ObjectNotFound("no such upload"), StoreError("InvalidPart"), TransientStoreError("timed out")]


@pytest.mark.parametrize("error", LOST)
def test_a_finished_upload_whose_answer_was_lost_is_stored(large, error):
    class LostAnswer(Layer):
        """Joins the parts, and then does not say so."""

        def finish_multipart(self, key, upload, tags):
            super().finish_multipart(key, upload, tags)
            raise error

    store = CountingStore(LostAnswer(MemoryStore()))
    assert put_file(store, "k", large) == 45
    assert store.get("k") == large.read_bytes()
    assert "abort_multipart" not in store.requests_by_method
    assert store.requests_by_method["head"] == 1


class Gone(Layer):
    """Knows nothing of the upload, which was never joined; `heads` fail if told to."""

    heads: Exception | None = None

    def finish_multipart(self, key, upload, tags):
        raise ObjectNotFound("no such upload")

    def head(self, key):
        if self.heads:
            raise self.heads
        return super().head(key)


@pytest.mark.parametrize("there", [None, b"", b"something else of another size"])
@pytest.mark.parametrize("heads", [None, TransientStoreError("timed out")])
def test_an_upload_that_is_gone(large, there, heads):
    store = Gone(MemoryStore())
    store.heads = heads
    if there is not None:
        store.put("k", there)
    with pytest.raises(StoreError, match="is gone before it was finished") as caught:
        put_file(store, "k", large)
    assert not isinstance(caught.value, ObjectNotFound)
    assert caught.value.hint == "run it again"


def test_little_is_in_memory(tmp_path):
    """A file just above what goes whole is in parts, one just below is read once."""
    assert transfer.SINGLE_PUT == 32 * MIB
    path = tmp_path / "file"
    for size, requests in [(32 * MIB, {"put": 1}), (32 * MIB + 1, {"start_multipart": 1, "put_part": 3})]:
        path.write_bytes(bytes(size))
        store = CountingStore(DryRunStore(MemoryStore()))
        tracemalloc.start()
        try:
            assert put_file(store, "k", path) == size
            assert tracemalloc.get_traced_memory()[1] < 34 * MIB
        finally:
            tracemalloc.stop()
        assert store.requests_by_method.items() >= requests.items()


def test_a_store_without_parts(large):
    class Plain:
        url = "plain://"

    with pytest.raises(CapabilityError, match="takes no object of 45 bytes"):
        put_file(Plain(), "k", large)


def test_a_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "SINGLE_PUT", 10)
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    monkeypatch.setattr(transfer.os, "fstat", lambda _: path.stat())
    real, grown = transfer._read, []

    def read(file, *arguments):
        if not grown:
            grown.append(path.write_bytes(b"0123456789 and more"))
        return real(file, *arguments)

    monkeypatch.setattr(transfer, "_read", read)
    store = MemoryStore()
    assert put_file(store, "k", path) == 19
    assert store.get("k") == b"0123456789 and more"
