"""Plain http, where everybody on the way can read and change what is sent."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from akosha_snap.errors import ConfigError
from akosha_snap.stores.masking import masked

__all__ = ["is_exposed", "refuse_plain_http", "refuse_plain_token", "stays_here"]


def is_exposed(url: str) -> bool:
    """Whether `url` is plain http to another machine than this one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False  # nothing can be sent there at all
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def stays_here(url: str) -> bool:
    """Whether `url` is on this machine: no proxy has any business between."""
    try:
        return _is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def refuse_plain_http(url: str, what: str) -> None:
    """Raises ConfigError where `what` (credentials of some kind) would go to `url` for all to read."""
    if is_exposed(url):
        raise ConfigError(
            f"{what} would go to {masked(url)} over plain http, for all on the way to read",
            hint="use https; in a network of your own --allow-insecure-http (AKOSHA_SNAP_ALLOW_INSECURE_HTTP=true)",
        )


def refuse_plain_token(url: str, token: object, *, allowed: bool) -> None:
    """The same of the Akosha `token`, where there is one and that is not `allowed`."""
    if token and not allowed:
        refuse_plain_http(url, "the Akosha token and memories")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
