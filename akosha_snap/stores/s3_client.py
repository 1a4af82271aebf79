"""How the boto3 client of an S3 store is set up."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from akosha_snap.errors import ConfigError, CredentialsError
from akosha_snap.stores.masking import masked
from akosha_snap.stores.plain_http import stays_here

__all__ = ["S3Options", "make_boto3_client", "wanted_region"]

_FIT = re.compile(r"[!-~]([ -~]*[!-~])?")
"""What a credential can be: the header that carries it takes no control character, and Python's own errors quote it."""


@dataclasses.dataclass(frozen=True)
class S3Options:
    """Where an S3 server is and how it is spoken to. Timeouts are in seconds."""

    endpoint: str | None = None
    """Base URL of the server; None: AWS, or what AWS_ENDPOINT_URL says."""

    region: str | None = None
    """None, or `auto` on AWS: boto3's own default, else us-east-1."""

    addressing: str | None = None
    """`path`, `virtual` or `auto`; None: `path` with an endpoint, else `auto`."""

    page_size: int = 1000
    """Keys in one page of a listing; S3 gives no more than 1,000."""

    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    """Longest silence of the server, not the longest request."""

    lean: bool = True
    """Send plain requests without boto3 where nothing out of the ordinary is set up for it."""

    allow_insecure_http: bool = False
    """Sign requests over plain http to another machine, too."""

    def in_url(self) -> dict[str, str]:
        """The options that a store's URL carries, those that were given."""
        given = {"endpoint": self.endpoint, "region": self.region, "addressing": self.addressing}
        return {name: value for name, value in given.items() if value}


def make_boto3_client(options: S3Options) -> Any:
    """A boto3 S3 client with one attempt per request, a deadline on every wait, and no extra checksums.

    Raises ConfigError where boto3 refuses the settings it finds, CredentialsError for credentials that cannot be any.
    """
    import boto3.session
    import botocore.exceptions
    from botocore.config import Config

    config = Config(
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        retries={"total_max_attempts": 1},
        # CRC trailers are refused by R2 and B2 in places; Content-MD5 works everywhere
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=16,
        s3={"addressing_style": options.addressing or ("path" if options.endpoint else "auto")},
    )
    try:
        session = boto3.session.Session()
        where = {
            "endpoint_url": options.endpoint,
            "region_name": wanted_region(options) or session.region_name or "us-east-1",
        }
        client = session.client("s3", **where, config=config)
        if stays_here(client.meta.endpoint_url):  # known only now, and then no proxy is in between
            client = session.client("s3", **where, config=config.merge(Config(proxies={})))
    except (
        botocore.exceptions.InvalidConfigError,
        botocore.exceptions.ProfileNotFound,
        botocore.exceptions.ConfigParseError,
        botocore.exceptions.ConfigNotFound,
        ValueError,
    ) as error:
        raise ConfigError(
            f"S3 settings cannot be used: {masked(str(error))}", hint="check AWS_* and ~/.aws/config"
        ) from error
    _check_credentials(session.get_credentials())
    return client


def _check_credentials(found: Any) -> None:
    """Raises CredentialsError, which names the one that is unfit; what is still to be fetched is not looked at."""
    from botocore.credentials import Credentials

    if type(found) is not Credentials:
        return
    given = {
        "AWS_ACCESS_KEY_ID": found.access_key,
        "AWS_SECRET_ACCESS_KEY": found.secret_key,
        "AWS_SESSION_TOKEN": found.token,
    }
    for variable, value in given.items():
        if value and not _FIT.fullmatch(value):
            name = variable if found.method == "env" else f"{variable.lower()} (from {found.method})"
            raise CredentialsError(
                f"{name} cannot be right: it has a control character, one that is not ASCII, or a space at an end",
                hint="set it anew; a file with Windows line ends leaves one at the end of each value",
            )


def wanted_region(options: S3Options) -> str | None:
    """The region asked for, None where it is boto3's to say."""
    return None if options.region == "auto" and not options.endpoint else options.region
