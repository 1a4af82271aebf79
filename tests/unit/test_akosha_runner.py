"""`python -m akosha_snap.akosha` where Akosha is not installed; with it, tests/contract/test_akosha_worker.py."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "AKOSHA_SNAP_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "akosha_snap.akosha", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(importlib.util.find_spec("akosha") is not None, reason="Akosha is installed")
@pytest.mark.parametrize("hot_store", [[], ["--hot-store", "memory"], ["--hot-store", "akosha"]])
def test_without_akosha_it_says_so(tmp_path: Path, hot_store: list[str]) -> None:
    ran = run(tmp_path, "--store", str(tmp_path), *hot_store)
    assert ran.returncode == 2
    assert "Akosha cannot be imported here" in ran.stderr
    assert "pip install" in ran.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--poll", "0"], "0 is not in the range"),
        (["--embedding", "x"], "'x' is not"),
        (["--store", "ftp://y"], "ftp:"),
    ],
)
def test_wrong_options(tmp_path: Path, arguments: list[str], said: str) -> None:
    ran = run(tmp_path, *arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_help_names_every_option(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "akosha.md").read_text()
    ran = run(tmp_path, "--help")
    assert ran.returncode == 0
    for option in ("--store", "--hot-store", "--poll", "--once", "--replay", "--embedding", "--verbose"):
        assert option in ran.stdout
        assert f"`{option}" in page
