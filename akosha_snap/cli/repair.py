"""`akosha-snap repair`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import store_options

if TYPE_CHECKING:
    from akosha_snap.config import Given
    from akosha_snap.snapshot.results import LostSnapshot, RepairResult

__all__ = ["command"]


@click.command("repair", short_help="Say what a damaged store has lost; the next push heals it.")
@click.option("--dry-run", is_flag=True, help="Say what is lost and what would be done; write nothing.")
@store_options
def command(dry_run: bool, given: Given, as_json: bool) -> None:
    """Check all of a system as `verify all --level data` does, say what is lost, and have the next push heal it.

    Markers, format.json and whole files are made anew at once. What is damaged in packs is written down in
    the store, and counts as absent from then on: the next push from here uploads again what it needs of
    it, one from elsewhere within a day, or at once with --recheck. Nothing is deleted. Exits with 4 where
    something stays damaged: snapshots that have lost files stay so.
    """
    from akosha_snap import api
    from akosha_snap.cli.output import described, json_line, warn
    from akosha_snap.cli.progress import watching
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings
    from akosha_snap.errors import DamageError

    settings = load_settings(**given)
    target = open_target(settings)
    with watching(as_json=as_json) as observer:
        result = api.repair(
            target.store,
            system_id=target.system_id,
            dry_run=dry_run,
            state_dir=settings.state_dir,
            observer=observer,
        )
    if as_json:
        json_line(result)
    else:
        warn(result.warnings)
        for line in _lines(result, target.label):
            click.echo(line)
    if not result.ok:
        left = [problem for problem in result.problems if result.dry_run or problem.object not in result.recreated]
        is_newest = any(result.snapshots[0] in problem.snapshots for problem in left)
        raise DamageError(described(left[0]), hint=_next_step(result, is_newest=is_newest))


def _lines(result: RepairResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, seconds, size

    problems = [(one.kind, one.object, f"in {', '.join(one.snapshots) or 'no snapshot'}") for one in result.problems]
    made = "would be made anew" if result.dry_run else "made anew"
    lost = [("lost", one.upload_id, _files(one)) for one in result.lost]
    rows = [*problems, *lost, *((made, key, "") for key in result.recreated)]
    if result.record:
        rows.append(("written down", result.record, "for the next push"))
    found = counted(len(result.problems), "problem") if result.problems else "no problem"
    what = f"{found} in {counted(len(result.snapshots), 'snapshot')}, {len(result.lost)} of them with lost files"
    cost = f"{counted(result.objects, 'object')}, {size(result.bytes_read)} read, {seconds(result.duration_seconds)}"
    return [*columns(rows, "<<<"), f"{what} ({size(result.lost_bytes)}): {cost} ({label})"]


def _files(lost: LostSnapshot) -> str:
    from akosha_snap.cli.output import size

    return ", ".join(f"{file.name} ({size(file.size)})" for file in lost.files) or "all of it"


def _next_step(result: RepairResult, *, is_newest: bool) -> str:
    if result.dry_run:
        return "run it again without --dry-run, then push"
    if result.record is None and not is_newest:  # a push has healed it since the last repair
        return "the newest snapshot is whole; those named stay damaged until a prune drops them"
    return (
        "push now: what today's files need of it is uploaded again (from another machine within a day, or with"
        " --recheck); the snapshots named stay damaged, all others are whole"
    )
