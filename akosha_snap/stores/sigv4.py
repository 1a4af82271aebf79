"""AWS Signature Version 4, as S3 takes it: the proof of who sends a request, and of every byte in it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. botocore has it too,
but takes 0.1 s to import for it; the tests hold these signatures against botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

from akosha_snap.stores.base import Buffer

__all__ = ["Credentials", "encoded_path", "encoded_query", "signed"]

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """Whose requests they are; `token` comes with temporary credentials only."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(***)"


def encoded_path(path: str) -> str:
    """A path as it is sent and signed: everything percent-encoded but `A-Z a-z 0-9 - . _ ~ /`."""
    return quote(path, safe="/")


def encoded_query(query: Mapping[str, str]) -> str:
    """A query as it is sent and signed: sorted by name, `/` percent-encoded too."""
    return urlencode(sorted(query.items()), quote_via=quote, safe="")


def signed(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: Buffer,
    credentials: Credentials,
    region: str,
    *,
    now: float | None = None,
) -> dict[str, str]:
    """`headers` with those that sign them, the body and everything else of the request.

    `path` and `query` are encoded already, as the functions above do; `now` is in seconds since 1970.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    digest = hashlib.sha256(body).hexdigest()
    added = {"X-Amz-Content-SHA256": digest, "X-Amz-Date": moment}
    if credentials.token:
        added["X-Amz-Security-Token"] = credentials.token
    sent = {**headers, **added}
    canonical = sorted((name.lower(), value.strip()) for name, value in {**sent, "Host": host}.items())
    names = ";".join(name for name, _ in canonical)
    lines = "".join(f"{name}:{value}\n" for name, value in canonical)
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, to_sign).hex()
    who = f"Credential={credentials.access_key}/{scope}"
    return {**sent, "Authorization": f"{_ALGORITHM} {who}, SignedHeaders={names}, Signature={signature}"}


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
