"""A disk that is full from the Nth write on, at every N: the state folder's, the store's, that that of a restore."""

from __future__ import annotations

import shutil

import operations
import pytest
from helpers import noise
from survivors import Site, failed, points
from test_crash_restore import RESTORES, check_target

from akosha_snap import errors, source

DISKS = [("push", "state/"), ("push", "store/"), ("restore", "back"), ("prune", "store/")]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "counting_in_child", operations.counting_here)


def _fill_everywhere(pull, site: Site, operation: str, disk: str, *, every: bool) -> int:
    """Returns how often the disk was filled."""
    old, options = RESTORES["over databases with logs"] if operation == "restore" else ({}, {})
    if operation == "prune":
        options = {"hours": 26}
    if old:
        (site.folder / "back").mkdir()
    for name, data in old.items():
        (site.folder / "back" / name).write_bytes(data)
    site.keep()
    filled = 0
    whole = pull(operation, site.folder, **options)
    assert not whole.error
    for at, how in points(whole.calls, every=every, at_most=5):
        if how == "torn":
            continue
        site.back()
        outcome = pull(operation, site.folder, at, "full", disk, **options)
        try:
            assert outcome.reached
            _check_error(outcome.error)
            site.check_store()
            if operation == "restore":
                check_target(site.folder / "back", site.live(), old)
            getattr(operations, operation)(site.folder, **options)
            if operation == "push":
                site.check_next_push()
        except BaseException as error:
            error.add_note(failed(outcome, at) + f"\n{outcome.error}")
            raise
        filled += 1
    return filled


def _check_error(said: str) -> None:
    """None, where it could do without; else one of ours, that says what is full."""
    kind, _, message = said.partition(": ")
    if said:
        assert issubclass(getattr(errors, kind), errors.AkoshaSnapError)
        assert "no space left" in message.lower()


@pytest.fixture
def site(tmp_path, logged) -> Site:
    site = Site(tmp_path)
    for seed in (1, 2):
        site.write({"notes.bin": noise(200_000, seed)})
        operations.push(site.folder)
    shutil.copytree(logged, site.folder / "live", dirs_exist_ok=True)
    site.write_notes(3)
    return site


def _prepare(site: Site, operation: str) -> None:
    """What must have been there before it: a snapshot to restore, packs that a first prune has marked."""
    if operation != "push":
        operations.push(site.folder)
    if operation == "prune":
        operations.prune(site.folder, hours=1)


@pytest.mark.parametrize(("operation", "disk"), DISKS)
def test_a_full_disk_is_an_error_of_ours_and_harms_nothing(pull, site, operation, disk):
    _prepare(site, operation)
    assert _fill_everywhere(pull, site, operation, disk, every=False) > 2


@pytest.mark.stress
@pytest.mark.parametrize(("operation", "disk"), DISKS)
def test_wherever_it_is_full(pull, site, operation, disk):
    _prepare(site, operation)
    print(_fill_everywhere(pull, site, operation, disk, every=True), "times a full disk,", operation, disk)
