"""`akosha-snap push`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import store_options

if TYPE_CHECKING:
    from akosha_snap.config import Settings
    from akosha_snap.snapshot.results import PushResult

__all__ = ["command"]


@click.command("push", short_help="Take a snapshot and upload what the store does not have of it.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(readable=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be uploaded; store nothing.")
@click.option("--full-file", is_flag=True, help="Also store each file whole, for readers that know nothing of chunks.")
@click.option("--no-mirror", is_flag=True, help="Keep no copy of the files here; the next push may send more.")
@click.option("--recheck", is_flag=True, help="Ask the store for all it holds, as a push does once a day anyway.")
@store_options
def command(
    files: tuple[Path, ...],
    dry_run: bool,
    full_file: bool,
    no_mirror: bool,
    recheck: bool,
    store: str | None,
    system_id: str | None,
    as_json: bool,
) -> None:
    """Take one snapshot of each FILE and upload what the store does not have of it.

    A DuckDB database is copied consistently while it is in use, with its WAL; any other file
    as it is. With no FILE: reflection.duckdb and knowledge_graph.duckdb in ~/.claude/data
    (AKOSHA_SNAP_DATA_DIR), those that exist. Where nothing has changed, nothing is uploaded.
    """
    from akosha_snap import api
    from akosha_snap.cli.output import json_line, warn
    from akosha_snap.cli.progress import watching
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings

    try:
        settings = load_settings(store=store, system_id=system_id)
        target = open_target(settings)
        paths = list(files) or _memory_files(settings)
        with watching(as_json=as_json) as observer:
            result = api.push(
                paths,
                target.store,
                system_id=target.system_id,
                full_file=full_file,
                dry_run=dry_run,
                mirror=not no_mirror,
                recheck=recheck,
                state_dir=settings.state_dir,
                stage_in_child=False,  # this process never has a database open
                observer=observer,
            )
    except BaseException as error:
        if as_json:
            json_line(_failed(error, dry_run=dry_run))
        raise
    if as_json:
        json_line(result)
        return
    warn(result.warnings)
    for line in _lines(result, target.label):
        click.echo(line)


def _memory_files(settings: Settings) -> list[Path]:
    from akosha_snap.config import MEMORY_FILES
    from akosha_snap.errors import NothingThereError

    found = settings.memory_files()
    if not found:
        raise NothingThereError(
            f"nothing to push: neither {' nor '.join(MEMORY_FILES)} is in {settings.data_dir}",
            hint="name a FILE, or set AKOSHA_SNAP_DATA_DIR to the folder they are in",
        )
    return found


def _failed(error: BaseException, *, dry_run: bool) -> PushResult:
    from akosha_snap.cli.failure import describe
    from akosha_snap.snapshot.results import PushResult

    return PushResult(success=False, dry_run=dry_run, error=describe(error, "push").line)


def _lines(result: PushResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, seconds, size

    if result.unchanged:
        cost = counted(result.requests, "request")
        return [f"nothing has changed since snapshot {result.upload_id}: nothing uploaded, {cost} ({label})"]
    rows = [
        (file.name, size(file.size), f"{file.chunks_new:,} of {counted(file.chunks, 'chunk')} new")
        for file in result.files
    ]
    cost = f"{size(result.bytes_transferred)} sent, {counted(result.requests, 'request')}"
    if result.dry_run:
        end = f"dry run: nothing was stored; a push would cost {cost.replace(' sent', '')} ({label})"
    else:
        first = "first " if result.is_first else ""
        end = f"{first}snapshot {result.upload_id} saved in {seconds(result.duration_seconds)}, {cost} ({label})"
    return [*columns(rows, "<><"), end]
