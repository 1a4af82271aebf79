"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["json_option", "store_options", "upload_id_argument"]

_Command = Callable[..., Any]


def json_option(command: _Command) -> _Command:
    """`--json`, handed to the command as `as_json`."""
    help_text = "Print the result as JSON on stdout, an error as JSON on stderr."
    return click.option("--json", "as_json", is_flag=True, help=help_text)(command)


def store_options(command: _Command) -> _Command:
    """`--store`, `--system-id` and `--json`."""
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
    return store(system_id(json_option(command)))


def upload_id_argument(*words: str) -> Callable[[_Command], _Command]:
    """The snapshot meant: an upload id or one of `words`; `latest` by default."""
    metavar = "|".join(["UPLOAD_ID", *words])
    return click.argument("upload_id", metavar=f"[{metavar}]", default="latest")
