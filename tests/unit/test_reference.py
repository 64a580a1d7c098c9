"""The committed reference pages say what the code says."""

from pathlib import Path

import pytest

from outrider.reference import PAGES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_what_the_code_says(page):
    assert (FOLDER / page).read_text() == PAGES[page](), "run `make docs`"


def test_every_setting_has_a_meaning():
    rows = [line for line in PAGES["settings.md"]().splitlines() if line.startswith("| `OUTRIDER_")]
    assert len(rows) > 40
    assert all(not row.endswith("|  |") for row in rows)
