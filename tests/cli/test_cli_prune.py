"""`akosha-snap prune`: what it keeps, refuses and frees, as the user sees it."""

from __future__ import annotations

import datetime as dt
import os
import random
import shutil
from pathlib import Path

import pytest

import akosha_snap

NOON = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def _forty_days(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("forty-days")
    data = folder / "notes.bin"
    for day in range(40):
        data.write_bytes(random.Random(day).randbytes(20_000))
        os.utime(data, (1_700_000_000 + day,) * 2)
        moment = NOON + dt.timedelta(days=day)
        url = str(folder / "store")
        akosha_snap.push([data], url, system_id="test", stage_in_child=False, now=lambda moment=moment: moment)
    return folder / "store"


@pytest.fixture
def forty_days(store, _forty_days) -> list[str]:
    """A snapshot a day, of contents that share nothing; their upload ids, the newest first."""
    shutil.copytree(_forty_days, store)
    return sorted((path.name for path in (store / "systems" / "test").iterdir()), reverse=True)


def size(store: Path) -> int:
    """Bytes on disk but for the marks of prune."""
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file() and path.parent.name != "prune")


def there(cli) -> list[str]:
    return [snapshot["upload_id"] for snapshot in cli("list", "--json").json["snapshots"]]


@pytest.mark.parametrize(
    ("rules", "days_ago"),
    [
        (["--keep-last", "2"], [0, 1]),
        (["--keep-daily", "3"], [0, 1, 2]),
        (["--keep-weekly", "3"], [0, 6, 13]),  # the newest is of a Saturday
        (["--keep-monthly", "5"], [0, 10]),
        (["--keep-within", "3d"], [0, 1, 2, 3]),
        (["--keep-within", "90m"], [0]),
        (["--keep-last", "1", "--keep-daily", "2", "--keep-weekly", "2", "--keep-monthly", "2"], [0, 1, 6, 10]),
    ],
)
def test_each_rule_keeps_what_it_names_and_the_newest(cli, forty_days, rules, days_ago):
    kept = {forty_days[days] for days in days_ago}
    dry = cli("prune", *rules, "--dry-run")
    assert dry.code == 0
    assert f"{40 - len(kept)} snapshots would be dropped, {len(kept)} kept" in dry.out
    assert {line.split()[1] for line in dry.out.splitlines() if line.startswith("keep ")} == kept
    assert len(there(cli)) == 40
    done = cli("prune", *rules)
    assert done.code == 0
    assert f"{40 - len(kept)} snapshots dropped, {len(kept)} kept" in done.out
    assert set(there(cli)) == kept
    assert cli("verify", "all", "--level", "data").code == 0


def test_it_frees_what_it_says_in_two_steps(cli, store, forty_days):
    before = size(store)
    first = cli("prune", "--keep-last", "2", "--json").json
    assert first["bytes_freed"] == before - size(store)
    assert first["packs_deleted"] == 0
    assert first["packs_waiting"] > 30  # chunk lists need a few of those before them
    before = size(store)
    second = cli("prune", "--keep-last", "2", "--grace", "0s", "--no-push-running", "--json").json
    assert second["packs_deleted"] == first["packs_waiting"]
    assert second["bytes_freed"] == before - size(store) > second["packs_deleted"] * 20_000
    assert cli("verify", "all", "--level", "data").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no rule says which snapshots to keep"),
        (["--keep-last", "0"], 2, "no rule says"),
        (["--keep-within", "0d"], 2, "no rule says"),
        (["--keep-last", "-1"], 2, "--keep-last"),
        (["--keep-within", "30"], 2, "not a duration"),
        (["--keep-last", "1", "--grace", "23h"], 2, "--no-push-running"),
        (["--keep-last", "1", "--system-id", "other"], 10, "nothing was deleted"),
        (["--keep-last", "1", "--store", "elsewhere"], 10, "no store at"),
    ],
)
def test_what_it_refuses_changes_nothing(cli, store, forty_days, arguments, code, words):
    before = size(store)
    done = cli("prune", *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.error
    assert size(store) == before
    assert len(there(cli)) == 40


@pytest.mark.parametrize("rule", [["--keep-within", "999999999w"], ["--keep-last", "1", "--grace", "999999999w"]])
def test_a_duration_beyond_all_calendars(cli, store, rule):
    done = cli("prune", *rule)
    assert done.code == 2
    assert "longer than 1,000 years" in done.error
