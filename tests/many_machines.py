"""Several machines at work on one system, and a clock: what each job must do, whatever happens in its middle.

An event is a job (a push, a prune, ...), a sleep or a crash. A job has a script: at which of its requests to the
store, counted from 0, another event happens first. So a whole history, however deep its jobs lie in one another, is
plain data, and runs the same each time.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import second_reader
from helpers import SYSTEM, Bench, PulledPlug, noise, on_disk

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError, BusyError, DamageError, NothingThereError, TransientStoreError
from akosha_snap.manifest.keys import pack_key, prune_prefix
from akosha_snap.snapshot import ahead, fetch, packer, system, workspace
from akosha_snap.snapshot.results import PruneResult, PushResult, RepairResult, RestoreResult, VerifyResult
from akosha_snap.snapshot.time_limit import PRUNE_LIMIT, PUSH_LIMIT
from akosha_snap.stores import Layer, Store, retry

T = TypeVar("T")

HOUR = 3600
CLOCKS = (0, 25 * 60, -30 * 60)
"""Seconds that each machine's clock is ahead."""

COLD = 2
"""The machine without a state folder: it looks at all of the store each time."""

SIGNED_FOR = 15 * 60
"""Seconds after which S3 refuses a request for the time of its signature; a folder store's are over at once."""

Content = tuple[int, int]
"""Names the bytes of a file: those with the same first number are similar, those of different ones share nothing."""


def content(name: Content) -> bytes:
    """One chunk."""
    number, variant = name
    data = noise(8000, number)
    return data[: 500 * variant] + noise(100, ("variant", variant)) + data[500 * variant :] if variant else data


class Sleep(NamedTuple):
    """Time passes, for everybody."""

    seconds: float


class Crash(NamedTuple):
    """The job whose script this is in ends here, as by kill -9."""


class Push(NamedTuple):
    machine: int
    files: Mapping[str, Content]
    script: Script = ()
    full_file: bool = False
    recheck: bool = False


class Prune(NamedTuple):
    machine: int
    keep_last: int = 1
    script: Script = ()
    keep_daily: int = 0


class Restore(NamedTuple):
    """`age` 0 is the newest snapshot."""

    age: int = 0
    script: Script = ()


class Verify(NamedTuple):
    script: Script = ()


class Repair(NamedTuple):
    machine: int
    script: Script = ()


Event = Sleep | Crash | Push | Prune | Restore | Verify | Repair
Script = tuple[tuple[int, Event], ...]


