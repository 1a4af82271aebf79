"""The base of the decorators: a store around another, through which every request passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from akosha_snap.errors import CapabilityError
from akosha_snap.stores.base import Buffer, DeletingStore, MultipartStore, ObjectInfo, Page, Store, SweepingStore

__all__ = ["Layer", "deleting", "multipart", "sweeping"]

T = TypeVar("T")


class Layer:
    """A store that hands each request to `inner`; a subclass says in `_request` what happens around it.

    It has the methods of every capability; where `inner` lacks one, calling it raises
    CapabilityError. `multipart` and `deleting` tell beforehand.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    @property
    def url(self) -> str:
        """Where the innermost store is."""
        return self.inner.url

    def _request(self, method: str, call: Callable[[], T], *, sent: int = 0) -> T:  # noqa: ARG002 - for subclasses
        """Perform one request by `call`; `sent` is the number of body bytes that go with it."""
        return call()

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        return self._request("get", lambda: self.inner.get(key, start=start, length=length))

    def head(self, key: str) -> ObjectInfo:
        """See Store."""
        return self._request("head", lambda: self.inner.head(key))

    def put(self, key: str, data: Buffer, *, if_absent: bool = False) -> None:
        """See Store."""
        self._request("put", lambda: self.inner.put(key, data, if_absent=if_absent), sent=_size(data))

    def list_page(self, prefix: str, *, token: str | None = None, after: str = "") -> Page:
        """See Store."""
        return self._request("list_page", lambda: self.inner.list_page(prefix, token=token, after=after))

    def start_multipart(self, key: str) -> str:
        """See MultipartStore."""
        inner = _multipart_or_raise(self.inner)
        return self._request("start_multipart", lambda: inner.start_multipart(key))

    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:
        """See MultipartStore."""
        inner = _multipart_or_raise(self.inner)
        return self._request("put_part", lambda: inner.put_part(key, upload, number, data), sent=_size(data))

    def finish_multipart(self, key: str, upload: str, tags: list[str]) -> None:
        """See MultipartStore."""
        inner = _multipart_or_raise(self.inner)
        self._request("finish_multipart", lambda: inner.finish_multipart(key, upload, tags))

    def abort_multipart(self, key: str, upload: str) -> None:
        """See MultipartStore."""
        inner = _multipart_or_raise(self.inner)
        self._request("abort_multipart", lambda: inner.abort_multipart(key, upload))

    def delete(self, key: str) -> None:
        """See DeletingStore."""
        inner = deleting(self.inner)
        if inner is None:
            raise CapabilityError(f"the store {self.url} cannot delete", hint="choose another store")
        self._request("delete", lambda: inner.delete(key))

    def sweep(self, prefix: str) -> None:
        """See SweepingStore."""
        inner = sweeping(self.inner)
        if inner is None:
            raise CapabilityError(f"in the store {self.url} nothing is left unfinished", hint="choose another store")
        self._request("sweep", lambda: inner.sweep(prefix))


def multipart(store: Store) -> MultipartStore | None:
    """`store` as one that takes large objects in parts, or None; a layer is as able as what it wraps."""
    able = isinstance(_innermost(store), MultipartStore)
    return store if able and isinstance(store, MultipartStore) else None


def deleting(store: Store) -> DeletingStore | None:
    """`store` as one that can delete, or None; a layer is as able as what it wraps."""
    able = isinstance(_innermost(store), DeletingStore)
    return store if able and isinstance(store, DeletingStore) else None


def sweeping(store: Store) -> SweepingStore | None:
    """`store` as one in which killed writers leave something, or None; a layer is as able as what it wraps."""
    able = isinstance(_innermost(store), SweepingStore)
    return store if able and isinstance(store, SweepingStore) else None


def _innermost(store: Store) -> Store:
    while isinstance(store, Layer):
        store = store.inner
    return store


def _multipart_or_raise(store: Store) -> MultipartStore:
    able = multipart(store)
    if able is None:
        raise CapabilityError(f"the store {store.url} takes no object in parts", hint="choose another store")
    return able


def _size(data: Buffer) -> int:
    return data.nbytes if isinstance(data, memoryview) else len(data)
