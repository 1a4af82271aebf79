"""Listings of many pages and files of many parts, where stores misbehave."""

from __future__ import annotations

import pytest

from akosha_snap.errors import CapabilityError, ObjectExists, ObjectNotFound, SourceError, StoreError
from akosha_snap.stores import Layer, MemoryStore, Page, list_all, put_file, transfer
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
        def list_page(self, prefix, *, token=None):
            return Page([], "again")

    with pytest.raises(StoreError, match="does not end"):
        list(list_all(Endless(MemoryStore()), ""))


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
    with pytest.raises(SourceError, match=r"cannot read .*nothing: No such file"):
        put_file(MemoryStore(), "k", tmp_path / "nothing")


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


class LostAnswer(Layer):
    """Joins the parts, and then knows nothing of the upload, as S3 answers to a second try."""

    def finish_multipart(self, key, upload, tags, *, if_absent=False):
        super().finish_multipart(key, upload, tags, if_absent=if_absent)
        raise ObjectNotFound("no such upload")


def test_a_finished_upload_whose_answer_was_lost_may_be_ours(large):
    store = LostAnswer(MemoryStore())
    with pytest.raises(ObjectExists, match="k already exists"):
        put_file(store, "k", large, if_absent=True)
    assert store.get("k") == large.read_bytes()


def test_an_upload_that_is_gone(large):
    class Gone(Layer):
        def finish_multipart(self, key, upload, tags, *, if_absent=False):
            raise ObjectNotFound("no such upload")

    for if_absent in [False, True]:
        with pytest.raises(StoreError, match="is gone before it was finished") as caught:
            put_file(Gone(MemoryStore()), "k", large, if_absent=if_absent)
        assert not isinstance(caught.value, ObjectNotFound)


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
