"""Every fault at every request of every operation, on the wire to a real S3 server, for both S3 clients.

`nox -s stress` runs all, the ordinary tests a share. What the store holds is judged by the second reader.
"""

from __future__ import annotations

import gc
import itertools
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fault_proxy import ALWAYS, FAULTS, FaultProxy, Rule, running_fault_proxy
from helpers import Bench, as_second_reader, edited, prose

from akosha_snap.errors import AkoshaSnapError
from akosha_snap.stores import DeadlineStore, S3Options, S3Store

pytestmark = [
    pytest.mark.seaweed,
    # a request given up at its deadline is left to its thread, and boto3 does not close what that has open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FIRST = {"a.txt": prose(100_000, "a"), "b.bin": prose(20_000, "b")}
SECOND = {**FIRST, "a.txt": edited(FIRST["a.txt"], 50_000)}

SILENCE, DEADLINE, TRIES = 1.0, 2.0, 5
"""Seconds of silence and for a whole request before it counts as failed, and how often one is tried."""

PASSING = ("429", "500", "503", "reset", "lost", "hang", "drip", "truncated")
SLOW = ("hang", "drip")
CODES = {
    "400": {1}, "403": {12}, "404": {1, 10}, "clock": {1, 12}, "expired": {1, 12}, "flipped": {1, 4},
    **{fault: {1} for fault in PASSING},
}  # fmt: skip
"""The exit codes that may come of a fault, where the operation fails. The answer to a HEAD has only a status."""

UNTRUE = ("404", "flipped", "truncated")
"""Faults that make a store look as if it had lost something: `verify` may say so."""


class Scene:
    """A system behind the proxy, in a place of its own for each case."""

    def __init__(self, folder: Path, proxy: FaultProxy, bucket: str, *, lean: bool) -> None:
        self.folder, self.proxy, self.bucket = folder, proxy, bucket
        self.options = S3Options(proxy.endpoint, connect_timeout=SILENCE, read_timeout=SILENCE, lean=lean)
        self.places = itertools.count()
        self.renew()

    def renew(self) -> None:
        """A new, empty store and no state."""
        place = next(self.places)
        folder = self.folder / str(place)
        folder.mkdir()
        self.proxy.rules = []
        self.s3 = S3Store(self.bucket, f"place-{place}", self.options)
        self.bench = Bench(folder, DeadlineStore(self.s3, DEADLINE))

    def end(self) -> None:
        if not self.options.lean and self.s3._made:
            self.s3._made.close()  # boto3 leaves its connections open
        shutil.rmtree(self.bench.folder)


class Operation(NamedTuple):
    """`run` is what meets the faults; before it, where `pushed`, the first push."""

    run: Callable[[Bench], bool]
    pushed: bool
    leaves: list[dict[str, bytes]]
    renew: bool = True


def pushing(files: dict[str, bytes], **options: Any) -> Callable[[Bench], bool]:
    return lambda bench: bench.push(files, **options).success


def whole_files(bench: Bench) -> bool:
    result = bench.push(SECOND, full_file=True)
    bench.store_rules_off()  # type: ignore[attr-defined]
    entries = bench.manifest(result.upload_id).snapshot.files
    return all(bench.store.get(entry.full_file.uri) == SECOND[entry.name] for entry in entries)


def restoring(bench: Bench) -> bool:
    to = bench.new_folder()
    try:
        bench.restore(to=to)
    except AkoshaSnapError:
        assert not to.exists() or not list(to.iterdir())
        raise
    return {path.name: path.read_bytes() for path in to.iterdir()} == FIRST


def verifying(bench: Bench) -> bool:
    return bench.verify(level="data").ok


OPERATIONS = {
    "first push": Operation(pushing(FIRST), pushed=False, leaves=[FIRST]),
    "session push": Operation(pushing(SECOND), pushed=True, leaves=[FIRST, SECOND]),
    "session push, cold": Operation(pushing(SECOND, state_dir=None), pushed=True, leaves=[FIRST, SECOND]),
    "whole files": Operation(whole_files, pushed=True, leaves=[FIRST, SECOND]),
    "restore": Operation(restoring, pushed=True, leaves=[FIRST], renew=False),
    "verify": Operation(verifying, pushed=True, leaves=[FIRST], renew=False),
}

OUTCOMES: Counter[str] = Counter()
"""Cases by how they ended; `pytest -s` prints them."""


@pytest.fixture(scope="module", autouse=True)
def tell() -> Iterator[None]:
    yield
    print(f"\n{OUTCOMES.total()} cases: {dict(OUTCOMES)}")


@pytest.fixture
def proxy(seaweed: Any) -> Iterator[FaultProxy]:
    with running_fault_proxy(seaweed.endpoint) as proxy:
        yield proxy


@pytest.fixture(params=["lean", "boto3"])
def scene(
    request: pytest.FixtureRequest,
    proxy: FaultProxy,
    seaweed_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    monkeypatch.setattr("akosha_snap.stores.retry.RetryingStore._wait", lambda *_: 0.0)
    scene = Scene(tmp_path, proxy, seaweed_bucket, lean=request.param == "lean")
    yield scene
    scene.end()
    gc.collect()  # here, where the warnings of what that finds are left out


def prepared(scene: Scene, operation: Operation) -> None:
    scene.end()
    scene.renew()
    scene.bench.store_rules_off = lambda: setattr(scene.proxy, "rules", [])  # type: ignore[attr-defined]
    if operation.pushed:
        scene.bench.push(FIRST)


def requests_of(scene: Scene, operation: Operation) -> int:
    """How many requests it makes when nothing is wrong."""
    prepared(scene, operation)
    scene.proxy.rules = [counting := Rule("none", times=0)]
    assert operation.run(scene.bench)
    return counting.seen


def check_error(error: AkoshaSnapError, fault: str, times: int, said: object) -> None:
    assert error.exit_code in CODES[fault], (said, error)
    assert error.message
    assert error.hint
    assert fault not in PASSING or times > 1, (said, error)


def case(scene: Scene, name: str, fault: str, at: int, times: int) -> None:
    """One fault, from request number `at` on, so many `times`."""
    operation = OPERATIONS[name]
    if operation.renew:
        prepared(scene, operation)
    said = (name, fault, at, times)
    scene.proxy.rules = [rule := Rule(fault, skip=at, times=times)]
    started = time.monotonic()
    try:
        right = operation.run(scene.bench)
    except AkoshaSnapError as error:
        check_error(error, fault, times, said)
        right = False
        OUTCOMES[f"exit {error.exit_code}"] += 1
    else:
        assert right or (name == "verify" and fault in UNTRUE), said
        OUTCOMES["succeeded" if right else "verify found it"] += 1
    elapsed = time.monotonic() - started
    assert elapsed < TRIES * DEADLINE * max(1, rule.hit) + 10, (said, elapsed)
    scene.proxy.rules = []
    there = as_second_reader(scene.bench) if right or operation.pushed else []
    assert there[-1:] == operation.leaves[-1:] if right else there[:1] == operation.leaves[:1] or not there, said
    if not right and operation.renew:  # what was uploaded is in nobody's way
        assert operation.run(scene.bench)
        assert as_second_reader(scene.bench)[-1] == operation.leaves[-1]


def cases(scene: Scene, name: str, faults: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """Each fault once at each request, and those that take no time also from each request on for good."""
    numbers = range(requests_of(scene, OPERATIONS[name]))
    once = list(itertools.product(faults, numbers, [1]))
    return once + list(itertools.product([fault for fault in faults if fault not in SLOW], numbers, [ALWAYS]))


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "cold" not in name])
def test_some_faults_at_some_requests(scene: Scene, name: str) -> None:
    quick = tuple(fault for fault in FAULTS if fault not in SLOW)
    for fault, at, times in random.Random(name).sample(cases(scene, name, quick), 2):
        case(scene, name, fault, at, times)


@pytest.mark.stress
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_fault_at_every_request(scene: Scene, name: str) -> None:
    for fault, at, times in cases(scene, name, FAULTS):
        case(scene, name, fault, at, times)
