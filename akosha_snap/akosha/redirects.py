"""Where a redirect may lead: the token and the records go to the server they are meant for, and to no other."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

__all__ = ["PORTS", "port_of", "redirected"]

PORTS = {"http": 80, "https": 443}
"""The schemes of a server's URL, and their ports."""


def redirected(url: str, location: str) -> str | None:
    """The address that `url` redirects to with this `Location`; None where it must not be followed.

    It may name another path on the same host and port, and may turn http into https: on the same port,
    or from port 80 to 443. Never https into http, another host, or another port. The name and the
    password in `url` stay, one in `location` is dropped.
    """
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        ports = port_of(here), port_of(there)
    except ValueError:
        return None
    secured = (here.scheme, there.scheme) == ("http", "https")
    same_port = ports[0] == ports[1] or (secured and ports == (80, 443))
    if here.hostname != there.hostname or not same_port or not (secured or here.scheme == there.scheme):
        return None
    user, at, _ = here.netloc.rpartition("@")
    return str(there._replace(netloc=f"{user}{at}{there.netloc.rpartition('@')[2]}").geturl())


def port_of(parts: Any) -> int:
    """The port of a URL in parts, its scheme's where it names none; 0 for one that is not HTTP. Raises ValueError."""
    return int(parts.port or PORTS.get(parts.scheme, 0))
