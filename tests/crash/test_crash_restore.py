"""kill -9 at every call that changes a disk, of a restore into a new folder and over other files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import operations
import pytest
from survivors import Site, failed, points

OLD = {"a.duckdb": b"old a", "a.duckdb.wal": b"old log of a", "b.duckdb": b"old b", "b.duckdb.wal": b"old log of b"}
RESTORES: dict[str, tuple[dict[str, bytes], dict[str, Any]]] = {
    "into a new folder": ({}, {}),
    "of a database and its log": ({}, {"file": "a.duckdb"}),
    "over a database without a log": ({"a.duckdb": b"old a"}, {"force": True}),
    "over databases with logs": (OLD, {"force": True}),
}


def check_target(back: Path, new: dict[str, bytes], old: dict[str, bytes]) -> None:
    """Each file is the new one or the old one, whole; the old ones are safe; no database is beside another's log."""
    found = {path.name: path.read_bytes() for path in back.glob("[!.]*")}
    aside = {name.rpartition(".replaced-")[0]: found.pop(name) for name in list(found) if ".replaced-" in name}
    for name, data in found.items():
        assert data in {new.get(name), old.get(name)}, f"{name} is half done"
    for name, data in old.items():
        assert new.get(name) == found.get(name) != data or data in {found.get(name), aside.get(name)}, f"{name} is lost"
    for name in {name for name in found if f"{name}.wal" in found}:
        pairs = [(each.get(name), each.get(f"{name}.wal")) for each in (new, old)]
        assert (found[name], found[f"{name}.wal"]) in pairs, f"{name} is beside another's log"


def _pull_everywhere(pull, tmp_path: Path, live: Path, which: str, *, every: bool) -> int:
    """Returns how often the plug was pulled."""
    old, options = RESTORES[which]
    site = Site(tmp_path)
    shutil.copytree(live, site.folder / "live", dirs_exist_ok=True)
    new = {name: data for name, data in site.live().items() if name.startswith(options.get("file", ""))}
    operations.push(site.folder)
    back = site.folder / "back"
    if old:
        back.mkdir()
    for name, data in old.items():
        (back / name).write_bytes(data)
    site.keep()
    whole = pull("restore", site.folder, **options)
    assert not whole.error
    pulled = 0
    for at, how in points(whole.calls, every=every, at_most=6):
        site.back()
        outcome = pull("restore", site.folder, at, how, **options)
        if not outcome.reached:
            continue
        try:
            check_target(back, new, old)
            operations.restore(site.folder, **options)
            assert {path.name: path.read_bytes() for path in back.glob("[!.]*") if ".replaced-" not in path.name} == new
        except BaseException as error:
            error.add_note(failed(outcome, (at, how)))
            raise
        pulled += 1
    return pulled


@pytest.mark.parametrize("which", ["into a new folder", "over databases with logs"])
def test_no_file_is_half_done_and_the_same_restore_goes_on(pull, tmp_path, logged, which):
    assert _pull_everywhere(pull, tmp_path, logged, which, every=False) > 2


@pytest.mark.stress
@pytest.mark.parametrize("which", RESTORES)
def test_wherever_it_is_killed(pull, tmp_path, logged, which):
    print(_pull_everywhere(pull, tmp_path, logged, which, every=True), "points of a restore", which)
