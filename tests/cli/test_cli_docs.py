"""The docs say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import help_pages
import msgspec
import pytest

from akosha_snap import config, errors
from akosha_snap.cli.failure import describe
from akosha_snap.cli.group import COMMANDS

DOCS = help_pages.PAGE.parent
CLI = Path(config.__file__).parent / "cli"


def test_the_help_pages_are_current() -> None:
    assert help_pages.PAGE.read_text() == help_pages.render(), "run: python tests/cli/help_pages.py"


def test_every_command_is_documented_and_a_module_of_its_own() -> None:
    page = help_pages.PAGE.read_text()
    for name in COMMANDS:
        assert f"## akosha-snap {name}\n" in page
    with_command = {path.stem for path in CLI.glob("*.py") if "@click.command(" in path.read_text()}
    assert with_command == {*COMMANDS, "group"}


def test_every_option_has_a_help_and_an_explicit_metavar() -> None:
    for line in help_pages.PAGE.read_text().splitlines():
        if line.startswith("| `--"):
            assert not line.endswith("| None |")


def _exit_code_rows() -> dict[int, str]:
    rows = re.findall(r"^\| (\d+) \|.*\|.*\|(.*)\|$", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    return {int(code): kinds for code, kinds in rows}


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in errors.__all__])
def test_every_error_is_in_the_table_of_exit_codes(kind) -> None:
    rows = _exit_code_rows()
    assert set(rows) == {0, 1, 2, 3, 4, 10, 11, 12, 13, 130, 143}
    failure = describe(kind("x"))
    assert failure.kind in [name.strip() for name in rows[failure.exit_code].split(",")]


def test_every_setting_is_in_the_table() -> None:
    page = (DOCS / "configuration.md").read_text()
    source = Path(config.__file__).read_text() + "".join(path.read_text() for path in CLI.glob("*.py"))
    for variable in set(re.findall(r"AKOSHA_[A-Z_]+[A-Z]", source)):
        assert re.search(rf"^\|.*`{variable}`.*\|$", page, re.MULTILINE), variable
    for field in msgspec.structs.fields(config._File):
        assert re.search(rf"^\|.*\| `{field.name}` \|", page, re.MULTILINE), field.name
