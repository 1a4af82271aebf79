"""`python -m akosha_snap.akosha`: Akosha's ingestion worker, fed with snapshots."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from akosha_snap.akosha.memories import EmbeddingPolicy
from akosha_snap.cli.options import insecure_option

__all__ = ["command", "main"]

_STOPPING = threading.Event()

PROGRAM = "python -m akosha_snap.akosha"


@click.command()
@click.option(
    "--store",
    metavar="URL",
    help="Where the snapshots are, as for akosha-snap. "
    "Default: AKOSHA_SNAP_STORE, AKOSHA_CLOUD_BUCKET or the configuration file.",
)
@click.option(
    "--hot-store",
    metavar="FILE",
    help="The DuckDB file to fill; `memory` for a trial; `akosha` for the one Akosha is set to (pgvector). "
    "Default: akosha/hot.duckdb in the state folder.",
)
@click.option("--poll", metavar="SECONDS", type=click.IntRange(1), default=30, help="Between two polls. Default: 30.")
@click.option("--once", is_flag=True, help="End when nothing is new any more.")
@click.option("--replay", is_flag=True, help="Hand everything over again, whatever was handed over before.")
@click.option(
    "--embedding",
    metavar="zero|skip",
    type=click.Choice(["zero", "skip"]),
    default="zero",
    help="Records without a vector: with zeros for one (the default, as Akosha does), or not at all.",
)
@insecure_option
@click.option("--verbose", is_flag=True, help="Show what Akosha logs, tracebacks included.")
def command(
    store: str | None,
    hot_store: str | None,
    poll: int,
    once: bool,
    replay: bool,
    embedding: EmbeddingPolicy,
    allow_insecure_http: bool | None,
    verbose: bool,
) -> None:
    """Run the installed Akosha's ingestion worker on the snapshots in a store, of all systems there.

    Ends cleanly with Ctrl-C or SIGTERM, and goes on from there the next time.
    """
    from akosha_snap.akosha.worker import IN_MEMORY, WorkerOptions, run_worker
    from akosha_snap.cli.target import open_target
    from akosha_snap.config import load_settings
    from akosha_snap.frames import content_hash

    _log_to_stderr(verbose=verbose)
    settings = load_settings(store=store, allow_insecure_http=allow_insecure_http)
    opened = open_target(settings).store
    folder = settings.state_dir / "akosha"
    where = None if hot_store == "akosha" else hot_store or str(folder / "hot.duckdb")
    named = content_hash(opened.url.encode()).hex()[:16]
    if where == IN_MEMORY:
        ledger = None
    elif where is None:
        ledger = folder / f"handed-over-{named}.sqlite"
    else:
        ledger = Path(f"{where}.handed-over.sqlite")
    options = WorkerOptions(
        hot_store=where, ledger=ledger, poll_seconds=poll, once=once, replay=replay, embedding=embedding
    )
    click.echo(f"ingesting from {opened.url} into {where or 'the hot store Akosha is set to'}", err=True)
    run_worker(opened, options, lambda message: click.echo(f"akosha-snap: {message}", err=True), _STOPPING.is_set)
    click.echo("stopped" if _STOPPING.is_set() else "nothing is new any more", err=True)


class _OneLine(logging.Formatter):
    """What went wrong, on a line. Akosha adds a traceback to each: that is for --verbose."""

    def format(self, record: logging.LogRecord) -> str:
        """The logger's name and the message's first line."""
        return f"{record.name}: {(record.getMessage().splitlines() or [''])[0]}"


def _log_to_stderr(*, verbose: bool) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(name)s: %(message)s")
    if verbose:
        return
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_OneLine())
    # they only say that a record is there already
    logging.getLogger("akosha.ingestion.worker").addFilter(lambda record: "Duplicate key" not in record.getMessage())


def _stop(_number: int, _frame: FrameType | None) -> None:
    if _STOPPING.is_set():
        raise KeyboardInterrupt  # the second time
    _STOPPING.set()


def main() -> NoReturn:
    """Run the command and leave with its exit code."""
    from akosha_snap.cli.boundary import leave
    from akosha_snap.cli.failure import describe

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, _stop)
    code = 0
    try:
        command.main(prog_name=PROGRAM, standalone_mode=False)
    except BaseException as error:
        failure = describe(error)
        click.echo(f"akosha-snap: error: {failure.line}", err=True)
        code = failure.exit_code
    leave(code)


if __name__ == "__main__":
    main()
