"""Progress on stderr while a command works, where somebody can watch it: on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from akosha_snap.cli.output import size
from akosha_snap.events import Observer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["watching"]

_PER_SECOND = 4

_WORDS = {"stage": "copying", "compare": "comparing", "store": "uploading", "commit": "committing"}
_WORDS |= {"restore": "restoring", "verify": "verifying"}


class _Bar(Observer):
    """One line that shows the phase at hand."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._total = self._done = 0

    def phase(self, name: str, *, total: int = 0) -> None:
        """Start the line anew."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._total, self._done = total, 0
        self._task = self._progress.add_task(_WORDS.get(name, name), total=total or None, amount="")

    def advance(self, amount: int) -> None:
        """Move it on."""
        if self._task is not None:
            self._done += amount
            amounts = f"{size(self._done)} of {size(self._total)}" if self._total else size(self._done)
            self._progress.update(self._task, completed=self._done, amount=amounts)


@contextlib.contextmanager
def watching(*, as_json: bool) -> Iterator[Observer]:
    """An observer for the job in the block: a progress bar on a terminal, silent anywhere else."""
    if as_json or sys.stderr is None or not sys.stderr.isatty():
        yield Observer()
        return
    with _bar() as progress:
        yield _Bar(progress)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),  # honours NO_COLOR and TERM=dumb
        refresh_per_second=_PER_SECOND,
        transient=True,
    )
