"""The options that several commands share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from akosha_snap.config import Given

__all__ = ["DURATION", "insecure_option", "json_option", "store_options", "upload_id_argument"]

_Command = Callable[..., Any]

_LONGEST = 1000 * 365 * 86_400
"""Seconds: what a date can be moved by, many times over."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class _Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a duration such as 90s, 30m, 12h, 2d or 1w", param, ctx)
        seconds = float(found[1]) * _UNITS[found[2]]
        if seconds > _LONGEST:
            self.fail(f"{value!r} is longer than 1,000 years", param, ctx)
        return seconds


DURATION = _Duration()
"""`90s`, `30m`, `12h`, `2d` or `1w`, as seconds."""


def json_option(command: _Command) -> _Command:
    """`--json`, handed to the command as `as_json`."""
    help_text = "Print the result as JSON on stdout, an error as JSON on stderr."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(command)


def insecure_option(command: _Command) -> _Command:
    """`--allow-insecure-http`; None where it is not there, so that other settings count."""
    return click.option(
        "--allow-insecure-http",
        is_flag=True,
        default=None,
        help="Credentials and memories may go over plain http to another machine, for all on the way to read. "
        "Default: AKOSHA_SNAP_ALLOW_INSECURE_HTTP, the configuration file or no.",
    )(command)


def store_options(command: _Command) -> _Command:
    """`--store`, `--system-id` and `--allow-insecure-http`, handed to the command as `given`; and `--json`."""

    @functools.wraps(command)
    def with_given(store: str | None, system_id: str | None, allow_insecure_http: bool | None, **rest: Any) -> Any:
        given: Given = {"store": store, "system_id": system_id, "allow_insecure_http": allow_insecure_http}
        return command(given=given, **rest)

    store = click.option(
        "--store",
        metavar="URL",
        help="A folder, file:///folder or s3://bucket/prefix[?endpoint=URL&region=NAME]. "
        "Default: AKOSHA_SNAP_STORE, AKOSHA_CLOUD_BUCKET or the configuration file.",
    )
    system_id = click.option(
        "--system-id",
        metavar="ID",
        help="Whose memory this is. Default: AKOSHA_SYSTEM_ID, the configuration file or the hostname.",
    )
    return store(system_id(insecure_option(json_option(with_given))))


def upload_id_argument(*words: str) -> Callable[[_Command], _Command]:
    """The snapshot meant: an upload id or one of `words`; `latest` by default."""
    metavar = "|".join(["UPLOAD_ID", *words])
    return click.argument("upload_id", metavar=f"[{metavar}]", default="latest")
