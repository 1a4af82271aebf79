"""The sync guide and the architecture say what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import akosha_snap
from akosha_snap.cli.group import COMMANDS
from akosha_snap.integrations.claude_code import plan_install, plan_uninstall

ROOT = Path(akosha_snap.__file__).parents[1]
GUIDE = (ROOT / "docs" / "user" / "AKOSHA_SYNC_GUIDE.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "developer" / "AKOSHA_SYNC_ARCHITECTURE.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")

THEIRS = {"AKOSHA_SKIP_DHARA_REGISTRATION", "AKOSHA_TOOL_PROFILE"}
"""Variables of Akosha's own."""


@pytest.mark.parametrize("page", [GUIDE, ARCHITECTURE, README])
def test_every_variable_is_in_the_table_of_settings(page) -> None:
    table = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    for variable in set(re.findall(r"\bAKOSHA_[A-Z_]+[A-Z]\b", page)) - THEIRS:
        if variable not in {"AKOSHA_CLOUD", "AKOSHA_SYNC_GUIDE", "AKOSHA_SYNC_ARCHITECTURE"}:
            assert f"`{variable}`" in table, variable


def test_the_guide_has_every_setting_of_a_sync() -> None:
    for name in ("CLOUD_BUCKET", "CLOUD_ENDPOINT", "CLOUD_REGION", "SYSTEM_ID", "ENABLE_FALLBACK", "FORCE_METHOD"):
        assert f"| `AKOSHA_{name}` |" in GUIDE
    for name in ("UPLOAD_ON_SESSION_END", "URL", "API_TOKEN"):
        assert f"| `AKOSHA_{name}` |" in GUIDE


@pytest.mark.parametrize("page", [GUIDE, ARCHITECTURE, README])
def test_every_command_is_one(page) -> None:
    for command in re.findall(r"(?:^\$ |`)akosha-snap ([a-z]+)", page, re.MULTILINE):
        assert command in COMMANDS


@pytest.mark.parametrize(("page", "folder"), [(GUIDE, "user"), (ARCHITECTURE, "developer")])
def test_every_link_leads_somewhere(page, folder) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (ROOT / "docs" / folder / target).exists(), target


def test_the_modules_and_tests_that_the_architecture_names_are_there() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", ARCHITECTURE, re.MULTILINE)
    modules = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    there = {path.stem for path in (ROOT / "akosha_snap" / "sync").glob("*.py")} - {"__init__"}
    assert there - modules == {"files", "results"}
    for path in re.findall(r"`(tests/[\w/]+\.py)`", ARCHITECTURE):
        assert (ROOT / path).exists(), path


def test_the_recipe_is_what_install_writes(tmp_path) -> None:
    (recipe,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    edit = plan_install(tmp_path / "settings.json", "akosha-snap hook run")
    assert json.loads(recipe) == json.loads(edit.after or "")
    (tmp_path / "settings.json").write_text(recipe)
    assert json.loads(plan_uninstall(tmp_path / "settings.json").after or "") == {}
