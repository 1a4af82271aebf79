"""The requests of an ordinary push and restore, without boto3's 0.3 s of processor time.

A LeanClient takes the calls, gives the answers and raises the errors of a boto3 S3 client, as far
as S3Store uses them, so that the two can stand in for each other.
"""

from __future__ import annotations

import http.client
import io
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from akosha_snap.stores.base import Buffer
from akosha_snap.stores.http_connections import Answer, Connections
from akosha_snap.stores.s3_client import S3Options
from akosha_snap.stores.s3_settings import PlainSettings
from akosha_snap.stores.sigv4 import encoded_path, encoded_query, signed
from akosha_snap.version import __version__

__all__ = ["LeanClient"]

_ELSEWHERE = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
"""What AWS says of a bucket in another region; boto3 then finds out which one that is."""

_HEADERS = {"Range": "Range", "ContentMD5": "Content-MD5", "IfNoneMatch": "If-None-Match"}
_START = {"ContinuationToken": "continuation-token", "StartAfter": "start-after"}


class LeanClient:
    """Five operations of a boto3 S3 client, each one request; any other is boto3's own, from `make_boto3`.

    Where the bucket turns out to be elsewhere, the request and all that follow are boto3's too. Thread-safe.
    """

    def __init__(self, settings: PlainSettings, options: S3Options, make_boto3: Callable[[], Any]) -> None:
        self._settings = settings
        self._host = settings.origin.partition("://")[2]
        self._connections = Connections(
            settings.origin, connect_timeout=options.connect_timeout, read_timeout=options.read_timeout
        )
        self._lock = threading.Lock()
        self._make_boto3 = make_boto3
        self._boto3: Any = None
        self._moved = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._full(), name)

    def get_object(self, **given: str) -> dict[str, Any]:
        """An object, or the `Range` of it, in `Body`."""
        return self._call("get_object", "GET", given, lambda answer: {"Body": io.BytesIO(answer.body)})

    def head_object(self, **given: str) -> dict[str, Any]:
        """An object's `ContentLength`."""
        return self._call("head_object", "HEAD", given, lambda answer: {"ContentLength": _length(answer)})

    def put_object(self, **given: Any) -> dict[str, Any]:
        """Store `Body`; with `IfNoneMatch` of `*` only where there is none."""
        return self._call("put_object", "PUT", given, lambda _: {})

    def delete_object(self, **given: str) -> dict[str, Any]:
        """Remove an object."""
        return self._call("delete_object", "DELETE", given, lambda _: {})

    def list_objects_v2(self, **given: Any) -> dict[str, Any]:
        """A page of the keys that start with `Prefix`."""
        return self._call("list_objects_v2", "GET", given, _listing)

    def _call(
        self, operation: str, method: str, given: Mapping[str, Any], read: Callable[[Answer], dict[str, Any]]
    ) -> dict[str, Any]:
        if not self._moved:
            answer = self._send(method, given)
            if operation != "get_object" and answer.status < 300 and _is_failure(answer.body):
                answer = answer._replace(status=500)  # as boto3 does
            if answer.status < 300:
                return read(answer) | {"ResponseMetadata": _metadata(answer)}
            error = _error(answer)
            if not _is_elsewhere(answer.status, error["Code"], method):
                raise _client_error(error, answer, operation)
            self._moved = True
        result: dict[str, Any] = getattr(self._full(), operation)(**given)
        return result

    def _full(self) -> Any:
        with self._lock:
            if self._boto3 is None:
                self._boto3 = self._make_boto3()
            return self._boto3

    def _send(self, method: str, given: Mapping[str, Any]) -> Answer:
        where = self._settings
        path = where.bucket_path + (f"/{given['Key']}" if "Key" in given else "" if where.bucket_path else "/")
        target, query = encoded_path(path), encoded_query(_query(given) if "Prefix" in given else {})
        headers = {name: given[field] for field, name in _HEADERS.items() if field in given}
        body: Buffer | None = given.get("Body")
        headers = signed(method, self._host, target, query, headers, body or b"", where.credentials, where.region)
        headers["User-Agent"] = f"akosha-snap/{__version__}"
        limit = _limit(given.get("Range", "")) if method == "GET" and "Key" in given else {}
        return self._connections.request(method, f"{target}?{query}" if query else target, headers, body, **limit)


def _limit(wanted: str) -> dict[str, int | None]:
    """How much of an object may come: what its range says, else all of it."""
    start, _, end = wanted.removeprefix("bytes=").partition("-")
    return {"most": int(end) - int(start) + 1 if end else None}


def _query(given: Mapping[str, Any]) -> dict[str, str]:
    # encoded, as XML has no way to write some characters that other people's keys may hold
    query = {"list-type": "2", "encoding-type": "url", "prefix": given["Prefix"], "max-keys": str(given["MaxKeys"])}
    return query | {name: given[field] for field, name in _START.items() if field in given}


def _length(answer: Answer) -> int | str:
    length = answer.headers.get("content-length", "")
    return int(length) if length.isdecimal() else ""


def _listing(answer: Answer) -> dict[str, Any]:
    parsed = _parsed(answer.body)
    root = ET.Element("nothing") if parsed is None else parsed
    decode = unquote_plus if root.findtext("EncodingType") == "url" else str
    truncated = root.findtext("IsTruncated", "").strip()
    return {
        "IsTruncated": {"true": True, "false": False}.get(truncated, ""),
        "NextContinuationToken": root.findtext("NextContinuationToken", ""),
        "Contents": [
            {
                "Key": decode(item.findtext("Key", "")),
                "Size": _number(item.findtext("Size", "")),
                "ETag": item.findtext("ETag", ""),
            }
            for item in root.iterfind("Contents")
        ],
    }


def _number(text: str) -> int | str:
    return int(text) if text.strip().isdecimal() else ""


def _parsed(body: bytes) -> ET.Element | None:
    """The XML of an answer, its tags without namespaces; None where it is none."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - botocore parses them with it too
    except ET.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _is_failure(body: bytes) -> bool:
    """Whether what is called a success is none: S3 may notice late, and a proxy may speak HTML."""
    root = _parsed(body) if body else None
    return bool(body) and (root is None or root.tag == "Error")


def _metadata(answer: Answer) -> dict[str, Any]:
    return {"HTTPStatusCode": answer.status, "HTTPHeaders": answer.headers}


def _error(answer: Answer) -> dict[str, str]:
    """Code and Message of a refusal: the server's own words, else those of its status."""
    root = _parsed(answer.body)
    if root is not None and root.tag == "Error" and root.findtext("Code"):
        return {"Code": root.findtext("Code", "").strip(), "Message": root.findtext("Message", "")}
    return {"Code": str(answer.status), "Message": http.client.responses.get(answer.status, "")}


def _is_elsewhere(status: int, code: str, method: str) -> bool:
    return status in {301, 302, 307} or code in _ELSEWHERE or (method == "HEAD" and status == 400)


def _client_error(error: dict[str, str], answer: Answer, operation: str) -> Exception:
    from botocore.exceptions import ClientError

    refused: Exception = ClientError({"Error": error, "ResponseMetadata": _metadata(answer)}, operation)
    return refused
