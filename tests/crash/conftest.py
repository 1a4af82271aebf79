"""The process whose children the plug is pulled on, and a folder for each of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import memory_db
import plug
import pytest
from plug import How, Outcome

import akosha_snap

Pull = Callable[..., Outcome]


@pytest.fixture(scope="session")
def pull(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pull]:
    """Runs an operation of operations.py on a folder and pulls the plug: see plug.pull."""
    if not plug.HERE:
        pytest.skip("needs Linux on x86-64")
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, (Path(akosha_snap.__file__).parents[1], here, here.parent)))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AKOSHA_", "XDG_"))},
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, str(here / "operations.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"

        def ask(
            operation: str, folder: Path, at: int | None = None, how: How = "kill", where: str = "", **options: Any
        ) -> Outcome:
            request = {"operation": operation, "folder": str(folder), "at": at, "how": how, "where": where}
            process.stdin.write(json.dumps({**request, "options": options}) + "\n")
            process.stdin.flush()
            return Outcome(*json.loads(process.stdout.readline()))

        try:
            outcome = ask("restore", tmp_path_factory.mktemp("probe"))
            if not outcome.error.startswith("StoreNotCreated"):
                pytest.skip(f"no tracing here: {outcome}")
            yield ask
        finally:
            process.stdin.close()


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two databases and a file that does not compress."""
    folder = tmp_path_factory.mktemp("memory")
    memory_db.build(folder, conversations=40)
    return folder


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory, memory: Path) -> Path:
    """A folder with the databases a, which has a log, and b, which has none."""
    folder = tmp_path_factory.mktemp("logged")
    shutil.copytree(memory, folder, dirs_exist_ok=True)
    memory_db.live_session(folder, seed=2, checkpoint=False)
    (folder / f"{memory_db.GRAPH}.wal").unlink()
    (folder / memory_db.GRAPH).rename(folder / "b.duckdb")
    for suffix in ("", ".wal"):
        (folder / f"{memory_db.REFLECTION}{suffix}").rename(folder / f"a.duckdb{suffix}")
    return folder
