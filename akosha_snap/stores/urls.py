"""The address of a store, as people write it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from akosha_snap.errors import ConfigError
from akosha_snap.stores.base import Store
from akosha_snap.stores.directory import DirectoryStore
from akosha_snap.stores.keys import is_key
from akosha_snap.stores.masking import masked
from akosha_snap.stores.s3 import S3Store
from akosha_snap.stores.s3_client import S3Options

__all__ = ["open_store"]

_FORMS = (
    "a store is a folder (/backups/akosha), file:///folder or "
    "s3://bucket/prefix[?endpoint=https://host:port&region=NAME&addressing=path|virtual|auto]"
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: C:\x is a folder
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")  # AWS allows a subset, others all
_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")
_HARMLESS = re.compile(
    r"[A-Za-z0-9+.-]+://[A-Za-z0-9._-]*(/[A-Za-z0-9._/-]*)?(\?((endpoint|region|addressing)=[A-Za-z0-9._/:*-]*&?)*)?"
)
_OPTIONS = {"endpoint", "region", "addressing"}
_ADDRESSING = {"path", "virtual", "auto"}


def open_store(
    url: str, *, endpoint: str | None = None, region: str | None = None, allow_insecure_http: bool = False
) -> Store:
    """The bare store at `url`: no decorators, and nothing is read or sent yet.

    `endpoint` and `region` serve an `s3:` URL that names none. Without `allow_insecure_http` the first
    request raises ConfigError where it would go over plain http to another machine. Raises ConfigError for
    anything that cannot be a store, with the valid forms as its hint.
    """
    if not url.strip() or "\0" in url:
        raise _refusal(url, "it is empty" if not url.strip() else "it holds a zero byte")
    scheme = _SCHEME.match(url)
    if scheme is None:
        return _folder(url)
    if not url.isprintable():
        raise _refusal(url, "it holds unprintable characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _refusal(url, "it is not a URL") from None
    if not url[scheme.end() :].startswith("//"):
        raise _refusal(url, f"{scheme[0]} is not followed by // (a folder of that name starts with ./)")
    if "@" in parts.netloc:
        raise _refusal(url, "credentials do not belong in it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.fragment:
        raise _refusal(url, "it has a #fragment")
    match scheme[1].lower():
        case "file":
            return _file(url, parts)
        case "s3":
            return _s3(url, parts, S3Options(endpoint, region, allow_insecure_http=allow_insecure_http))
        case other:
            raise _refusal(url, f"{other}:// is not supported")


def _folder(path: str) -> DirectoryStore:
    try:
        return DirectoryStore(Path(path).expanduser())
    except RuntimeError as error:  # ~nobody-of-that-name
        raise _refusal(path, str(error)) from None


def _file(url: str, parts: SplitResult) -> DirectoryStore:
    if parts.netloc not in {"", "localhost"}:
        raise _refusal(url, "it names a host; a folder has three slashes, file:///folder")
    if parts.query:
        raise _refusal(url, "file:// takes no options")
    from urllib.request import url2pathname  # 0.03 s, as it takes http.client with it

    path = url2pathname(parts.path)
    if not path.strip("/\\") or "\0" in path:
        raise _refusal(url, "it names no folder")
    return DirectoryStore(Path(path))


def _s3(url: str, parts: SplitResult, default: S3Options) -> S3Store:
    if not _BUCKET.fullmatch(parts.netloc):
        raise _refusal(url, "what follows s3:// is not a bucket name" if parts.netloc else "it names no bucket")
    prefix = parts.path.strip("/")
    if prefix and not is_key(prefix):
        raise _refusal(url, "its prefix is not one that every store can hold")
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _refusal(url, "its options are not name=value pairs") from None
    unknown = sorted({name for name, _ in given} - _OPTIONS)
    if unknown:
        raise _refusal(url, "it has unknown options")
    values = dict(given)
    if len(values) < len(given):
        raise _refusal(url, "it gives an option twice")
    endpoint = values.get("endpoint") or default.endpoint
    region = values.get("region") or default.region
    addressing = values.get("addressing")
    if endpoint:
        _check_endpoint(url, endpoint)
    if region and not _REGION.fullmatch(region):
        raise _refusal(url, "its region is not the name of one")
    if addressing is not None and addressing not in _ADDRESSING:
        raise _refusal(url, f"addressing is not one of {', '.join(sorted(_ADDRESSING))}")
    options = S3Options(endpoint or None, region or None, addressing, allow_insecure_http=default.allow_insecure_http)
    return S3Store(parts.netloc, prefix, options)


def _check_endpoint(url: str, endpoint: str) -> None:
    what = f"the endpoint {masked(endpoint)}"
    try:
        parts = urlsplit(endpoint)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise _refusal(url, f"{what} has no valid host and port") from None
    if "@" in endpoint:
        raise _refusal(url, f"{what} holds credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_fits:
        raise _refusal(url, f"{what} is not of the form http(s)://host[:port]")
    if parts.query or parts.fragment:
        raise _refusal(url, f"{what} has options of its own")


def _refusal(url: str, why: str) -> ConfigError:
    """The error; a URL that may hold a secret where none belongs is not quoted, only its scheme is."""
    scheme = _SCHEME.match(url)
    shown = "".join(c if c.isprintable() else "?" for c in masked(url))
    if scheme and not _HARMLESS.fullmatch(masked(url)):
        shown = f"{scheme[0]}//***"
    return ConfigError(f"{shown!r} is not the URL of a store: {why}", hint=_FORMS)
