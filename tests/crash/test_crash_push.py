"""kill -9 at every call that changes a disk, of a first push, a session's push and one that finds nothing new."""

from __future__ import annotations

from pathlib import Path

import operations
import pytest
from survivors import Site, failed, points

from akosha_snap import source
from akosha_snap.snapshot import packer
from akosha_snap.source import count_records


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pushes that follow run in this process."""
    monkeypatch.setattr(packer, "PACK_TARGET", operations.PACK)
    monkeypatch.setattr(source, "count_in_child", lambda paths: [count_records(path) for path in paths])


def _ready(tmp_path: Path, memory: Path, which: str) -> Site:
    site = Site(tmp_path)
    site.write_memory(memory)
    if which != "first":
        operations.push(site.folder)
    if which == "session":
        site.write_memory(memory, seed=2)
    site.keep()
    return site


def _pull_everywhere(pull, site: Site, *, every: bool) -> int:
    whole = pull("push", site.folder)
    assert not whole.error
    number = 0
    for number, (at, how) in enumerate(points(whole.calls, every=every), 1):
        site.back()
        outcome = pull("push", site.folder, at, how)
        if not outcome.reached:  # threads: this run made fewer calls
            continue
        try:
            site.check_store()
            site.check_next_push()
        except BaseException as error:
            error.add_note(failed(outcome, (at, how)))
            raise
    return number


@pytest.mark.parametrize("which", ["first", "session", "unchanged"])
def test_the_store_is_whole_and_the_next_push_uses_what_is_there(pull, tmp_path, small_memory, which):
    assert _pull_everywhere(pull, _ready(tmp_path, small_memory, which), every=False) > 5


@pytest.mark.stress
@pytest.mark.parametrize("which", ["first", "session", "unchanged"])
def test_wherever_it_is_killed(pull, tmp_path, memory, which, record_property):
    record_property("points", _pull_everywhere(pull, _ready(tmp_path, memory, which), every=True))
