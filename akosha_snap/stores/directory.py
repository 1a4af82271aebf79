"""A store in a folder: one file per object, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from akosha_snap.atomic import A_DAY, TEMPORARY_PREFIX, fsync_directory, publish, sweep, temporary_file
from akosha_snap.errors import ObjectExists, ObjectNotFound, StoreError, StoreNotCreated
from akosha_snap.stores.base import Buffer, ObjectInfo, Page
from akosha_snap.stores.checksums import md5_of
from akosha_snap.stores.directory_errors import translate
from akosha_snap.stores.hints import EXISTS, MISSING, UPLOAD_GONE
from akosha_snap.stores.keys import check_key, check_prefix, check_range, is_key

__all__ = ["DirectoryStore"]


_SMALL = 64 * 1024
"""Bytes of an object that is read along when it is listed."""


class DirectoryStore:
    """Objects as files under `path`, markers as folders; thread-safe and safe between processes.

    Memories are private: files get mode 0600, folders 0700. The first `put` creates
    `path`; reading where it is missing raises StoreNotCreated. A crash can leave files
    named `.tmp-*`, which no listing shows and `sweep` removes. An upload in parts belongs to this instance.
    """

    def __init__(self, path: Path) -> None:
        self._root = path.absolute()
        self._lock = threading.Lock()
        self._uploads: dict[str, list[int]] = {}  # upload -> where each of its parts ends

    def __repr__(self) -> str:
        return f"DirectoryStore({str(self._root)!r})"

    @property
    def url(self) -> str:
        """The folder as a `file:` URL."""
        return self._root.as_uri()

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        check_range(start, length)
        path = self._path(key)
        with self._errors("read", path):
            if key.endswith("/"):
                self._stat_folder(path)
                return b""
            with _open_regular(path) as file:
                left = os.fstat(file.fileno()).st_size - start
                if left <= 0:  # a start beyond what any file can have cannot even be sought
                    return b""
                file.seek(start)
                return file.read(left if length is None else min(left, length))

    def head(self, key: str) -> ObjectInfo:
        """See Store."""
        path = self._path(key)
        with self._errors("read", path):
            if key.endswith("/"):
                self._stat_folder(path)
                return ObjectInfo(key, 0)
            status = path.stat()
            _refuse_irregular(path, status)
            return ObjectInfo(key, status.st_size)

    def put(self, key: str, data: Buffer, *, if_absent: bool = False) -> None:
        """See Store. A marker has no bytes, and is there as soon as an object below it is."""
        path = self._path(key)
        if key.endswith("/"):
            if data:
                raise ValueError(f"the marker {key} cannot hold bytes")
            self._make_marker(path, if_absent=if_absent)
            return
        with self._errors("write", path):
            if if_absent and os.path.lexists(path):  # spares writing what cannot be published
                raise FileExistsError
            self._make_folder(path.parent)
            with temporary_file(path.parent) as (temporary, file):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                file.close()  # Windows renames no open file
                publish(temporary, path, overwrite=not if_absent)

    def list_page(self, prefix: str, *, token: str | None = None, after: str = "") -> Page:  # noqa: ARG002 - no pages
        """See Store. The page is the whole listing."""
        check_prefix(prefix)
        check_prefix(after)
        folder, _, name = prefix.rpartition("/")
        with self._errors("list", self._root / folder):
            self._stat_folder(self._root)
            found = _walk(self._root / folder, f"{folder}/" if folder else "", name)
            return Page(sorted(self._tagged(info) for info in found if info.key > after), None)

    def start_multipart(self, key: str) -> str:
        """See MultipartStore. The upload's id is the name of its temporary file."""
        path = self._path(key)
        upload = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        with self._errors("write", path):
            self._make_folder(path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            os.close(os.open(path.with_name(upload), flags, 0o600))
        with self._lock:
            self._uploads[upload] = [0]
        return upload

    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:
        """See MultipartStore. A part can be stored again, as long as none follows it."""
        path = self._path(key)
        ends = self._ends(key, upload)
        if not 1 <= number <= len(ends):
            raise ValueError(f"part {number} of {key} comes after part {len(ends) - 1}")
        with self._errors("write", path), path.with_name(upload).open("r+b") as file:
            del ends[number:]
            file.truncate(ends[-1])
            file.seek(ends[-1])
            file.write(data)
            ends.append(file.tell())
        return f"part-{number}"

    def finish_multipart(self, key: str, upload: str, tags: list[str]) -> None:
        """See MultipartStore."""
        path = self._path(key)
        ends = self._ends(key, upload)
        if tags != [f"part-{number}" for number in range(1, len(ends))]:
            raise ValueError(f"tags {tags} are not those of the {len(ends) - 1} parts of {key}")
        temporary = path.with_name(upload)
        with self._errors("write", path):
            with temporary.open("r+b") as file:
                file.truncate(ends[-1])
                os.fsync(file.fileno())
            publish(temporary, path, overwrite=True)
        with self._lock:
            del self._uploads[upload]

    def abort_multipart(self, key: str, upload: str) -> None:
        """See MultipartStore."""
        path = self._path(key)
        with self._lock:
            known = self._uploads.pop(upload, None) is not None
        if known:
            with self._errors("delete", path):
                path.with_name(upload).unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """See DeletingStore. A marker with objects below it stays."""
        path = self._path(key)
        if key.endswith("/"):
            with contextlib.suppress(OSError):
                path.rmdir()
            return
        with self._errors("delete", path):
            if path.is_file():
                path.unlink(missing_ok=True)
                with contextlib.suppress(FileNotFoundError):  # another prune has deleted the marker
                    fsync_directory(path.parent)

    def sweep(self, prefix: str) -> None:
        """See SweepingStore. Another machine may be writing here too, whose locks need not show: age alone tells."""
        check_prefix(prefix)
        for folder, _, _ in os.walk(self._root / prefix):
            sweep(Path(folder), older_than=A_DAY)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._root / key

    def _tagged(self, info: ObjectInfo) -> ObjectInfo:
        """With the tag that S3 would give it, where it is small: a manifest."""
        if info.size <= _SMALL:
            with contextlib.suppress(OSError):  # deleted since it was listed
                return info._replace(tag=md5_of((self._root / info.key).read_bytes()))
        return info

    def _stat_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotADirectoryError if folder.exists() else FileNotFoundError

    def _make_marker(self, path: Path, *, if_absent: bool) -> None:
        with self._errors("write", path):
            self._make_folder(path.parent)
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                if if_absent or not path.is_dir():
                    raise
            fsync_directory(path.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make `folder` and the missing ones above it, each durable before anything goes into it."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise NotADirectoryError from None
        fsync_directory(folder.parent)

    def _ends(self, key: str, upload: str) -> list[int]:
        with self._lock:
            if upload not in self._uploads:
                raise ObjectNotFound(f"no upload {upload} of {key} in {self.url}", hint=UPLOAD_GONE)
            return self._uploads[upload]

    @contextlib.contextmanager
    def _errors(self, doing: str, path: Path) -> Iterator[None]:
        """Raise what the system reports inside the block as one of our errors."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileExistsError) and doing == "write":
                raise ObjectExists(f"{path} already exists", hint=EXISTS) from None
            if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
                if self._root.exists() and not self._root.is_dir():
                    path = self._root  # it is the store's own path that names a file
                elif doing != "write":
                    raise self._absent(path) from None
            raise translate(error, doing, path) from error

    def _absent(self, path: Path) -> StoreNotCreated | ObjectNotFound:
        if self._root.exists():
            return ObjectNotFound(f"no object {path}", hint=MISSING)
        return StoreNotCreated(
            f"no store at {self._root}",
            hint="check the path, and that its drive is mounted; a push creates the store",
        )


@contextlib.contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file, never waiting (on a fifo without a writer) and never touching a device."""
    _refuse_irregular(path, path.stat())
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        _refuse_irregular(path, os.fstat(descriptor))  # it may have become another since
        yield file


def _refuse_irregular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(
            f"cannot read {path}: it is not a regular file", hint="move it away: a store holds files and folders only"
        )


def _walk(folder: Path, key: str, name: str = "") -> Iterator[ObjectInfo]:
    """The files below `folder`, whose own key is `key`; at its first level those that start with `name`."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            if not entry.name.startswith(name) or not is_key(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{key}{entry.name}/")
            elif entry.is_file():
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    yield ObjectInfo(f"{key}{entry.name}", entry.stat().st_size)
