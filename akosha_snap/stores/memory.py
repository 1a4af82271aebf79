"""A store in this process's memory, for tests and trials."""

from __future__ import annotations

import bisect
import itertools
import threading

from akosha_snap.errors import ObjectExists, ObjectNotFound
from akosha_snap.stores.base import Buffer, ObjectInfo, Page
from akosha_snap.stores.checksums import md5_of
from akosha_snap.stores.hints import EXISTS, MISSING, UPLOAD_GONE
from akosha_snap.stores.keys import check_key, check_prefix, check_range

__all__ = ["MemoryStore"]


class MemoryStore:
    """Objects in a dict; thread-safe. Lists `page_size` keys at a time (1,000, as S3 does).

    No URL opens one: what a command saved there would be gone with its process. `url` is for messages.
    """

    url = "memory://"

    def __init__(self, *, page_size: int = 1000) -> None:
        self._page_size = page_size
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._upload_ids = itertools.count(1)

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._objects)} objects)"

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        check_range(start, length)
        data = self._find(key)
        return data[start : None if length is None else start + length]

    def head(self, key: str) -> ObjectInfo:
        """See Store."""
        return ObjectInfo(key, len(self._find(key)))

    def put(self, key: str, data: Buffer, *, if_absent: bool = False) -> None:
        """See Store."""
        check_key(key)
        with self._lock:
            if if_absent and key in self._objects:
                raise ObjectExists(f"{key} already exists in {self.url}", hint=EXISTS)
            self._objects[key] = bytes(data)

    def list_page(self, prefix: str, *, token: str | None = None, after: str = "") -> Page:
        """See Store. The token is the last key of the page before."""
        check_prefix(prefix)
        check_prefix(after)
        with self._lock:
            there = {key: data for key, data in self._objects.items() if key.startswith(prefix)}
        keys = sorted(key for key in there if not key.endswith("/"))
        first = bisect.bisect_right(keys, after if token is None else token)
        page = keys[first : first + self._page_size]
        more = first + len(page) < len(keys)
        objects = [ObjectInfo(key, len(there[key]), md5_of(there[key])) for key in page]
        return Page(objects, page[-1] if more else None)

    def start_multipart(self, key: str) -> str:
        """See MultipartStore."""
        check_key(key)
        upload = f"upload-{next(self._upload_ids)}"
        self._uploads[upload] = {}
        return upload

    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:
        """See MultipartStore."""
        with self._lock:
            self._parts(key, upload)[number] = bytes(data)
        return f"part-{number}"

    def finish_multipart(self, key: str, upload: str, tags: list[str]) -> None:
        """See MultipartStore."""
        with self._lock:
            parts = self._parts(key, upload)
            if tags != [f"part-{number}" for number in sorted(parts)]:
                raise ValueError(f"tags {tags} are not those of the parts {sorted(parts)}")
            self._objects[key] = b"".join(parts[number] for number in sorted(parts))
            del self._uploads[upload]

    def abort_multipart(self, key: str, upload: str) -> None:  # noqa: ARG002 - the protocol's
        """See MultipartStore."""
        self._uploads.pop(upload, None)

    def delete(self, key: str) -> None:
        """See DeletingStore."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def _find(self, key: str) -> bytes:
        check_key(key)
        with self._lock:
            if key not in self._objects:
                raise ObjectNotFound(f"no object {key} in {self.url}", hint=MISSING)
            return self._objects[key]

    def _parts(self, key: str, upload: str) -> dict[int, bytes]:
        if upload not in self._uploads:
            raise ObjectNotFound(f"no upload {upload} of {key} in {self.url}", hint=UPLOAD_GONE)
        return self._uploads[upload]
