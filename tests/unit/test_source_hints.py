"""Every error of the source and of the stores says what to do next."""

from __future__ import annotations

import ast
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from test_source_header import seal

import akosha_snap
from akosha_snap import errors
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.source import count_records, engine, spawn, stage, stage_in_child
from akosha_snap.source.files import check_name, open_regular, read_piece
from akosha_snap.source.header import BLOCKS_START, parse_headers

ROOT = Path(akosha_snap.__file__).parent
MODULES = sorted([*ROOT.glob("source/*.py"), *ROOT.glob("stores/*.py"), ROOT / "atomic.py"])
FIXTURES = Path(__file__).parents[1] / "fixtures" / "duckdb"

OURS = {*errors.__all__} - {"DamageError"}
"""Of these errors each that is made needs a hint of its own; DamageError has one by default."""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_error_is_made_without_a_hint(module: Path) -> None:
    without = [
        node.lineno
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in OURS
        if "hint" not in {keyword.arg for keyword in node.keywords}
    ]
    assert without == []


def hint_of(call: Any, *arguments: Any) -> str:
    """What the error says to do next."""
    with pytest.raises(AkoshaSnapError) as caught:
        call(*arguments)
    assert str(caught.value) == f"{caught.value.message}; {caught.value.hint}"
    return caught.value.hint


def test_names_and_paths(tmp_path: Path) -> None:
    assert hint_of(check_name, Path("..")) == "name the file itself"
    assert hint_of(stage, Path("/tmp/a\0b/c"), tmp_path) == "check the path"
    os.mkfifo(tmp_path / "fifo")
    assert "name a file" in hint_of(stage, tmp_path / "fifo", tmp_path / "into")
    (tmp_path / "empty").touch()
    assert "check the path" in hint_of(stage, tmp_path / "empty", tmp_path / "into")


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

    assert "check that disk" in hint_of(read_piece, tmp_path / "a", Failing(), 1)

    def fail(*_: Any) -> int:
        raise OSError(5, "Input/output error")

    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr(os, "open", fail)
    assert "check that disk" in hint_of(open_regular(tmp_path / "a").__enter__)


def test_a_header_of_something_else() -> None:
    raw = bytearray((FIXTURES / "v1_4_closed.duckdb").read_bytes()[:BLOCKS_START])
    struct.pack_into("<4s", raw, 8, b"duck")
    seal(raw, 0)
    assert "check the path" in hint_of(parse_headers, bytes(raw))


def test_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "check that you may write" in hint_of(count_records, tmp_path / "nowhere" / "memory.duckdb")
    monkeypatch.setattr(engine, "MEMORY", "nonsense")
    assert "pip install -U duckdb" in hint_of(count_records, tmp_path / "memory.duckdb")


@pytest.mark.parametrize(
    ("child", "hint"),
    [
        ("#!/bin/sh\necho nonsense\n", "run it again"),
        ("#!/bin/sh\necho '{}'\n", "run it again"),
        ("#!/bin/sh\nexit 3\n", "run it again"),
        (None, "check that this runs: "),
        ("", "set sys.executable"),
    ],
)
def test_a_child_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: str | None, hint: str) -> None:
    python = tmp_path / "python"
    if child:
        python.write_text(child)
        python.chmod(0o700)
    monkeypatch.setattr(spawn.sys, "executable", "" if child == "" else str(python))
    (tmp_path / "a").write_bytes(b"x")
    assert hint in hint_of(stage_in_child, tmp_path / "a", tmp_path / "into")
