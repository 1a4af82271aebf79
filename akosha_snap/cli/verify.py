"""`akosha-snap verify`"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import click

from akosha_snap.cli.options import store_options, upload_id_argument

if TYPE_CHECKING:
    from akosha_snap.config import Given
    from akosha_snap.errors import DamageError
    from akosha_snap.snapshot.results import Level, Problem, VerifyResult

__all__ = ["command"]

_LEVELS = ("manifest", "index", "data", "open")


class _Percent(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    name = "percent"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            percent = float(str(value).removesuffix("%"))
        except ValueError:
            percent = math.nan
        if not 0 < percent <= 100:
            self.fail(f"{value!r} is not a percentage above 0 and up to 100", param, ctx)
        return percent


@click.command("verify", short_help="Check snapshots, down to opening them with DuckDB.")
@upload_id_argument("latest", "all")
@click.option(
    "--level",
    metavar="manifest|index|data|open",
    type=click.Choice(_LEVELS),
    default="index",
    help="How deep, each level with those before it: manifests and packs are there (manifest), packs' indexes "
    "agree (index, the default), every byte is read and hashed (data), DuckDB opens what is restored (open).",
)
@click.option(
    "--sample",
    metavar="PERCENT",
    type=_Percent(),
    help="Read only this share of the chunks at level data. Default: 100.",
)
@store_options
def command(upload_id: str, level: str, sample: float | None, given: Given, as_json: bool) -> None:
    """Check one snapshot, the latest by default, or all of them.

    Names every damaged object and the snapshots it touches, and exits with 4 where there is one.
    """
    if sample is not None and level not in {"data", "open"}:
        raise click.UsageError("--sample needs --level data or open")
    from akosha_snap import api
    from akosha_snap.cli.heap import return_freed_memory
    from akosha_snap.cli.output import json_line, warn
    from akosha_snap.cli.progress import watching
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings

    return_freed_memory()
    settings = load_settings(**given)
    target = open_target(settings)
    with watching(as_json=as_json) as observer:
        result = api.verify(
            target.store,
            upload_id,
            system_id=target.system_id,
            level=cast("Level", level),
            sample=100.0 if sample is None else sample,
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
        raise _damage(result.problems)


def _lines(result: VerifyResult, label: str) -> list[str]:
    from akosha_snap.cli.output import columns, counted, seconds, size

    rows = [(problem.kind, problem.object, _touched(problem), problem.detail) for problem in result.problems]
    found = counted(len(result.problems), "problem") if result.problems else "no problem"
    checked = f"{counted(len(result.snapshots), 'snapshot')} at level {result.level}"
    cost = f"{counted(result.objects, 'object')}, {size(result.bytes_read)} read, {seconds(result.duration_seconds)}"
    return [*columns(rows, "<<<<"), f"{found} in {checked}: {cost} ({label})"]


def _touched(problem: Problem) -> str:
    return f"in {', '.join(problem.snapshots)}" if problem.snapshots else "in no snapshot"


def _damage(problems: list[Problem]) -> DamageError:
    from akosha_snap.cli.output import described
    from akosha_snap.errors import DamageError

    first, more = problems[0], len(problems) - 1
    rest = f", and {more} more" if more else ""
    return DamageError(
        f"{described(first)}{rest}",
        hint="snapshots not named are whole; run `akosha-snap repair`, then push: "
        "what the files of today need of it is uploaded anew",
    )
