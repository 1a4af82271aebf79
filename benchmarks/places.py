"""Where tools store: a folder, or a bucket of a SeaweedFS of our own behind the counting proxy."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.interpreters import Unavailable
from benchmarks.measure import Failed
from benchmarks.proxy import Proxy, Shape, running_proxy

__all__ = ["Place", "Server", "Stored", "folder_place", "running_server"]

ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Stored:
    """What lies in a place."""

    bytes: int
    objects: int


@dataclasses.dataclass(frozen=True)
class Place:
    """One tool's own place: `folder`, or `bucket` at the proxy's address with the server's credentials."""

    folder: Path
    bucket: str = ""
    server: Server | None = None

    @property
    def proxy(self) -> Proxy | None:
        """The proxy that counts what goes to the bucket; a folder has none."""
        return self.server.proxy if self.server else None

    def stored(self) -> Stored:
        """Bytes and objects that lie there now."""
        if self.server:
            return self.server.stored(self.bucket)
        sizes = [path.stat().st_size for path in self.folder.rglob("*") if path.is_file()]
        return Stored(sum(sizes), len(sizes))


class Server:
    """A SeaweedFS and the proxy in front of it."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, proxy: Proxy) -> None:
        self.access_key, self.secret_key, self.proxy = access_key, secret_key, proxy
        self._endpoint = endpoint
        self._client_made: Any = None

    @property
    def _client(self) -> Any:
        if self._client_made is None:
            import boto3.session

            session = boto3.session.Session(self.access_key, self.secret_key, region_name="us-east-1")
            self._client_made = session.client("s3", endpoint_url=self._endpoint)
        return self._client_made

    def place(self, bucket: str, folder: Path) -> Place:
        """A new bucket of that name; `folder` is for what a tool keeps beside it."""
        with contextlib.suppress(self._client.exceptions.BucketAlreadyOwnedByYou):  # a retry of its own
            self._client.create_bucket(Bucket=bucket)
        return Place(folder, bucket, self)

    def stored(self, bucket: str) -> Stored:
        """Asked of the server itself, past the proxy."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            sizes = [entry["Size"] for page in pages for entry in page.get("Contents", [])]
        except (BotoCoreError, ClientError) as error:
            raise Failed(f"the server did not list {bucket}: {error}") from error
        return Stored(sum(sizes), len(sizes))


def folder_place(folder: Path) -> Place:
    """A new folder."""
    folder.mkdir(parents=True)
    return Place(folder)


@contextlib.contextmanager
def running_server(folder: Path, shape: Shape | None = None) -> Iterator[Server]:
    """A SeaweedFS with its data in `folder`, as the tests start it, behind a proxy."""
    sys.path.append(str(ROOT / "tests"))
    try:
        from seaweed import running_seaweed  # type: ignore[import-not-found]
    except ImportError as error:
        raise Unavailable(f"no SeaweedFS: {error}") from error
    finally:
        sys.path.remove(str(ROOT / "tests"))
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            seaweed = stack.enter_context(running_seaweed(folder))
        except RuntimeError as error:
            raise Unavailable(str(error)) from error
        proxy = stack.enter_context(running_proxy(urlsplit(seaweed.endpoint).port or 80, shape))
        yield Server(seaweed.endpoint, seaweed.access_key, seaweed.secret_key, proxy)
