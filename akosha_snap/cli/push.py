"""`akosha-snap push`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import store_options

if TYPE_CHECKING:
    from akosha_snap.akosha.results import SendResult
    from akosha_snap.config import Given
    from akosha_snap.snapshot.results import PushResult

__all__ = ["command"]


@click.command("push", short_help="Take a snapshot and upload what the store does not have of it.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(readable=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be uploaded; store nothing.")
@click.option("--full-file", is_flag=True, help="Also store each file whole, for readers that know nothing of chunks.")
@click.option("--no-mirror", is_flag=True, help="Keep no copy of the files here; the next push may send more.")
@click.option(
    "--recheck",
    is_flag=True,
    help="Ask the store for all it holds, as a push does once a day anyway, and read the files anew.",
)
@click.option(
    "--method",
    metavar="auto|cloud|http",
    type=click.Choice(("auto", "cloud", "http")),
    help="Where to: the store (cloud), Akosha itself (http), or the store and, where that fails or there is none, "
    "Akosha (auto). Default: cloud with --store, --dry-run or --full-file, else AKOSHA_FORCE_METHOD or auto.",
)
@click.option(
    "--fallback/--no-fallback",
    default=None,
    help="May auto turn to Akosha when the store fails. Default: AKOSHA_ENABLE_FALLBACK or yes.",
)
@click.option("--full", is_flag=True, help="By HTTP: send every record, not only those that are new or changed.")
@store_options
def command(
    files: tuple[Path, ...],
    dry_run: bool,
    full_file: bool,
    no_mirror: bool,
    recheck: bool,
    method: str | None,
    fallback: bool | None,
    full: bool,
    given: Given,
    as_json: bool,
) -> None:
    """Take one snapshot of each FILE and upload what the store does not have of it.

    A DuckDB database is copied consistently while it is in use, with its WAL; any other file
    as it is. With no FILE: reflection.duckdb and knowledge_graph.duckdb in ~/.claude/data
    (AKOSHA_SNAP_DATA_DIR), those that exist. Where nothing has changed, nothing is uploaded.

    Where no store can be had, the records go to a running Akosha by HTTP instead: see --method.
    """
    from akosha_snap import api
    from akosha_snap.cli.output import json_line, warn
    from akosha_snap.cli.progress import watching
    from akosha_snap.cli.remembering import remembering
    from akosha_snap.cli.target import label_of, open_target
    from akosha_snap.config import load_settings
    from akosha_snap.sync.files import memory_files
    from akosha_snap.sync.matrix import sync_files
    from akosha_snap.sync.status import partly

    if method is None and (given.get("store") is not None or dry_run or full_file):
        method = "cloud"
    if method != "cloud" and (dry_run or full_file):
        raise click.UsageError("--dry-run and --full-file need --method cloud")
    try:
        given |= {"force_method": method, "enable_fallback": fallback}
        settings = load_settings(**given)
        _check_full(full, settings.force_method)
        target = open_target(settings) if settings.store or method == "cloud" else None
        with remembering(settings, on=not (files or dry_run)) as remember, watching(as_json=as_json) as observer:
            paths = list(files) or memory_files(settings)
            if target and method == "cloud":
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
            else:
                result = sync_files(settings, paths, observer, full=full, mirror=not no_mirror, recheck=recheck)
            remember(result)
    except BaseException as error:
        if as_json:
            json_line(_failed(error, dry_run=dry_run))
        raise
    if as_json:
        json_line(result)
    else:
        warn(result.warnings)
        for line in _lines(result, label_of(settings)):
            click.echo(line)
    wrong = partly(result)
    if wrong:
        raise wrong


def _check_full(full: bool, way: str) -> None:
    if full and way == "cloud":
        raise click.UsageError("--full is for HTTP, and the way is cloud alone: add --method http or auto")


def _failed(error: BaseException, *, dry_run: bool) -> PushResult:
    from akosha_snap.cli.failure import describe
    from akosha_snap.snapshot.results import PushResult

    return PushResult(success=False, dry_run=dry_run, error=describe(error, "push").line)


def _lines(result: PushResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, seconds, size

    sent: SendResult | None = getattr(result, "http", None)
    if sent:
        return [_http_line(sent, label)]
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


def _http_line(sent: SendResult, label: str) -> str:
    from akosha_snap.cli.output import counted, seconds, size

    if not (sent.sent or sent.failed):
        return f"no record is new: nothing sent to {sent.server} ({label})"
    refused = f", {sent.failed:,} not taken" if sent.failed else ""
    cost = f"{size(sent.bytes_sent)}, {counted(sent.requests, 'request')}"
    what = f"{counted(sent.sent, 'record')} sent to {sent.server} in {seconds(sent.duration_seconds)}"
    return f"{what}, {cost}{refused} ({label})"
