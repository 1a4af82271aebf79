"""A store in an S3 bucket: AWS, R2, B2, MinIO, SeaweedFS and whatever else speaks S3."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from akosha_snap.errors import CapabilityError, CredentialsError
from akosha_snap.stores.base import Buffer, ObjectInfo, Page
from akosha_snap.stores.checksums import md5_of
from akosha_snap.stores.hints import NO_RIGHT_TO_DELETE
from akosha_snap.stores.keys import check_key, check_prefix, check_range, is_key
from akosha_snap.stores.plain_http import refuse_plain_http
from akosha_snap.stores.s3_client import S3Options, make_boto3_client
from akosha_snap.stores.s3_errors import is_beyond_end, is_of_s3, translate

__all__ = ["S3Store"]

_COUNTABLE = 2**63 - 1
"""Servers count bytes in an i64; one (SeaweedFS) says of a range with a later end that there is nothing."""

_PIECE = 1024 * 1024
"""Bytes taken at a time of an answer that does not say how long it is."""


class S3Store:
    """Objects in `bucket`, their keys below `prefix` (empty: the whole bucket); thread-safe.

    Credentials come from where boto3 finds them (AWS_*, profiles, SSO, instance roles). Requests are
    boto3's too, or a LeanClient's where nothing out of the ordinary is set up for boto3.
    Each method is one request, tried once: botocore's own retries are off, so that
    a CountingStore counts what is really sent and a RetryingStore around it decides.
    Not counted: fetching credentials, and the redirect of a bucket in another region.
    Every upload carries its MD5, so bytes damaged on the way are refused, not stored.
    """

    def __init__(self, bucket: str, prefix: str = "", options: S3Options | None = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._options = options or S3Options()
        self._lock = threading.Lock()
        self._made: Any = None  # made by the first request: both clients take time to import

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    @property
    def url(self) -> str:
        """The `s3:` URL that opens this store, with the endpoint and other options it was given."""
        where = f"s3://{self._bucket}/{self._prefix}".removesuffix("/")
        query = urlencode(self._options.in_url(), safe=":/", quote_via=quote)
        return f"{where}?{query}" if query else where

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        check_range(start, length)
        if length == 0:  # HTTP has no empty range
            self.head(key)
            return b""
        wanted: dict[str, str] = {}
        if start or length is not None:
            end = None if length is None or start + length > _COUNTABLE else start + length - 1
            wanted["Range"] = f"bytes={start}-{'' if end is None else end}"
        with self._errors("read", key):
            try:
                answer = self._client.get_object(**self._object(key), **wanted)
                with answer["Body"] as body:
                    data = _read(body, answer.get("ContentLength"), length)
            except Exception as error:
                if wanted and is_beyond_end(error):
                    return b""
                raise
        whole = answer["ResponseMetadata"]["HTTPStatusCode"] != 206
        if wanted and ((whole and start) or (length is not None and len(data) > length)):
            raise CapabilityError(
                f"cannot read {key} in {self.url}: asked for a part of it, the server sends more, or another part",
                hint="choose another store; a proxy before it must pass on the Range header",
            )
        return data

    def head(self, key: str) -> ObjectInfo:
        """See Store. A missing bucket cannot be told from a missing object here."""
        with self._errors("read", key):
            answer = self._client.head_object(**self._object(key))
            return ObjectInfo(key, _field(answer, "ContentLength"))

    def put(self, key: str, data: Buffer, *, if_absent: bool = False) -> None:
        """See Store. Up to 5 GiB; `transfer.put_file` takes what is larger."""
        with self._errors("write", key, conditional=if_absent):
            self._client.put_object(**self._object(key), **_body(data), **_condition(if_absent))

    def list_page(self, prefix: str, *, token: str | None = None, after: str = "") -> Page:
        """See Store. Objects whose key no store could hold are left out: nobody could read them here."""
        check_prefix(prefix)
        check_prefix(after)
        start = {"ContinuationToken": token} if token else {"StartAfter": self._prefix + after} if after else {}
        with self._errors("list", prefix):
            answer = self._client.list_objects_v2(
                Bucket=self._bucket,
                Prefix=self._prefix + prefix,
                MaxKeys=self._options.page_size,
                **start,
            )
            more = _field(answer, "IsTruncated")
            found = [
                ObjectInfo(_field(item, "Key").removeprefix(self._prefix), _field(item, "Size"), _tag(item))
                for item in answer.get("Contents", [])
            ]
            objects = [info for info in found if is_key(info.key) and not info.key.endswith("/") and info.key > after]
            return Page(objects, _field(answer, "NextContinuationToken") if more else None)

    def start_multipart(self, key: str) -> str:
        """See MultipartStore."""
        with self._errors("write", key):
            upload: str = _field(self._client.create_multipart_upload(**self._object(key)), "UploadId")
            return upload

    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:
        """See MultipartStore."""
        with self._errors("write", key):
            answer = self._client.upload_part(**self._object(key), UploadId=upload, PartNumber=number, **_body(data))
            tag: str = _field(answer, "ETag")
            return tag

    def finish_multipart(self, key: str, upload: str, tags: list[str]) -> None:
        """See MultipartStore."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
        with self._errors("write", key):
            self._client.complete_multipart_upload(
                **self._object(key), UploadId=upload, MultipartUpload={"Parts": parts}
            )

    def abort_multipart(self, key: str, upload: str) -> None:
        """See MultipartStore."""
        with self._errors("delete", key):
            self._client.abort_multipart_upload(**self._object(key), UploadId=upload)

    def delete(self, key: str) -> None:
        """See DeletingStore."""
        try:
            with self._errors("delete", key):
                self._client.delete_object(**self._object(key))
        except CredentialsError as error:
            if "AccessDenied" in error.message:
                raise CredentialsError(error.message, hint=NO_RIGHT_TO_DELETE) from None
            raise

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    def _make_client(self) -> Any:
        from akosha_snap.stores.s3_lean import LeanClient
        from akosha_snap.stores.s3_settings import plain_settings

        options = self._options
        settings = plain_settings(self._bucket, options) if options.lean else None
        made = LeanClient(settings, options, lambda: make_boto3_client(options)) if settings else None
        client: Any = made or make_boto3_client(options)
        if not options.allow_insecure_http:  # only now is it known where boto3's own settings lead
            where = settings.origin if settings else client.meta.endpoint_url
            refuse_plain_http(where, "signed requests and memories")
        return client

    def _object(self, key: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    @contextlib.contextmanager
    def _errors(self, doing: str, key: str, *, conditional: bool = False) -> Iterator[None]:
        """Raise what boto3 reports inside the block as one of our errors."""
        try:
            yield
        except Exception as error:
            if not is_of_s3(error):
                raise
            what = f"{doing} {key} in {self.url}" if key else f"{doing} {self.url}"
            ours = translate(error, what, conditional=conditional)
            # what boto3 says of credentials may quote them
            raise ours from (None if isinstance(ours, CredentialsError) else error)


def _read(body: Any, declared: int | None, length: int | None) -> bytes:
    """All of a body, but where it is not known to have only `length` bytes, no more than shows that it has more."""
    if length is None or (declared is not None and declared <= length):
        return bytes(body.read())
    data = bytearray()
    while len(data) <= length and (piece := body.read(min(_PIECE, length + 1 - len(data)))):
        data += piece
    return bytes(data)


def _field(answer: dict[str, Any], name: str) -> Any:
    """What every S3 server says; where it is not said, a proxy's page must not pass for an answer."""
    if answer.get(name, "") == "":
        from botocore.parsers import ResponseParserError

        raise ResponseParserError(f"no {name}")
    return answer[name]


def _tag(item: dict[str, Any]) -> str:
    tag: str = item.get("ETag", "")
    return tag.strip('"')


def _body(data: Buffer) -> dict[str, Any]:
    body = data if isinstance(data, bytes) else bytes(data)  # boto3 takes no memoryview
    return {"Body": body, "ContentMD5": base64.b64encode(bytes.fromhex(md5_of(body))).decode()}


def _condition(if_absent: bool) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if if_absent else {}
