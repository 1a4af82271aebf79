"""Every fault at every request of every operation: it succeeds, or fails clearly; never a wrong success.

What is in the store afterwards is judged by the second reader, which has no code of ours.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_store import ALWAYS, FAULTS, PASSING, FaultyStore
from helpers import SYSTEM, Bench, as_second_reader, edited, prose

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError, CredentialsError, DamageError, StoreError
from akosha_snap.manifest.keys import format_key
from akosha_snap.stores import MemoryStore

FIRST = {"a.txt": prose(150_000, "a"), "b.bin": prose(60_000, "b")}
SECOND = {**FIRST, "a.txt": edited(FIRST["a.txt"], 70_000)}
TIMES = (1, 3, ALWAYS)
LONG = ("session, cold", "full file", "full file in parts")
"""Left to `nox -s stress`."""


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("akosha_snap.stores.retry.RetryingStore._wait", lambda *_: 0.0)


class Scene:
    """A store with one snapshot, copied anew for every case."""

    def __init__(self, folder: Path, *, pushed: bool) -> None:
        self.bench = Bench(folder)
        if pushed:
            self.bench.push(FIRST)
        self.objects = dict(self.bench.store._objects)
        self.state = folder / "state-before"
        if self.bench.state.exists():
            shutil.copytree(self.bench.state, self.state)
        self.moment = self.bench.clock.moment

    def reset(self) -> None:
        self.bench.store = MemoryStore()
        self.bench.store._objects.update(self.objects)
        shutil.rmtree(self.bench.state, ignore_errors=True)
        if self.state.exists():
            shutil.copytree(self.state, self.bench.state)

    def check_store(self) -> list[dict[str, bytes]]:
        """Every snapshot there, the oldest first, each whole, as the second reader has them."""
        objects = self.bench.objects()
        if format_key(SYSTEM) not in objects:
            assert not [key for key in objects if key.endswith("/manifest.json")]
            return []
        return as_second_reader(self.bench)


OUTCOMES: Counter[str] = Counter()
"""Cases by how they ended; `pytest -s` prints them."""


@pytest.fixture(scope="module", autouse=True)
def tell() -> Iterator[None]:
    yield
    print(f"\n{OUTCOMES.total()} cases: {dict(OUTCOMES)}")


def kind_of(error: AkoshaSnapError) -> str:
    return f"exit {error.exit_code}"


def check_error(error: AkoshaSnapError, fault: str, times: int) -> None:
    outlasted = 1 if fault in {"flipped", "truncated"} else 3  # read twice at most, or tried five times
    assert times > outlasted or fault not in PASSING, str(error)
    assert error.message
    assert error.hint
    if fault == "expired":
        assert isinstance(error, CredentialsError)
        assert error.exit_code == 12
    elif fault == "clock":
        assert "clock" in error.hint
    elif fault in {"flipped", "truncated"}:
        assert isinstance(error, DamageError | StoreError)
        assert error.exit_code in {1, 4}
    else:
        assert type(error).__mro__[0] in {StoreError, *StoreError.__subclasses__()}
        assert error.exit_code == 1


PUSHES = {
    "first": (False, FIRST, {}),
    "session": (True, SECOND, {}),
    "session, cold": (True, SECOND, {"state_dir": None}),
    "unchanged": (True, FIRST, {}),
    "full file": (True, SECOND, {"full_file": True}),
    "full file in parts": (True, SECOND, {"full_file": True}),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.stress if k in LONG else ()) for k in PUSHES])
def test_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, fault: str) -> None:
    if kind == "full file in parts":
        monkeypatch.setattr("akosha_snap.stores.transfer.SINGLE_PUT", 65_536)
        monkeypatch.setattr("akosha_snap.stores.transfer.PART_SIZE", 65_536)
        monkeypatch.setattr("akosha_snap.stores.transfer._MIB", 65_536)
    pushed, files, options = PUSHES[kind]
    scene = Scene(tmp_path, pushed=pushed)
    bench = scene.bench
    before = [FIRST] if pushed else []
    dry = FaultyStore(bench.store)
    bench.push(files, store=dry, **options)
    for at in range(dry.seen):
        for times in TIMES:
            scene.reset()
            faulty = FaultyStore(bench.store, fault, at, times)
            try:
                result = bench.push(files, store=faulty, **options)
            except AkoshaSnapError as error:
                check_error(error, fault, times)
                OUTCOMES[kind_of(error)] += 1
                assert scene.check_store()[: len(before)] == before
            else:
                assert result.success
                if options.get("full_file"):
                    for entry in bench.manifest(result.upload_id).snapshot.files:
                        assert bench.store.get(entry.full_file.uri) == files[entry.name]
                OUTCOMES["succeeded"] += 1
                assert scene.check_store()[-1] == files, (at, times)
            uploaded = set(bench.packs())
            bench.push(files, **options)
            assert scene.check_store()[-1] == files
            if "state_dir" not in options:
                assert len(set(bench.packs()) - uploaded) <= 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", ["restore", "verify", "list"])
def test_reading(tmp_path: Path, operation: str, fault: str) -> None:
    scene = Scene(tmp_path, pushed=True)
    scene.bench.push(SECOND)
    store = scene.bench.store

    def run(using: FaultyStore) -> None:
        if operation == "restore":
            to = scene.bench.new_folder()
            try:
                api.restore(using, system_id=SYSTEM, to=to)
            except AkoshaSnapError:
                assert not list(to.glob("*")) if to.exists() else True  # nothing half done, nothing left
                raise
            assert {path.name: path.read_bytes() for path in to.iterdir()} == SECOND
            shutil.rmtree(to)
        elif operation == "verify":
            found = api.verify(using, "all", system_id=SYSTEM, level="data")
            assert found.ok or (using.hit > 1 and fault in {"flipped", "truncated"}), found.problems
        else:
            listed = api.snapshots(using, system_id=SYSTEM)
            assert len(listed.snapshots) + len(listed.warnings) >= 2
            assert len(listed.snapshots) == 2 or (using.hit > 1 and fault in {"flipped", "truncated"})

    dry = FaultyStore(store)
    run(dry)
    for at in range(dry.seen):
        for times in TIMES:
            try:
                run(FaultyStore(store, fault, at, times))
                OUTCOMES["succeeded, or said in the result"] += 1
            except AkoshaSnapError as error:
                check_error(error, fault, times)
                OUTCOMES[kind_of(error)] += 1
