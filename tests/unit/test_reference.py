"""The committed reference pages say what the code says."""

import re
from pathlib import Path

import pytest

from outrider.reference import PAGES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
COMMAND = re.compile(r"`outrider ([a-z][-a-z]+)(?: ([a-z][-a-z]+))?")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_what_the_code_says(page):
    assert (FOLDER / page).read_text() == PAGES[page](), "run `make docs`"


def test_every_setting_has_a_meaning():
    rows = [line for line in PAGES["settings.md"]().splitlines() if line.startswith("| `OUTRIDER_")]
    assert len(rows) > 40
    assert all(not row.endswith("|  |") for row in rows)


def test_every_command_that_the_documentation_names_is_there():
    listed = set(re.findall(r"^#+ `outrider ([a-z][- a-z]*)`", PAGES["commands.md"](), re.MULTILINE))
    groups = {name.split()[0] for name in listed if " " in name}
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    named = [words for page in pages for words in COMMAND.findall(page.read_text())]
    told = {f"{name} {sub}" if sub and name in groups else name for name, sub in named}
    assert len(told) > 20
    assert told <= listed
