"""What a store must be able to do, in one small protocol.

Each method is ONE request to the store, so that a decorator can count, retry or
delay requests exactly. Anything that takes several requests (a full listing, a
multipart upload) is a function over this protocol, in `transfer.py`.

A key is a relative POSIX path: components of printable characters joined by `/`
(`keys.check_key` has the rules; a key that breaks them raises ValueError).
A key that ends in `/` is a marker: a zero-byte object that makes a prefix visible
to readers that list flat (in a folder: a folder).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

__all__ = ["Buffer", "DeletingStore", "MultipartStore", "ObjectInfo", "Page", "Store", "SweepingStore"]

Buffer = bytes | bytearray | memoryview


class ObjectInfo(NamedTuple):
    """One listed object: its key, its size in bytes and, where a listing says so, its `tag`.

    The tag is S3's ETag: of a small object mostly the MD5 of its bytes in hex, but there are servers, and
    encryptions, where it is something else. Empty where nothing is said.
    """

    key: str
    size: int
    tag: str = ""


class Page(NamedTuple):
    """One page of a listing; `token` asks for the next page, None on the last one."""

    objects: list[ObjectInfo]
    token: str | None


class Store(Protocol):
    """Get, put and list objects. A push needs nothing more (it never deletes).

    Every method may raise StoreNotFound, CredentialsError, TransientStoreError or StoreError.
    """

    @property
    def url(self) -> str:
        """Where this store is, fit for messages: never holds a secret."""
        ...

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Read an object, or `length` bytes of it from `start` (fewer, or none, where it ends sooner).

        Raises ObjectNotFound.
        """
        ...

    def head(self, key: str) -> ObjectInfo:
        """The object's size without its bytes. Raises ObjectNotFound."""
        ...

    def put(self, key: str, data: Buffer, *, if_absent: bool = False) -> None:
        """Store an object whole or not at all; durable once this returns.

        With `if_absent`, raises ObjectExists where the key is taken: of two
        processes that try at once exactly one succeeds. Under a RetryingStore the
        object found may be our own, whose answer was lost: check it, don't fail.
        """
        ...

    def list_page(self, prefix: str, *, token: str | None = None, after: str = "") -> Page:
        """One page of the objects whose key starts with `prefix`, in any order, markers left out.

        With `after`, only those whose key is greater, by code point. A server that lists in another
        order (SeaweedFS puts `a/b` before `a-b`) may leave some out, unless all keys, `after`
        included, differ first in components of equal length, as upload ids are. The next page
        is asked for with the same `prefix` and `after`.
        """
        ...


@runtime_checkable
class MultipartStore(Protocol):
    """A store that takes an object too large for one request in parts of at least 5 MiB (but the last).

    `layer.multipart` tells whether a store is one, decorated or not. Every method may
    raise ObjectNotFound where the upload is unknown.
    """

    def start_multipart(self, key: str) -> str:
        """Open an upload; returns its id."""
        ...

    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:
        """Store part `number` (from 1, in order, again if need be); returns the part's tag."""
        ...

    def finish_multipart(self, key: str, upload: str, tags: list[str]) -> None:
        """Join the parts into the object, in place of one that is there.

        There is no `if_absent` here: not every server decides that race as exactly as it does for
        `put` (SeaweedFS 4.48 lets several win), so nothing that must be unique is created in parts.
        """
        ...

    def abort_multipart(self, key: str, upload: str) -> None:
        """Drop an unfinished upload and its parts."""
        ...


@runtime_checkable
class DeletingStore(Protocol):
    """A store that can also delete; only prune and the tests ask for it, through `layer.deleting`."""

    def delete(self, key: str) -> None:
        """Remove an object; no error where it is already gone."""
        ...


@runtime_checkable
class SweepingStore(Protocol):
    """A store in which a writer that was killed leaves something; only prune asks for it, through `layer.sweeping`."""

    def sweep(self, prefix: str) -> None:
        """Remove what was left unfinished below `prefix`, which ends in a slash, a day ago or more."""
        ...
