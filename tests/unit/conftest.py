"""A bench to work at: one system, its files and its store."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import Bench

from akosha_snap.stores import DirectoryStore


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """On a store in memory."""
    return Bench(tmp_path)


@pytest.fixture(params=["memory", "directory"])
def any_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """On each kind of store that needs no server."""
    return Bench(tmp_path, DirectoryStore(tmp_path / "store") if request.param == "directory" else None)
