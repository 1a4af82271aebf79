"""Running `akosha-snap`: as a process of its own, and (quicker) inside this one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_runner import ROOT, Cli, Outcome, command_line

from akosha_snap.cli.boundary import run


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process finds the package this test runs."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def process(environment: None, tmp_path: Path) -> Cli:
    """Run the command as a process."""

    def start(*args: object, **options: Any) -> Outcome:
        done = subprocess.run(
            command_line(*args), capture_output=True, text=True, encoding="utf-8", timeout=60, cwd=tmp_path, **options
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return start


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run the command in this process; the working folder is `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def start(*args: object) -> Outcome:
        capsys.readouterr()
        code = run([os.fspath(arg) if isinstance(arg, Path) else str(arg) for arg in args])
        return Outcome(code, *capsys.readouterr())

    return start


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a store, not made yet; the environment names it and a system id."""
    monkeypatch.setenv("AKOSHA_SNAP_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("AKOSHA_SYSTEM_ID", "test")
    return tmp_path / "store"


@pytest.fixture(scope="session")
def _memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from memory_db import build

    folder = tmp_path_factory.mktemp("memory")
    build(folder, conversations=40)
    return folder


@pytest.fixture
def memory(_memory: Path, tmp_path: Path) -> Path:
    """A folder with the two databases, closed; each test has its own."""
    return Path(shutil.copytree(_memory, tmp_path / "memory"))
