"""kill -9 at every call that changes a disk, of a first push, a session's push and one that finds nothing new."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import operations
import pytest
from survivors import Site, failed, points

from akosha_snap import source

PUSHES = pytest.mark.parametrize("which", ["first", "session", "unchanged"])


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pushes that follow run in this process."""
    monkeypatch.setattr(source, "counting_in_child", operations.counting_here)


def _ready(tmp_path: Path, which: str, memory: Path | None = None) -> Site:
    site = Site(tmp_path)
    write = partial(site.write_memory, memory) if memory else site.write_notes
    write()
    if which != "first":
        operations.push(site.folder)
    if which == "session":
        write(2)
    site.keep()
    return site


def _pull_everywhere(pull, site: Site, *, every: bool, times: int = 1) -> int:
    """Returns how often the plug was pulled; `times` one after another, each at the same call of its own push."""
    whole = pull("push", site.folder)
    assert not whole.error
    pulled = 0
    for at, how in points(whole.calls, every=every, at_most=10):
        site.back()
        for _ in range(times):
            outcome = pull("push", site.folder, at, how)
        if not outcome.reached and times == 1:  # its threads needed fewer calls this time
            continue
        try:
            site.check_store()
            site.check_next_push()
        except BaseException as error:
            error.add_note(failed(outcome, (at, how)))
            raise
        pulled += 1
    return pulled


@PUSHES
def test_the_store_is_whole_and_the_next_push_uses_what_is_there(pull, tmp_path, which):
    assert _pull_everywhere(pull, _ready(tmp_path, which), every=False) > 2


@pytest.mark.stress
@PUSHES
def test_wherever_it_is_killed(pull, tmp_path, memory, which):
    print(_pull_everywhere(pull, _ready(tmp_path, which, memory), every=True), "points of a push,", which)


@pytest.mark.stress
@pytest.mark.parametrize("which", ["first", "session"])
def test_killed_twice(pull, tmp_path, which):
    site = _ready(tmp_path, which)
    print(_pull_everywhere(pull, site, every=True, times=2), "points at which a push is killed twice,", which)
