"""Prune beside pushes and other prunes: each of two jobs at every request of the other.

The counterexamples are those that others' garbage collections were published with. A store in memory and a clock
that moves when told make each of them happen.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import SYSTEM, Bench, InterceptingStore, PulledPlug, RunsAt, copied, dies_at, noise

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError, BusyError, DamageError, NothingThereError
from akosha_snap.stores import Store

HOUR = 3600
DAY = 24 * HOUR
OLD = [noise(60_000, number) for number in range(4)]
"""What the snapshots of the start held, one each; none shares anything with another."""


class Machine:
    """Another machine that pushes to the same system: a state folder of its own."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench = bench
        self.state = bench.folder / name
        self.pushed: set[bytes] = set()
        self.pushes = 0

    def push(self, data: bytes, store: Store | None = None) -> str | None:
        path = self.bench.folder / f"{self.state.name}.bin"
        path.write_bytes(data)
        self.pushes += 1
        os.utime(path, (1_700_000_000 + self.pushes,) * 2)  # long ago: no push waits for the file to settle
        self.pushed.add(data)
        result = api.push(
            [path],
            store or self.bench.store,
            system_id=SYSTEM,
            state_dir=self.state,
            stage_in_child=False,
            now=self.bench.clock,
        )
        return result.upload_id