class World:
    """The store, the machines and the true time; `happen` is the one way to change them."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.pushed: dict[str, dict[str, bytes]] = {}
        """What the snapshot of each upload id holds, where its push said so."""
        self.tried: list[dict[str, bytes]] = []
        """What any push was of: one that dies may or may not have committed."""
        self.newest = ""
        self.outcomes: list[str] = []
        self.failure: AssertionError | None = None
        self._at_work: set[int] = set()
        self._touched = 0

    def happen(self, event: Event) -> None:
        """The event, whole; raises AssertionError where it does what it must not."""
        match event:
            case Sleep(seconds):
                self.bench.clock.advance(seconds)
            case Push():
                self._push(event)
            case Prune():
                self._prune(event)
            case Restore():
                self._restore(event)
            case Verify():
                self._verify(event)
            case Repair():
                self._repair(event)
        newest = max(self.bench.uploads(), default="")
        assert newest >= self.newest, "the newest snapshot is gone"
        self.newest = newest

    def check(self) -> None:
        """Every snapshot there is whole, and what was pushed as it."""
        there = self.bench.uploads()
        if not there:
            return
        result = self.bench.verify(level="data")
        assert result.ok, result.problems
        for upload_id in there:
            assert self._is_right(upload_id, self.bench.restored(upload_id))

    def settle(self) -> None:
        """After enough prunes that nothing disturbs the store holds what its snapshots need, and nothing else."""
        if not self.bench.uploads():
            return
        for _ in range(3):
            self.happen(Sleep(26 * HOUR))
            self.happen(Prune(0, keep_last=2))
        self.check()
        with on_disk(self.bench) as store:
            needed = {pack_key(SYSTEM, pack) for pack in second_reader.packs_needed(store, SYSTEM)}
            kept = second_reader.snapshots(store, SYSTEM)
            for upload_id in kept:
                assert self._is_right(upload_id, second_reader.files(store, SYSTEM, upload_id))
        there = self.bench.objects()  # but for markers: that of a push that never committed is found by no listing
        assert {key for key in there if "/packs/" in key} == needed
        assert {key.split("/")[2] for key in there if key.startswith("systems/")} == set(kept)
        assert len([key for key in there if key.startswith(prune_prefix(SYSTEM))]) <= 1

    def _push(self, event: Push) -> None:
        paths = self._write(event.machine, event.files)
        files = {name: content(one) for name, one in event.files.items()}
        self.tried.append(files)
        is_busy = event.machine in self._at_work
        state = None if event.machine == COLD else self.bench.folder / f"state-{event.machine}"

        def push(job: Job) -> PushResult:
            return api.push(
                paths,
                job.store,
                system_id=SYSTEM,
                state_dir=state,
                full_file=event.full_file,
                recheck=event.recheck,
                stage_in_child=False,
                now=job.now,
            )

        at_work, self._at_work = self._at_work, self._at_work | ({event.machine} - {COLD})
        job, result = self._run(Job(self, event.script, event.machine), push)
        self._at_work = at_work
        match result:
            case PushResult(upload_id=str()):
                assert result.unchanged or job.elapsed <= PUSH_LIMIT, "a push ended well, too late"
                assert self.pushed.setdefault(result.upload_id, files) == files
                self.outcomes.append("push unchanged" if result.unchanged else "push")
            case BusyError():
                assert is_busy
                self.outcomes.append("push busy")
            case error:
                assert job.crashed or job.elapsed > PUSH_LIMIT, f"a push failed that had the time: {error!r}"
                self.outcomes.append("push crashed" if job.crashed else "push too late")

    def _write(self, machine: int, files: Mapping[str, Content]) -> list[Path]:
        """The live files of a machine; each is touched only where it changes, and long ago."""
        folder = self.bench.folder / f"live-{machine}"
        folder.mkdir(exist_ok=True)
        for name, one in files.items():
            path = folder / name
            if not path.exists() or path.read_bytes() != content(one):
                path.write_bytes(content(one))
                self._touched += 1
                os.utime(path, (1_700_000_000 + self._touched,) * 2)
        return [folder / name for name in files]

    def _prune(self, event: Prune) -> None:
        before, size = self.bench.uploads(), self.bench.size()
        rules = {"keep_last": event.keep_last, "keep_daily": event.keep_daily}
        job, result = self._run(
            Job(self, event.script, event.machine),
            lambda job: api.prune(job.store, system_id=SYSTEM, now=job.now, **rules),
        )
        if isinstance(result, PruneResult):
            if not job.is_disturbed:
                after = self.bench.uploads()
                assert after[: event.keep_last] == before[: event.keep_last]
                assert set(before) - set(after) == set(result.dropped)
                assert result.bytes_freed == size - self.bench.size()
            self.outcomes.append("prune, packs deleted" if result.packs_deleted else "prune")
        elif isinstance(result, NothingThereError):
            assert not before, "a prune saw no snapshot"
        elif isinstance(result, BusyError):
            assert job.is_disturbed
        else:
            assert job.crashed or job.elapsed > PRUNE_LIMIT, f"a prune failed that had the time: {result!r}"
            self.outcomes.append("prune crashed" if job.crashed else "prune too late")

    def _restore(self, event: Restore) -> None:
        there = self.bench.uploads()
        if event.age >= len(there):
            return
        upload_id, to = there[event.age], self.bench.new_folder()
        job, result = self._run(
            Job(self, event.script), lambda job: api.restore(job.store, upload_id, system_id=SYSTEM, to=to)
        )
        files = {path.name: path.read_bytes() for path in to.glob("*")}
        if isinstance(result, RestoreResult):
            assert self._is_right(upload_id, files)
            self.outcomes.append("restore")
        else:
            assert job.crashed or upload_id not in self.bench.uploads(), f"a restore failed: {result!r}"
            assert job.crashed or isinstance(result, NothingThereError)
            assert files.items() <= self._whole_files(upload_id), "a restore left half a file"
            self.outcomes.append("restore crashed" if job.crashed else "restore, pruned meanwhile")

    def _verify(self, event: Verify) -> None:
        if self.bench.uploads():
            job, result = self._run(
                Job(self, event.script), lambda job: api.verify(job.store, "all", system_id=SYSTEM, level="data")
            )
            assert job.crashed or (isinstance(result, VerifyResult) and result.ok), result
            self.outcomes.append("verify crashed" if job.crashed else "verify")

    def _repair(self, event: Repair) -> None:
        if self.bench.uploads():
            job, result = self._run(
                Job(self, event.script, event.machine),
                lambda job: api.repair(job.store, system_id=SYSTEM, now=job.now),
            )
            assert job.crashed or (isinstance(result, RepairResult) and result.ok and not result.problems), result
            self.outcomes.append("repair crashed" if job.crashed else "repair")

    def _run(self, job: Job, work: Callable[[Job], T]) -> tuple[Job, T | AkoshaSnapError | None]:
        """What came of the work; None where it crashed. Only what is damaged may be called that, and nothing is."""
        try:
            result: T | AkoshaSnapError = work(job)
        except PulledPlug:
            return job, None
        except DamageError as error:
            raise AssertionError(f"nothing is damaged: {error}") from error
        except AkoshaSnapError as error:
            result = error
        finally:
            if self.failure:  # somewhere deep in its script; the code under test may have passed over it
                raise self.failure
        return job, None if job.crashed else result

    def _is_right(self, upload_id: str, files: dict[str, bytes]) -> bool:
        return files in ([self.pushed[upload_id]] if upload_id in self.pushed else self.tried)

    def _whole_files(self, upload_id: str) -> set[tuple[str, bytes]]:
        held = [self.pushed[upload_id]] if upload_id in self.pushed else self.tried
        return {item for files in held for item in files.items()}


class Job:
    """One job as its script has it: its view of the store and its machine's clock."""

    def __init__(self, world: World, script: Script, machine: int | None = None) -> None:
        self.world, self._script = world, script
        self.store = _Scripted(world.bench.store, self)
        self.crashed = self.is_disturbed = False
        self._ahead = dt.timedelta(seconds=CLOCKS[machine] if machine is not None else 0)
        self._began = world.bench.clock()

    def now(self) -> dt.datetime:
        """By the clock of its machine."""
        return self.world.bench.clock() + self._ahead

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return (self.world.bench.clock() - self._began).total_seconds()

    def before(self, number: int) -> None:
        """Have happen what the script has ahead of the request of this number; raises PulledPlug."""
        for at, event in self._script:
            if at == number:
                self.is_disturbed = True
                if isinstance(event, Crash):
                    self.crashed = True
                    raise PulledPlug
                self.world.happen(event)


