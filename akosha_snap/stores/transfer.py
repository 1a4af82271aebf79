"""What takes more than one request: whole listings, and files too large for one put."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from akosha_snap.errors import CapabilityError, ObjectNotFound, SourceError, StoreError
from akosha_snap.stores.base import MultipartStore, ObjectInfo, Store
from akosha_snap.stores.keys import check_key
from akosha_snap.stores.layer import multipart

__all__ = ["MAX_PARTS", "PART_SIZE", "SINGLE_PUT", "list_all", "put_file"]

SINGLE_PUT = 32 * 1024 * 1024
"""Largest file, in bytes, that is read whole and stored with one request."""

PART_SIZE = 16 * 1024 * 1024
"""Bytes in a part of a larger file: few requests, and no more memory than two parts."""

MAX_PARTS = 10_000
"""Most parts S3 joins: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

_MIB = 1024 * 1024
_UNREADABLE = "check that the file is there and that you may read it"


def list_all(store: Store, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
    """Every object whose key starts with `prefix`, in any order, markers left out; a request per page.

    With `after`, only keys greater than it: see Store.list_page.
    """
    token: str | None = None
    while True:
        page = store.list_page(prefix, token=token, after=after)
        yield from page.objects
        if page.token is None:
            return
        if page.token == token:
            raise StoreError(
                f"the listing of {prefix} in {store.url} does not end",
                hint="the server repeats a page: update it, or choose another store",
            )
        token = page.token


def put_file(store: Store, key: str, path: Path) -> int:
    """Store the file at `path` under `key`, in place of what is there; returns the bytes stored.

    One put up to SINGLE_PUT bytes, parts above; in memory is no more than that, or two parts.
    The key must be of these bytes alone: an object of the same size under it passes for them
    where the answer to the upload was lost. Raises SourceError where the file cannot be read,
    CapabilityError where a large one needs parts and the store takes none. A failure leaves no
    parts behind as far as the store lets us.
    """
    check_key(key)
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", hint=_UNREADABLE) from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if size <= SINGLE_PUT:
            data = _read(file, path, SINGLE_PUT + 1)
            if len(data) <= SINGLE_PUT:
                store.put(key, data)
                return len(data)
            file.seek(0)  # it has grown meanwhile
        able = multipart(store)
        if able is None:
            raise CapabilityError(f"the store {store.url} takes no object of {size} bytes", hint="choose another store")
        return _put_parts(store, able, key, file, path, part_size(size))


def part_size(size: int) -> int:
    """How large the parts of a file of `size` bytes are: whole MiB, PART_SIZE or what MAX_PARTS asks for."""
    return max(PART_SIZE, -(-size // (MAX_PARTS * _MIB)) * _MIB)


def _put_parts(store: Store, able: MultipartStore, key: str, file: BinaryIO, path: Path, size: int) -> int:
    upload = able.start_multipart(key)
    try:
        tags: list[str] = []
        stored = 0
        while data := _read(file, path, size):
            tags.append(able.put_part(key, upload, len(tags) + 1, data))
            stored += len(data)
        _finish(store, able, key, upload, tags, stored)
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            able.abort_multipart(key, upload)
        raise
    return stored


def _finish(store: Store, able: MultipartStore, key: str, upload: str, tags: list[str], size: int) -> None:
    try:
        able.finish_multipart(key, upload, tags)
    except StoreError as error:
        # An earlier try may have joined the parts, and its answer was lost: servers then know no
        # such upload, or no such part, or time out again. What lies there is what tells.
        with contextlib.suppress(StoreError):
            if store.head(key).size == size:
                return
        if isinstance(error, ObjectNotFound):
            raise StoreError(
                f"the upload of {key} to {store.url} is gone before it was finished", hint="run it again"
            ) from error
        raise


def _read(file: BinaryIO, path: Path, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", hint=_UNREADABLE) from error