class Scene:
    """Four snapshots, the first two dropped a day ago: their packs go with the next prune."""

    def __init__(self, tmp_path: Path) -> None:
        self.bench = Bench(tmp_path)
        self.ours, self.theirs = Machine(self.bench, "ours"), Machine(self.bench, "theirs")
        for data in OLD:
            self.ours.push(data)
        self.bench.prune(keep_last=2)
        self.bench.clock.advance(DAY)
        self._start = copied(self.bench.store), self.bench.clock.moment

    def again(self) -> None:
        """Everything as at the start, but for what our machine remembers: it starts cold."""
        store, self.bench.clock.moment = self._start
        self.bench.store = copied(store)
        for machine in (self.ours, self.theirs):
            for path in sorted(machine.state.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()

    def check(self) -> None:
        """Every snapshot there is whole, and after two more prunes still is what was pushed."""
        result = self.bench.verify(level="data")
        assert result.ok, result.problems
        for _ in range(2):
            self.bench.clock.advance(DAY)
            self.bench.prune(keep_last=2)
        for upload_id in self.bench.uploads():
            (data,) = self.bench.restored(upload_id).values()
            assert data in self.ours.pushed | self.theirs.pushed

    def at_every_request(self, job: Callable[[Store], None], other: Callable[[], None]) -> Iterator[bool]:
        """`job` with `other` ahead of its first request, then its second, and so on; True where it failed."""
        for number in itertools.count():
            self.again()
            store = RunsAt(self.bench.store, number, other)
            failed = self.fails(job, store)
            if not store.ran:
                assert number > 3
                return
            yield failed

    def fails(self, job: Callable[[Store], None], store: Store) -> bool:
        """Whether the job fails: as it may, but never because it finds damage."""
        try:
            job(store)
        except DamageError:
            raise
        except AkoshaSnapError:
            return True
        return False

    def no_harm(self, job: Callable[[Store], None], other: Callable[[], None]) -> list[bool]:
        """The same, all of it, and that each time no snapshot comes to harm."""
        return [failed for failed in self.at_every_request(job, other) if self.check() is None]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_push_of_what_a_prune_is_about_to_delete(scene):
    """The re-created pack: its chunks are absent, so they are stored anew while the old pack goes."""

    def push(store: Store) -> None:
        scene.ours.push(OLD[0], store)

    assert not any(scene.no_harm(push, lambda: scene.bench.prune(keep_last=1)))


def test_a_prune_that_is_about_to_delete_what_is_pushed(scene):
    def push() -> None:
        scene.theirs.push(OLD[0])

    assert not any(scene.no_harm(lambda store: scene.bench.prune(store=store), push))


def test_the_same_chunks_never_make_the_same_pack_again(bench):
    packs = []
    for _ in range(2):
        bench.push({"a": OLD[0]}, state_dir=None)
        packs += bench.packs()
        for key in bench.objects():
            bench.delete(key)
    assert len(set(packs)) == 2


@pytest.mark.parametrize(("hours", "fails"), [(21, False), (23, True)])
def test_a_push_that_starts_before_a_prune_and_ends_long_after_it(scene, hours, fails):
    """Its parent is dropped, a laptop sleeps, and what only the parent needed may be deleted."""

    def push(store: Store) -> None:
        scene.ours.push(OLD[3] + b"more", store)

    def meanwhile() -> None:
        scene.theirs.push(noise(60_000, "theirs"))
        scene.bench.prune()
        for _ in range(2):
            scene.bench.clock.advance(hours * HOUR / 2)
            scene.bench.prune()

    assert set(scene.no_harm(push, meanwhile)) == {fails}


def test_a_push_that_sleeps_for_days(scene):
    """Even in the middle of the request that commits it: that is no success then, and the next push mends it."""
    mine = OLD[3] + b"more"

    def push(store: Store) -> None:
        scene.ours.push(mine, store)

    def meanwhile() -> None:
        scene.theirs.push(b"theirs")
        for _ in range(3):
            scene.bench.prune()
            scene.bench.clock.advance(2 * DAY)

    for failed in scene.at_every_request(push, meanwhile):
        assert failed
        scene.ours.push(mine + b"!")
        assert list(scene.bench.restored().values()) == [mine + b"!"]
        assert scene.bench.verify("latest", level="data").ok


def test_two_prunes_at_once_with_other_rules(scene):
    kept = {"keep_last": 3}

    def meanwhile() -> None:
        scene.bench.prune(keep_last=1)

    assert not any(scene.no_harm(lambda store: scene.bench.prune(store=store, **kept), meanwhile))


def test_a_prune_beside_one_that_drops_all_that_it_has_listed(scene):
    def meanwhile() -> None:
        scene.theirs.push(b"theirs")
        scene.bench.prune(keep_last=1)

    with pytest.raises(BusyError, match="another prune dropped them"):
        scene.bench.prune(store=RunsAt(scene.bench.store, 2, meanwhile))
    scene.check()


def test_two_prunes_at_once_and_a_push_of_what_they_drop(scene):
    """The second drops what the push starts from, after the first has looked; a day later both run again."""

    def push(store: Store) -> None:
        scene.ours.push(OLD[2] + OLD[3], store)

    def meanwhile() -> None:
        scene.theirs.push(b"theirs")
        scene.bench.prune(store=RunsAt(scene.bench.store, 5, scene.bench.prune), keep_last=2)
        scene.bench.clock.advance(20 * HOUR)
        scene.bench.prune(store=RunsAt(scene.bench.store, 5, scene.bench.prune), keep_last=2)

    assert not any(scene.no_harm(push, meanwhile))


def test_the_packs_of_an_interrupted_push_are_not_used_once_a_prune_has_marked_them(scene):
    """They are all that the next push needs, and the prunes that delete them run at each of its requests."""
    new = noise(60_000, "interrupted")

    def push(store: Store) -> None:
        with pytest.raises(PulledPlug):
            scene.ours.push(new, InterceptingStore(scene.bench.store, dies_at(lambda key: "manifest" in key)))
        scene.bench.prune()
        scene.bench.clock.advance(23 * HOUR)
        scene.ours.push(new, store)

    def meanwhile() -> None:
        scene.bench.clock.advance(HOUR)
        scene.bench.prune()

    assert not any(scene.no_harm(push, meanwhile))


def test_but_those_no_prune_has_seen_are(scene):
    new = noise(60_000, "interrupted")
    with pytest.raises(PulledPlug):
        scene.ours.push(new, InterceptingStore(scene.bench.store, dies_at(lambda key: "manifest" in key)))
    before = len(scene.bench.packs())
    path = scene.bench.folder / "ours.bin"
    result = api.push([path], scene.bench.store, system_id=SYSTEM, state_dir=scene.ours.state, now=scene.bench.clock)
    assert sum(file.chunks_new for file in result.files) == 0
    assert len(scene.bench.packs()) == before + 1  # the chunk list's


def test_a_restore_of_what_is_pruned_meanwhile(scene):
    """All of it, or a word that it was pruned; never a wrong file, never "damaged"."""
    upload_id = min(scene.bench.uploads())

    def restore(store: Store) -> None:
        to = scene.bench.new_folder()
        try:
            api.restore(store, upload_id, system_id=SYSTEM, to=to)
        except NothingThereError:
            assert not list(to.glob("*"))
            raise
        assert (to / "ours.bin").read_bytes() == OLD[2]

    def meanwhile() -> None:
        scene.bench.prune(grace=0, no_push_running=True)

    results = scene.no_harm(restore, meanwhile)
    assert results[0]


@pytest.mark.parametrize("level", ["index", "data"])
def test_a_verify_while_snapshots_are_pruned(scene, level):
    def verify(store: Store) -> None:
        result = api.verify(store, "all", system_id=SYSTEM, level=level)
        assert result.ok, result.problems

    assert not any(scene.no_harm(verify, lambda: scene.bench.prune(grace=0, no_push_running=True)))


def test_a_verify_while_snapshots_with_whole_files_are_pruned(bench):
    for data in OLD:
        bench.push({"a": data}, full_file=True)
    start = bench.store
    for number in itertools.count():
        bench.store = copied(start)
        store = RunsAt(bench.store, number, lambda: bench.prune(grace=0, no_push_running=True))
        result = api.verify(store, "all", system_id=SYSTEM, level="data")
        assert result.ok, result.problems
        if not store.ran:
            assert number > 4 * len(OLD)
            return
