"""Words of the dashboard can be read by people who see little: WCAG 2.2, success criterion 1.4.3."""

import re

import numpy as np
import pytest

from api.dashboard.build import SOURCES

LEAST = 4.5
TOKENS = re.findall(r"(?<=\{)[^}]+", (SOURCES / "src" / "app.css").read_text())[:2]  # of the light and the dark theme
WORDS = ("ink", "ink-soft", "accent", "moving", "stopped", "offline", "bad")


def luminance(colour: str) -> float:
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", TOKENS, ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "paper-soft"])
def test_words_stand_out_from_what_is_behind_them(theme: str, ground: str) -> None:
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", theme))
    assert {word: round(contrast(colours[word], colours[ground]), 2) for word in WORDS if _is_faint(colours, word, ground)} == {}


def _is_faint(colours: dict[str, str], word: str, ground: str) -> bool:
    return contrast(colours[word], colours[ground]) < LEAST


def test_the_numbers_of_stops_stand_out_from_the_colours_of_routes() -> None:
    colours = re.findall(r"#[0-9a-f]{6}", (SOURCES / "src" / "plan" / "colours.ts").read_text().partition("];")[0])
    assert len(colours) == 10
    assert [colour for colour in colours if contrast(colour, "#ffffff") < LEAST] == []