class _Scripted(Layer):
    """The store as a job sees it. One request at a time, so that their numbers mean the same in every run."""

    def __init__(self, inner: Store, job: Job) -> None:
        super().__init__(inner)
        self._job, self._number, self._lock = job, 0, threading.Lock()

    def _request(self, method: str, call: Callable[[], Any], *, sent: int = 0) -> Any:
        with self._lock:
            if self._job.crashed:
                raise PulledPlug
            signed = self._job.elapsed
            self._number += 1
            try:
                self._job.before(self._number - 1)
            except AssertionError as error:
                self._job.world.failure = error
                raise
            if self._job.elapsed - signed > SIGNED_FOR:
                raise TransientStoreError("the request was signed too long ago")
            return call()


@contextmanager
def small_and_in_order() -> Iterator[None]:
    """Packs of a few chunks; no two requests of one job at once, whose order would change from run to run; and
    nothing that takes time: no thread for each request, no disk that is waited for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(system, "DeadlineStore", lambda store: store)
        patch.setattr(packer, "PACK_TARGET", 20_000)
        patch.setattr(packer, "_IN_FLIGHT", 1)
        patch.setattr(ahead, "_REQUESTS", 1)
        patch.setattr(fetch, "_PARALLEL", 1)
        patch.setattr(retry, "FIRST_WAIT", 0.0)
        patch.setattr(workspace, "_LOCK_TIMEOUT", 0.0)
        yield
