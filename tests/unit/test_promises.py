"""docs/guarantees.md, threat-model.md and verify.md: every test they name is there, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_TEST = re.compile(r"`(test_\w+\.py)(?:::(test_\w+))?")
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", ["guarantees.md", "threat-model.md"])
def test_every_promise_names_a_test_that_exists(name: str) -> None:
    named = _TEST.findall((ROOT / "docs" / name).read_text("utf-8"))
    assert len(named) > 20
    for file, test in named:
        (path,) = (ROOT / "tests").rglob(file)
        assert not test or re.search(rf"^ *(async )?def {test}\(", path.read_text("utf-8"), re.MULTILINE), (file, test)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in _LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_leads_to_every_page() -> None:
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in _LINK.findall(page.read_text("utf-8")):
            found = (page.parent / target).resolve()
            if found.suffix == ".md":
                left.append(found)
    assert reached >= set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_figure_is_left_to_be_filled_in(page: Path) -> None:
    assert not re.findall(r"@[A-Z]+@|\b(?:TODO|TBD|HANDOVER|PUSHES)\b", page.read_text("utf-8"))
