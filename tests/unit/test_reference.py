"""The committed reference pages say what the code says."""

from pathlib import Path

import pytest

from outrider.reference import problem_page, settings_page

PAGES = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(("page", "made"), [("settings.md", settings_page), ("problems.md", problem_page)])
def test_the_page_is_what_the_code_says(page, made):
    assert (PAGES / page).read_text() == made(), "run `make docs`"


def test_every_setting_has_a_meaning():
    rows = [line for line in settings_page().splitlines() if line.startswith("| `OUTRIDER_")]
    assert len(rows) > 40
    assert all(not row.endswith("|  |") for row in rows)
