"""Real processes at once on a real store: pushes of one system, of many, and prunes, verifies and restores beside them.

Each push that ended well is read back by the second reader, from nothing but the objects.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import second_reader
from blake3 import blake3
from many_workers import Worker, days, held, pass_days, run_workers
from memory_db import check_writer, writer_process

from akosha_snap import api
from akosha_snap.stores import list_all, open_store

SYSTEM = "laptop"
Results = list[list[dict[str, Any]]]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty store of the kind asked for."""
    if request.param == "s3":
        return request.getfixturevalue("seaweed_url")
    return (tmp_path / "store").as_uri()


S3 = pytest.param("s3", marks=pytest.mark.seaweed)
on_each_store = pytest.mark.parametrize("url", ["folder", S3], indirect=True)


def pushers(count: int, folder: Path, url: str, *, state: str = "state-{}", **options: Any) -> list[Worker]:
    return [
        Worker("push", folder, url, [SYSTEM], name=f"push-{i}", state=state.format(i), **options) for i in range(count)
    ]


def on_disk(url: str, folder: Path) -> Path:
    """The store as a folder, for the second reader."""
    store, copy = open_store(url), Path(tempfile.mkdtemp(dir=folder))
    for info in list_all(store, ""):
        path = copy / info.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(info.key))
    return copy


def succeeded(results: Results) -> list[dict[str, Any]]:
    return [done for one in results for done in one if "result" in done]


def failed(results: Results) -> Counter[str]:
    return Counter(
        f"{done['name']}: {done['error']}: {done['message']}" for one in results for done in one if "error" in done
    )


def check_whole(url: str, folder: Path, results: Results, *, all_there: bool = True) -> int:
    """Every snapshot in the store is what its push said, to verify and to the second reader; how many there are."""
    pushed = {(one["system"], one["result"]): one for one in succeeded(results)}
    store, found = on_disk(url, folder), 0
    for system in {system for system, _ in pushed}:
        result = api.verify(url, "all", system_id=system, level="data")
        assert result.ok, result.problems
        there = second_reader.snapshots(store, system)
        assert not all_there or set(there) == {upload for name, upload in pushed if name == system}
        for upload in there:
            ((_, data),) = second_reader.files(store, system, upload).items()
            one = pushed.get((system, upload))
            assert one is None or data == held(one["name"], one["number"])
        found += len(there)
    return found


@pytest.mark.parametrize(
    ("url", "state"),
    [
        pytest.param("folder", "state", id="one machine, folder"),
        pytest.param("s3", "state-{}", id="many machines, S3", marks=pytest.mark.seaweed),
        pytest.param("folder", "state-{}", id="many machines, folder", marks=pytest.mark.stress),
        pytest.param("s3", "state", id="one machine, S3", marks=[pytest.mark.seaweed, pytest.mark.stress]),
    ],
    indirect=["url"],
)
def test_eight_processes_push_one_system(url, tmp_path, state):
    """Machines with one system id do not wait for each other; sessions that end together on one machine do."""
    results = run_workers(pushers(8, tmp_path, url, state=state, rounds=1))
    assert not failed(results)
    assert check_whole(url, tmp_path, results) == 8


@pytest.mark.stress
@on_each_store
def test_two_machines_with_one_system_id_for_many_pushes(url, tmp_path):
    results = run_workers(pushers(2, tmp_path, url, rounds=40))
    assert not failed(results)
    assert check_whole(url, tmp_path, results) == 80


@pytest.mark.stress
@on_each_store
def test_fifty_systems_in_one_store(url, tmp_path):
    """Each is pushed three times, and by two processes; none sees another's."""
    names = [f"system-{number:02}" for number in range(50)]
    shares = [names[:25], names[25:], names[10:35], names[35:] + names[:10]]
    workers = [
        Worker("push", tmp_path, url, share, name=f"push-{i}", state=f"state-{i}", rounds=3)
        for i, share in enumerate(shares)
    ]
    results = run_workers(workers, timeout=500)
    assert not failed(results)
    assert check_whole(url, tmp_path, results) == 300
    for name in names:
        assert len(api.snapshots(url, system_id=name).snapshots) == 6


