"""`akosha-snap demo`"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import json_option

if TYPE_CHECKING:
    from akosha_snap.demo import Built, DemoResult, Step
    from akosha_snap.snapshot.results import PushResult

__all__ = ["command"]


@click.command("demo", short_help="See it work: a live memory, two pushes, a check, two restores.")
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Play it in this folder, new or empty, and keep it. Default: a temporary folder.",
)
@json_option
def command(keep: Path | None, as_json: bool) -> None:
    """Snapshot a live memory, and prove that it worked.

    Another process builds a small memory with DuckDB and keeps it open. It is pushed to a
    folder store, lives a session, is pushed again, verified and restored; what comes back is
    compared byte for byte and row for row. Needs no network and no setting.
    """
    from akosha_snap.cli.output import json_line
    from akosha_snap.demo import run_demo
    from akosha_snap.errors import AkoshaSnapError

    story = _Story(silent=as_json)
    with _folder(keep) as folder:
        try:
            result = run_demo(folder, story.tell, kept=keep is not None)
        except OSError as error:
            hint = "free some space there, or choose another folder with --keep"
            raise AkoshaSnapError(f"the demo cannot go on in {folder}: {error.strerror or error}", hint=hint) from None
    if as_json:
        json_line(result)
    else:
        story.end(result)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    from akosha_snap.errors import ConfigError, ConflictError

    if keep is None:
        with tempfile.TemporaryDirectory(prefix="akosha-snap-demo-") as temporary:
            yield Path(temporary)
        return
    try:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = any(keep.iterdir())
    except OSError as error:
        raise ConfigError(f"--keep {keep}: {error.strerror}", hint="choose a new folder for the demo") from None
    if taken:
        raise ConflictError(f"{keep} is not empty", hint="choose a new folder for the demo")
    yield keep


class _Story:
    """Tells each step in one numbered line, as soon as it is done."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._number = 0

    def tell(self, step: Step) -> None:
        """Print the step."""
        for line in _lines(step):
            self._say(line)

    def end(self, result: DemoResult) -> None:
        """Print the last line."""
        from akosha_snap.cli.output import seconds

        where = f"look at it with `akosha-snap list --store {result.folder}/store --system-id demo`"
        after = where if result.kept else "nothing was left behind"
        self._say(f"done      everything held, in {seconds(result.duration_seconds)}; {after}")

    def _say(self, line: str) -> None:
        self._number += 1
        if not self._silent:
            click.echo(f"{self._number:2}. {line}")


def _lines(step: Step) -> list[str]:
    from akosha_snap.cli.output import counted, seconds, size
    from akosha_snap.demo import Built, Checked, Pushed, Worked

    if isinstance(step, Built):
        return _built(step)
    if isinstance(step, Pushed):
        return [_pushed(step.result)]
    if isinstance(step, Worked):
        growth = size(step.wal_growth)
        return [f"session   {step.rows} new rows, 50 updated; the process keeps it open, its logs grew by {growth}"]
    if isinstance(step, Checked):
        found = step.result
        count = counted(len(found.snapshots), "snapshot")
        return [f"verify    {count}: {size(found.bytes_read)} read and hashed, each opened by DuckDB, no problem"]
    files = f"{step.files} files, {size(step.bytes)}, in {seconds(step.duration_seconds)}"
    return [f"restore   {step.upload_id}: {files}; equal byte for byte, {step.rows:,} rows equal row for row"]


def _built(step: Built) -> list[str]:
    from akosha_snap.cli.output import size

    total, logs = sum(step.sizes.values()), sum(n for name, n in step.sizes.items() if name.endswith(".wal"))
    rows = ", ".join(f"{count:,} {table}" for table, count in step.rows.items())
    return [
        f"memory    process {step.pid} has a memory of {size(total)} open, {size(logs)} of it in write-ahead logs",
        f"rows      {rows}",
    ]


def _pushed(result: PushResult) -> str:
    from akosha_snap.cli.output import counted, seconds, size

    cost = f"in {seconds(result.duration_seconds)}, {counted(result.requests, 'request')}"
    if result.unchanged:
        return f"push      nothing has changed since {result.upload_id}: nothing sent, {cost}"
    total, new = sum(file.chunks for file in result.files), sum(file.chunks_new for file in result.files)
    what = f"{size(result.bytes_transferred)} sent ({new} of {total} chunks new)"
    return f"push      {what} {cost}: snapshot {result.upload_id}"
