"""`akosha-snap show`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import store_options, upload_id_argument

if TYPE_CHECKING:
    from akosha_snap.config import Given
    from akosha_snap.snapshot.results import ShowResult

__all__ = ["command"]


@click.command("show", short_help="Show one snapshot in full.")
@upload_id_argument("latest")
@click.option("--chunks", is_flag=True, help="Also print the hash of every chunk.")
@store_options
def command(upload_id: str, chunks: bool, given: Given, as_json: bool) -> None:
    """Show one snapshot in full, the latest by default: its files, records and cost."""
    from akosha_snap import api
    from akosha_snap.cli.output import json_line
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings

    target = open_target(load_settings(**given))
    result = api.show(target.store, upload_id, system_id=target.system_id, chunks=chunks)
    if as_json:
        json_line(result)
        return
    for line in _lines(result, target.label):
        click.echo(line)


def _lines(result: ShowResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, moment, size

    counts = result.counts
    records = [
        counted(counts.conversations, "conversation"),
        counted(counts.reflections, "reflection"),
        counted(counts.entities, "entity", "entities"),
        counted(counts.relationships, "relationship"),
    ]
    facts = [
        ("taken", f"{moment(result.uploaded_at)} with {result.tool}"),
        ("parent", result.parent or "none"),
        ("root", result.root),
        ("records", ", ".join(records) + ("" if counts.counted else " (of an earlier snapshot: not counted)")),
        ("pushed", f"{size(result.bytes_transferred)} sent, {counted(result.chunks_new, 'new chunk')}"),
        ("to restore", f"{size(result.stored_size)} in {counted(result.packs, 'pack')}"),
    ]
    lines = [f"snapshot {result.upload_id} of {label}", *columns(facts, "<<")]
    rows = [
        (file.name, size(file.size), counted(file.chunks, "chunk"), f"blake3 {file.blake3}") for file in result.files
    ]
    for line, file in zip(columns(rows, "<>><"), result.files, strict=True):
        lines.append(line + (f"  whole at {file.full_file}" if file.full_file_stored else ""))
        lines += [f"  {chunk}" for chunk in file.chunk_hashes or []]
    return lines
