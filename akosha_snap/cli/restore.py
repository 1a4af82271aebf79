"""`akosha-snap restore`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import store_options, upload_id_argument

if TYPE_CHECKING:
    from akosha_snap.config import Given
    from akosha_snap.snapshot.results import RestoreResult

__all__ = ["command"]


@click.command("restore", short_help="Put a snapshot's files back, bit for bit.")
@upload_id_argument("latest")
@click.option("--to", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The folder to put them in.")
@click.option("--file", "name", metavar="NAME", help="Only this file (a database with its WAL). Default: all.")
@click.option("--force", is_flag=True, help="Replace what is in the way.")
@store_options
def command(
    upload_id: str,
    to: Path,
    name: str | None,
    force: bool,
    given: Given,
    as_json: bool,
) -> None:
    """Put a snapshot's files, the latest by default, into a folder, bit for bit.

    Every byte is checked before a file gets its name; nothing is replaced without --force. A file that is
    there already, bit for bit, stays: a restore that was interrupted goes on when it is run again.
    """
    from akosha_snap import api
    from akosha_snap.cli.heap import return_freed_memory
    from akosha_snap.cli.output import json_line, warn
    from akosha_snap.cli.progress import watching
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings

    return_freed_memory()
    target = open_target(load_settings(**given))
    with watching(as_json=as_json) as observer:
        result = api.restore(
            target.store, upload_id, system_id=target.system_id, to=to, file=name, force=force, observer=observer
        )
    if as_json:
        json_line(result)
        return
    warn(result.warnings)
    for line in _lines(result, target.label):
        click.echo(line)


def _lines(result: RestoreResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, seconds, size

    rows = [(file.path, size(file.size), f"blake3 {file.blake3}") for file in result.files]
    cost = f"{size(result.bytes_received)} read, {counted(result.requests, 'request')}"
    end = f"snapshot {result.upload_id} restored in {seconds(result.duration_seconds)}, {cost} ({label})"
    return [*columns(rows, "<><"), end]
