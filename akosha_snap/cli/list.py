"""`akosha-snap list`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import store_options

if TYPE_CHECKING:
    from akosha_snap.config import Given
    from akosha_snap.snapshot.results import ListResult

__all__ = ["command"]


@click.command("list", short_help="List the snapshots of a system, newest first.")
@store_options
def command(given: Given, as_json: bool) -> None:
    """List the snapshots of a system, newest first: when, how large, what its push sent."""
    from akosha_snap import api
    from akosha_snap.cli.output import json_line, warn
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings

    target = open_target(load_settings(**given))
    result = api.snapshots(target.store, system_id=target.system_id)
    if as_json:
        json_line(result)
        return
    warn(result.warnings)
    for line in _lines(result, f"{target.label}, in {target.store.url}"):
        click.echo(line)


def _lines(result: ListResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, moment, size

    if not result.snapshots:
        return [f"no snapshot yet of {label}"]
    rows = [("UPLOAD ID", "TAKEN", "SIZE", "SENT", "CONVERSATIONS", "FILES")]
    rows += [
        (
            snapshot.upload_id,
            moment(snapshot.uploaded_at),
            size(snapshot.total_size_bytes),
            size(snapshot.bytes_transferred),
            f"{snapshot.conversation_count:,}",
            ", ".join(snapshot.files),
        )
        for snapshot in result.snapshots
    ]
    return [f"{counted(len(result.snapshots), 'snapshot')} of {label}", *columns(rows, "<<>>><")]
