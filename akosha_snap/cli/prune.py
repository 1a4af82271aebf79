"""`akosha-snap prune`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from akosha_snap.cli.options import DURATION, store_options

if TYPE_CHECKING:
    from akosha_snap.snapshot.results import PruneResult

__all__ = ["command"]

_COUNT = click.IntRange(min=0)


@click.command("prune", short_help="Drop old snapshots, and what only they needed.")
@click.option("--keep-last", metavar="N", type=_COUNT, default=0, help="Keep the newest N snapshots.")
@click.option(
    "--keep-daily",
    metavar="N",
    type=_COUNT,
    default=0,
    help="Keep the newest snapshot of each of the last N days (UTC) that have one.",
)
@click.option("--keep-weekly", metavar="N", type=_COUNT, default=0, help="The same for ISO weeks, Monday to Sunday.")
@click.option("--keep-monthly", metavar="N", type=_COUNT, default=0, help="The same for months.")
@click.option(
    "--keep-within",
    metavar="DURATION",
    type=DURATION,
    help="Keep all snapshots taken this long before the newest one: 12h, 30d, 8w.",
)
@click.option(
    "--grace",
    metavar="DURATION",
    type=DURATION,
    help="How long to keep data after no snapshot needs it any more. Default: 24h, and no less without "
    "--no-push-running.",
)
@click.option(
    "--no-push-running",
    is_flag=True,
    help="You know that no push to this system is under way on any machine: allows a --grace under 24h.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be kept, why, and what would be deleted; delete nothing.")
@store_options
def command(
    grace: float | None, dry_run: bool, store: str | None, system_id: str | None, as_json: bool, **rules: Any
) -> None:
    """Drop the snapshots that no --keep rule keeps, then delete the data that none needs any more.

    A snapshot stays if any rule keeps it; the newest one always stays. Data is deleted in two steps: a run marks
    what is not needed any more, and a run at least --grace later deletes it. So run it regularly; pushes,
    restores and other prunes may go on meanwhile. It is the only command that needs the right to delete.
    """
    from akosha_snap import api
    from akosha_snap.cli.output import json_line
    from akosha_snap.cli.progress import watching
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings

    given = {name: value for name, value in {**rules, "grace": grace}.items() if value is not None}
    target = open_target(load_settings(store=store, system_id=system_id))
    with watching(as_json=as_json) as observer:
        result = api.prune(target.store, system_id=target.system_id, dry_run=dry_run, observer=observer, **given)
    if as_json:
        json_line(result)
        return
    for line in _lines(result, target.label):
        click.echo(line)


def _lines(result: PruneResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, moment, seconds, size

    rows = [
        ("keep" if snapshot.kept else "drop", snapshot.upload_id, ", ".join(snapshot.reasons))
        for snapshot in result.snapshots
        if result.dry_run or not snapshot.kept
    ]
    rows += [("drop", upload_id, "never finished") for upload_id in result.strays]
    would, freed = ("would be ", "to be freed") if result.dry_run else ("", "freed")
    kept = len(result.snapshots) - len(result.dropped)
    dropped = f"{counted(len(result.dropped), 'snapshot')} {would}dropped, {kept:,} kept"
    deleted = f"{counted(result.packs_deleted, 'pack')} {would}deleted, {size(result.bytes_freed)} {freed}"
    lines = [*columns(rows, "<<<"), f"{dropped}; {deleted} in {seconds(result.duration_seconds)} ({label})"]
    if result.waiting_until:
        waiting = f"{counted(result.packs_waiting, 'pack')} ({size(result.bytes_waiting)}) that no snapshot needs"
        lines.append(f"{waiting} can be deleted by a prune after {moment(result.waiting_until)}")
    return lines
