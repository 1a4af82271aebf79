"""The demo itself: each step does real work, and every claim is checked before it is told."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from akosha_snap import api
from akosha_snap.demo.compare import compare_bytes, compare_rows
from akosha_snap.demo.process import Writer, running_writer
from akosha_snap.demo.steps import Built, Checked, DemoResult, Pushed, Restored, Step, Worked
from akosha_snap.demo.writer import DATABASES
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.snapshot.results import PushResult

__all__ = ["run_demo"]

_SYSTEM = "demo"

Rows = dict[str, tuple[int, str]]


def run_demo(folder: Path, tell: Callable[[Step], None], *, kept: bool) -> DemoResult:
    """Play the story in the empty `folder`; `tell` hears of each step when it is done.

    Raises AkoshaSnapError where anything does not hold. `kept` says whether the folder
    outlives the demo, in which case what only served comparison is removed from it.
    """
    started = time.monotonic()
    steps: list[Step] = []

    def done(step: Step) -> None:
        steps.append(step)
        tell(step)

    memory = folder / "memory"
    memory.mkdir()
    with running_writer(memory) as writer:
        _play(_Stage(folder, memory, writer), done)
        if kept:
            writer.close()
    if kept:
        shutil.rmtree(folder / "as-pushed")
    return DemoResult(steps, str(folder), kept, round(time.monotonic() - started, 3))


class _Stage:
    """The folders of the demo, the writer, and what the memory was at each push."""

    def __init__(self, folder: Path, memory: Path, writer: Writer) -> None:
        self.folder, self.memory, self.writer = folder, memory, writer
        self.store = str(folder / "store")
        self.then: dict[str, tuple[Path, Rows]] = {}

    def sizes(self) -> dict[str, int]:
        """Bytes of each file of the memory, the WALs too."""
        return {path.name: path.stat().st_size for path in sorted(self.memory.iterdir())}

    def push(self) -> PushResult:
        """Push the open memory, and keep what it was. The writer is idle meanwhile, so that there is one truth."""
        rows = self.writer.digests()
        copy = self.folder / "as-pushed" / str(len(self.then) + 1)
        shutil.copytree(self.memory, copy)
        result = api.push(
            [self.memory / name for name in DATABASES],
            self.store,
            system_id=_SYSTEM,
            state_dir=self.folder / "state",
            stage_in_child=False,  # the writer is a process of its own
        )
        compare_bytes(self.memory, copy, "the live memory after the push", "the memory before it")
        if result.upload_id is None:
            raise AkoshaSnapError("the push made no snapshot")
        if result.unchanged:
            shutil.rmtree(copy)
        else:
            self.then[result.upload_id] = (copy, rows)
        return result

    def restore(self, upload_id: str) -> Restored:
        """Restore one snapshot and compare it with what the memory was at its push."""
        copy, rows = self.then[upload_id]
        target = self.folder / f"restored-{copy.name}"
        result = api.restore(self.store, upload_id, system_id=_SYSTEM, to=target)
        what = f"what was restored of {upload_id}"
        size = compare_bytes(target, copy, what, "the memory at its push")
        compare_rows(target, rows, what)
        total = sum(count for count, _ in rows.values())
        return Restored(upload_id, len(result.files), size, total, result.duration_seconds)


def _play(stage: _Stage, done: Callable[[Step], None]) -> None:
    stage.writer.build()
    before = stage.writer.digests()
    done(Built(stage.writer.pid, stage.sizes(), {table: count for table, (count, _) in before.items()}))
    first = stage.push()
    done(Pushed(first))
    sizes = stage.sizes()
    stage.writer.session()
    after = stage.writer.digests()
    added = sum(count for count, _ in after.values()) - sum(count for count, _ in before.values())
    done(Worked(added, sum(stage.sizes().values()) - sum(sizes.values())))
    second = stage.push()
    done(Pushed(second))
    if second.unchanged or second.bytes_transferred * 2 > first.bytes_transferred:
        raise AkoshaSnapError("the second push did not cost a fraction of the first")
    third = stage.push()
    done(Pushed(third))
    if not third.unchanged:
        raise AkoshaSnapError("a push without a change made a snapshot")
    checked = api.verify(stage.store, "all", system_id=_SYSTEM, level="open")
    if not checked.ok:
        problem = checked.problems[0]
        raise AkoshaSnapError(f"{problem.object}: {problem.detail}")
    done(Checked(checked))
    for upload_id in stage.then:
        done(stage.restore(upload_id))
