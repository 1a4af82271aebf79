"""What boto3 would find in the environment and ~/.aws, where that is nothing out of the ordinary.

It reads what boto3 reads, to tell whether the requests can be sent without it. Whatever is not
understood here in full (profiles, roles, SSO, proxies, certificates, S3 settings) is left to boto3.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from akosha_snap.stores.s3_client import S3Options, wanted_region
from akosha_snap.stores.sigv4 import Credentials

__all__ = ["PlainSettings", "plain_settings"]

_UNDERSTOOD = {
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_OUTPUT",  # of the aws command
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",  # asked where there are no other credentials
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PAGER",  # of the aws command
    "AWS_REGION",  # of other SDKs: botocore takes its region from AWS_DEFAULT_REGION alone
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
}
_OF_TLS = {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE"}
_IN_CONFIG = {"output", "region"}
_IN_CREDENTIALS = _IN_CONFIG | {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"}

_ENDPOINT = re.compile(r"(https?://[a-z0-9][a-z0-9.-]*(?::[0-9]+)?)/?")
_DEFAULT_PORT = re.compile(r"http://[^:]*:80|https://[^:]*:443")
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_AWS_REGION = re.compile(r"(af|ap|ca|eu|il|me|mx|sa|us)-(north|south|east|west|central|northeast|southeast)-[0-9]")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOSTNAME_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_VISIBLE = re.compile(r"[!-~]+")


class PlainSettings(NamedTuple):
    """All that signing and sending needs."""

    origin: str
    """`https://host:port` of the server."""

    bucket_path: str
    """Path of the bucket, without a slash at its end: empty where the bucket is in the host's name."""

    region: str
    credentials: Credentials


def plain_settings(bucket: str, options: S3Options, environ: Mapping[str, str] | None = None) -> PlainSettings | None:
    """What to send requests with, as boto3 would; None where only boto3 knows. `environ`: os.environ."""
    env = os.environ if environ is None else environ
    if any(map(_is_unusual, env)) or not _has_no_system_proxy() or not _BUCKET.fullmatch(bucket) or "--" in bucket:
        return None
    profile = _default_profile(env)
    if profile is None:
        return None
    in_file = {name.upper(): value for name, value in profile.items()}
    credentials = _credentials(env if "AWS_ACCESS_KEY_ID" in env else in_file)
    region = wanted_region(options) or env.get("AWS_DEFAULT_REGION", profile.get("region", "us-east-1"))
    place = _place(bucket, options, region, env.get("AWS_ENDPOINT_URL_S3", env.get("AWS_ENDPOINT_URL")))
    if credentials is None or place is None or (place[0].startswith("https:") and _OF_TLS & env.keys()):
        return None
    return PlainSettings(*place, region, credentials)


def _is_unusual(name: str) -> bool:
    upper = name.upper()
    if upper.startswith("AWS_"):
        return name not in _UNDERSTOOD | _OF_TLS
    return upper.endswith("_PROXY") or upper.startswith("BOTO_")


def _has_no_system_proxy() -> bool:
    if sys.platform not in {"darwin", "win32"}:
        return True
    from urllib.request import getproxies

    return not getproxies()


def _default_profile(env: Mapping[str, str]) -> dict[str, str] | None:
    """The default profile of both files of ~/.aws; None where it says more than is understood."""
    try:
        if Path("~/.aws/models").expanduser().exists():  # descriptions of services, of one's own
            return None
        found = _defaults_in(env.get("AWS_CONFIG_FILE", "~/.aws/config"), _IN_CONFIG)
        found |= _defaults_in(env.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), _IN_CREDENTIALS)
    except (OSError, ValueError, RuntimeError):
        return None
    return found


def _defaults_in(file: str, understood: set[str]) -> dict[str, str]:
    """The default section of `file`, empty where there is none. Raises ValueError where that is not all."""
    path = Path(os.path.expandvars(file)).expanduser()
    if not path.exists():
        return {}
    import configparser

    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(path.read_text())
    except configparser.Error as error:
        raise ValueError(str(error)) from None
    if any("default" in name and name != "default" for name in parser.sections()):
        raise ValueError("a section like default, but not quite")
    found = dict(parser["default"]) if parser.has_section("default") else {}
    if not found.keys() <= understood:
        raise ValueError("settings that are boto3's alone")
    return found


def _credentials(found: Mapping[str, str]) -> Credentials | None:
    key, secret = found.get("AWS_ACCESS_KEY_ID", ""), found.get("AWS_SECRET_ACCESS_KEY", "")
    token = found.get("AWS_SESSION_TOKEN")
    whole = all(_VISIBLE.fullmatch(part) for part in [key, secret, *([] if token is None else [token])])
    return Credentials(key, secret, token) if whole else None


def _place(bucket: str, options: S3Options, region: str, in_environment: str | None) -> tuple[str, str] | None:
    """The server's origin and the bucket's path there, where boto3's rules are plain."""
    endpoint = options.endpoint or in_environment
    if endpoint is not None:
        is_path = options.addressing == "path" or (options.addressing is None and options.endpoint)
        match = _ENDPOINT.fullmatch(endpoint)
        if not is_path or not match or _DEFAULT_PORT.fullmatch(match[1]) or "amazonaws" in endpoint:
            return None
        if not _REGION.fullmatch(region) or region == "aws-global" or "fips" in region:
            return None
        return match[1], f"/{bucket}"
    if options.addressing not in {None, "auto"}:
        return None
    if not _AWS_REGION.fullmatch(region) or not _HOSTNAME_BUCKET.fullmatch(bucket) or bucket.endswith("-s3alias"):
        return None
    server = "s3" if region == "us-east-1" else f"s3.{region}"
    return f"https://{bucket}.{server}.amazonaws.com", ""
