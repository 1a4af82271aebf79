"""`akosha-snap status`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import DURATION, json_option

if TYPE_CHECKING:
    from akosha_snap.sync.state import SyncRecord
    from akosha_snap.sync.status import SyncStatus

__all__ = ["command"]


@click.command("status", short_help="Say whether the last sync worked.")
@click.option(
    "--max-age",
    metavar="DURATION",
    type=DURATION,
    help="Ask instead that one worked this recently: 90s, 30m, 12h, 2d, 1w.",
)
@json_option
def command(max_age: float | None, as_json: bool) -> None:
    """Say whether the last sync worked, and when one last did; ask it where nobody watches the syncs.

    Exits with 0 where it did, else with the code of what went wrong: 10 where none ever ended, 1
    where it was killed or, with --max-age, the last that worked is older. Asks no network.
    """
    import datetime as dt

    from akosha_snap.cli.output import json_line
    from akosha_snap.config import load_settings
    from akosha_snap.sync.status import complaint, sync_status

    status = sync_status(load_settings(), dt.datetime.now(dt.UTC))
    if as_json:
        json_line(status)
    else:
        for line in _lines(status):
            click.echo(line)
    wrong = complaint(status, max_age)
    if wrong is not None:
        raise wrong


def _lines(status: SyncStatus) -> list[str]:
    from akosha_snap.cli.output import moment

    lines = []
    if status.state == "running" and status.running_since:
        lines.append(f"a sync is at work since {moment(status.running_since)}")
    if status.last:
        lines.append(f"last sync {moment(status.last.finished_at)}: {_outcome(status.last)}")
    if status.last_success and status.last_success != status.last:
        good = status.last_success
        lines.append(f"last that worked {moment(good.finished_at)}: {_outcome(good)}")
    return lines or ["no sync has ended yet"]


def _outcome(record: SyncRecord) -> str:
    from akosha_snap.cli.output import counted, size

    result = record.result
    by = f" ({result.triggered_by}, system {result.system_id})" if result.system_id else f" ({result.triggered_by})"
    if record.failure:
        return f"failed{by}"
    if result.http:
        refused = f", {result.http.failed:,} not taken" if result.http.failed else ""
        return f"{counted(result.http.sent, 'record')} sent to {result.http.server}{refused}{by}"
    if result.unchanged:
        return f"nothing had changed since snapshot {result.upload_id}{by}"
    return f"snapshot {result.upload_id}, {size(result.bytes_transferred)} sent to {result.store}{by}"
