"""kill -9 at every call that changes a disk, of both steps of a prune."""

from __future__ import annotations

from pathlib import Path

import operations
import pytest
from helpers import noise
from operations import SYSTEM
from survivors import Site, failed, points

from akosha_snap.manifest.keys import own_prefix, prune_prefix
from akosha_snap.stores import list_all

STEPS = pytest.mark.parametrize("hours", [1, 26], ids=["marks", "deletes"])


def _ready(tmp_path: Path, hours: float) -> Site:
    """Three snapshots; the first two have packs of their own, and for the second step are pruned already."""
    site = Site(tmp_path)
    for seed in range(3):
        site.write({"notes.bin": noise(40_000, "all") + noise(200_000, seed)})
        operations.push(site.folder)
    if hours > 24:
        operations.prune(site.folder, hours=1)
    site.keep()
    return site


def _objects(site: Site) -> set[str]:
    marks = prune_prefix(SYSTEM)
    return {info.key for info in list_all(site.store, own_prefix(SYSTEM)) if not info.key.startswith(marks)}


def _pull_everywhere(pull, tmp_path: Path, hours: float, *, every: bool) -> int:
    """Returns how often the plug was pulled."""
    site = _ready(tmp_path, hours)
    whole = pull("prune", site.folder, hours=hours)
    assert not whole.error
    wanted = _objects(site)
    pulled = 0
    for at, how in points(whole.calls, every=every, at_most=6):
        site.back()
        outcome = pull("prune", site.folder, at, how, hours=hours)
        if not outcome.reached:
            continue
        try:
            kept = site.check_store()
            operations.prune(site.folder, hours=hours)
            assert site.check_store() == kept[-1:]
            operations.prune(site.folder, hours=hours + 25)
            assert site.check_store() == kept[-1:]
            if hours > 24:
                assert _objects(site) == wanted, "the same is gone as without a crash"
            site.check_next_push()
        except BaseException as error:
            error.add_note(failed(outcome, (at, how)))
            raise
        pulled += 1
    return pulled


@STEPS
def test_every_snapshot_that_is_left_is_whole_and_the_next_prune_goes_on(pull, tmp_path, hours):
    assert _pull_everywhere(pull, tmp_path, hours, every=False) > 2


@pytest.mark.stress
@STEPS
def test_wherever_it_is_killed(pull, tmp_path, hours):
    print(_pull_everywhere(pull, tmp_path, hours, every=True), "points of a prune,", hours)
