"""What is remembered of syncs, the log, and what `status` makes of them."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from akosha_snap.akosha.results import SendResult
from akosha_snap.config import Settings, load_settings
from akosha_snap.errors import CredentialsError, NothingThereError, SourceError, StaleError
from akosha_snap.sync.log import append, log_path
from akosha_snap.sync.results import SyncResult, failed, failure_of
from akosha_snap.sync.state import SyncRecord, note, note_start, read_state, state_path, under_way
from akosha_snap.sync.status import SyncStatus, complaint, sync_status

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environ={"AKOSHA_SNAP_STATE_DIR": str(tmp_path / "state")})


def record(hours_ago: float, error: Exception | None = None) -> SyncRecord:
    moment = NOW - dt.timedelta(hours=hours_ago)
    failure = failure_of(error) if error else None
    result = failed(failure) if failure else SyncResult(upload_id="20261125T000000Z-00000000")
    return SyncRecord(started_at=moment, finished_at=moment, result=result, failure=failure)


def status(settings: Settings) -> SyncStatus:
    return sync_status(settings, NOW)


def test_never(settings) -> None:
    found = status(settings)
    assert (found.state, found.last, found.age_seconds) == ("never", None, None)
    assert isinstance(complaint(found), NothingThereError)
    assert isinstance(complaint(found, 1e9), NothingThereError)


def test_one_that_worked(settings) -> None:
    note(settings.state_dir, record(3))
    found = status(settings)
    assert (found.state, found.age_seconds) == ("ok", 3 * 3600)
    assert complaint(found) is None
    assert complaint(found, 4 * 3600) is None
    assert isinstance(complaint(found, 2 * 3600), StaleError)


def test_one_that_failed_after_one_that_worked(settings) -> None:
    note(settings.state_dir, record(3))
    note(settings.state_dir, record(1, CredentialsError("refused", hint="log in")))
    found = status(settings)
    assert found.state == "failed"
    assert found.last_success == record(3)
    wrong = complaint(found)
    assert isinstance(wrong, CredentialsError)
    assert (str(wrong), wrong.exit_code) == ("refused; log in", 12)
    assert complaint(found, 4 * 3600) is None
    late = complaint(found, 2 * 3600)
    assert isinstance(late, StaleError)
    assert "3.0 hours ago; the last one failed: refused; log in" in str(late)


def test_one_under_way_and_one_that_was_killed(settings) -> None:
    note(settings.state_dir, record(3))
    with under_way(settings.state_dir):
        note_start(settings.state_dir, NOW)
        found = status(settings)
        assert found.state == "running"
        assert complaint(found) is None
    found = status(settings)  # the lock is gone, and nobody said how it ended
    assert found.state == "killed"
    wrong = complaint(found)
    assert wrong is not None
    assert "was killed before it ended" in str(wrong)
    assert wrong.exit_code == 1
    assert complaint(found, 4 * 3600) is None
    note(settings.state_dir, record(1, SourceError("no")))  # by hand, and in vain
    assert status(settings).state == "killed"
    with under_way(settings.state_dir):
        note(settings.state_dir, record(1))  # by hand: it says nothing of one at work
        assert status(settings).state == "running"
    note(settings.state_dir, record(1))  # by hand, as the hint asks
    assert status(settings).state == "ok"


def test_one_that_akosha_took_nothing_of_did_not_work(settings) -> None:
    note(settings.state_dir, record(3))
    sent = SendResult(success=False, sent=2, failed=2)
    result = SyncResult(method="http", success=False, http=sent)
    note(settings.state_dir, SyncRecord(started_at=NOW, finished_at=NOW, result=result))
    found = status(settings)
    assert (found.state, found.last_success) == ("failed", record(3))
    wrong = complaint(found)
    assert wrong is not None
    assert wrong.exit_code == 3
    assert isinstance(complaint(found, 2 * 3600), StaleError)


def test_no_password_of_a_store_shows(tmp_path) -> None:
    for store in ("s3://b?endpoint=https://u:hunter2@h", "https://u:hunter2@h/b"):
        environ = {"AKOSHA_SNAP_STATE_DIR": str(tmp_path), "AKOSHA_SNAP_STORE": store}
        shown = status(load_settings(environ=environ)).next_store
        assert shown is not None
        assert "hunter2" not in shown


def test_a_disk_without_locks(settings, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    note_start(settings.state_dir, NOW)
    with under_way(settings.state_dir):
        pass
    (settings.state_dir / "sync.lock").touch()
    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(SourceError, match="has no locks"), under_way(settings.state_dir):
        pass
    with pytest.raises(SourceError, match="has no locks"):
        status(settings)


def test_the_file_is_private_and_whole(settings) -> None:
    note(settings.state_dir, record(1))
    assert [path.name for path in settings.state_dir.iterdir()] == ["last-sync.json"]
    if os.name == "posix":
        assert state_path(settings.state_dir).stat().st_mode & 0o777 == 0o600
    assert read_state(settings.state_dir).last == record(1)


def test_what_a_killed_process_left_is_swept(settings) -> None:
    settings.state_dir.mkdir()
    for name in (f".tmp-{'0' * 16}", f".tmp-{'1' * 16}", ".tmp-mine"):
        (settings.state_dir / name).touch()
        os.utime(settings.state_dir / name, (0, 0) if "1" not in name else None)
    note(settings.state_dir, record(1))
    left = sorted(path.name for path in settings.state_dir.iterdir())
    assert left == [f".tmp-{'1' * 16}", ".tmp-mine", "last-sync.json"], "one that may be at work stays"


def test_who_is_alone_makes_up_for_one_that_was_killed(settings) -> None:
    note_start(settings.state_dir, NOW)
    waited: list[bool] = []
    with under_way(settings.state_dir, lambda: waited.append(True)):
        note(settings.state_dir, record(1, SourceError("no")), alone=True)
        assert read_state(settings.state_dir).running_since
        note(settings.state_dir, record(1), alone=True)
        assert read_state(settings.state_dir).running_since is None
    assert not waited


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"last": 3}', b"\xff", b"[]", b'{"last": {"result": {"system_id": "\xff"}}}']
)
def test_a_file_that_is_not_ours(settings, text) -> None:
    settings.state_dir.mkdir()
    state_path(settings.state_dir).write_bytes(text)
    with pytest.raises(SourceError, match=r"last-sync\.json is not what a sync wrote.*remove it"):
        status(settings)
    note(settings.state_dir, record(1))
    assert status(settings).state == "ok"


def test_a_bug_travels_as_a_failure() -> None:
    failure = failure_of(ZeroDivisionError("by zero"))
    assert (failure.kind, failure.message, failure.exit_code) == ("ZeroDivisionError", "ZeroDivisionError: by zero", 1)
    assert failure.error().exit_code == 1


def test_the_log_is_private_bounded_and_blots_out(tmp_path) -> None:
    append(tmp_path, "one hunter2\ntwo", NOW, secret="hunter2")
    lines = log_path(tmp_path).read_text().splitlines()
    assert lines == [f"2026-11-25T12:00:00Z [{os.getpid()}] {text}" for text in ("one ***", "two")]
    if os.name == "posix":
        log_path(tmp_path).chmod(0o644)
        append(tmp_path, "three", NOW)
        assert log_path(tmp_path).stat().st_mode & 0o777 == 0o600
    for number in range(40):
        append(tmp_path, f"{number} " + "x" * 20_000, NOW)
        assert log_path(tmp_path).stat().st_size <= 262_144
    last = log_path(tmp_path).read_text().splitlines()
    assert last[-1].split()[2] == "39"
    assert all(line.startswith("2026-11-25T12:00:00Z [") for line in last)
    append(tmp_path, "y" * 1_000_000, NOW)
    assert log_path(tmp_path).stat().st_size <= 262_144