@pytest.mark.stress
@on_each_store
def test_pushes_prunes_verifies_and_restores_for_weeks(url, tmp_path):
    """Half a day passes every few seconds, in the middle of whatever is at work: so what is pruned is deleted."""
    workers = pushers(4, tmp_path, url, pause=0.2)
    workers += [Worker("prune", tmp_path, url, [SYSTEM], name=f"prune-{i}", keep=3 + i, pause=0.2) for i in range(2)]
    workers += [Worker(task, tmp_path, url, [SYSTEM], pause=0.1) for task in ("verify", "restore")]

    def weeks() -> None:
        clock = tmp_path / "clock"
        while days(clock) < 20:
            time.sleep(4)  # twice in one request would be a day that it is under way: S3 refuses one after 15 minutes
            pass_days(clock, 0.5)
        (tmp_path / "stop").touch()

    results = run_workers(workers, weeks, timeout=300)
    allowed = (
        "this push began",
        "the prune has taken",
        "no snapshot",
        "other runs of prune",
        "another prune",
        "no store at",
    )
    bad = [failure for failure in failed(results) if not any(word in failure for word in allowed)]
    assert not bad, "\n".join(bad)
    pruned = [one for worker in results[4:6] for one in worker]
    print(
        {
            "pushes": len(succeeded(results[:4])),
            "prunes": len(succeeded([pruned])),
            "packs deleted": sum(int(one["result"]) for one in succeeded([pruned])),
            "verifies": len(succeeded([results[6]])),
            "restores": len(succeeded([results[7]])),
            "failures": failed(results),
        }
    )
    assert sum(int(one["result"]) for one in succeeded([pruned])) > 20
    made = {blake3(held(one["name"], one["number"])).hexdigest() for worker in results[:4] for one in worker}
    assert {one["result"] for one in succeeded([results[7]])} <= made
    check_whole(url, tmp_path, results, all_there=False)
    for _ in range(3):
        pass_days(tmp_path / "clock", 1.1)
        run_workers([Worker("prune", tmp_path, url, [SYSTEM], keep=3, rounds=1)])
    store = on_disk(url, tmp_path)
    there = {path.name for path in second_reader.pack_files(store, SYSTEM)}
    assert there == {pack.hex() for pack in second_reader.packs_needed(store, SYSTEM)}


@pytest.mark.stress
@pytest.mark.parametrize("state", ["state", "state-{}"], ids=["one machine", "many machines"])
@on_each_store
def test_eight_commands_push_a_live_database(url, tmp_path, state):
    """`akosha-snap push` as users run it, three times each, of a database that is written to meanwhile."""
    database, akosha_snap = tmp_path / "live.duckdb", [sys.executable, "-m", "akosha_snap"]
    results = []
    with writer_process(database, pause=0.002):
        for _ in range(3):
            commands = [
                subprocess.Popen(
                    [*akosha_snap, "push", database, "--json", "--store", url, "--system-id", SYSTEM],
                    env=os.environ | {"AKOSHA_SNAP_STATE_DIR": str(tmp_path / state.format(number))},
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for number in range(8)
            ]
            for command in commands:
                out, _ = command.communicate(timeout=200)
                assert command.returncode == 0
                results.append(json.loads(out))
    made = {result["upload_id"] for result in results}
    store = on_disk(url, tmp_path)
    assert set(second_reader.snapshots(store, SYSTEM)) == made
    assert len(made) > 3
    for upload in made:
        to = tmp_path / upload
        api.restore(url, upload, system_id=SYSTEM, to=to)
        assert {path.name: path.read_bytes() for path in to.iterdir()} == second_reader.files(store, SYSTEM, upload)
        check_writer(to / database.name)
    assert api.verify(url, "all", system_id=SYSTEM, level="open").ok
