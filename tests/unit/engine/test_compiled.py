"""Compiled rules: machine code is kept under the content of all rules."""

from pathlib import Path

import pytest

import engine.compiled
from engine.compiled import road_rule, rule


@pytest.mark.parametrize(
    ("decorator", "name", "rooms"),
    [(rule, "rules", engine.compiled._ROOMS), (road_rule, "roads", engine.compiled._ROAD_ROOMS)],
)
def test_code_is_kept_under_the_content_of_its_rooms(decorator, name, rooms):
    @decorator
    def same(value):
        return value

    assert f"{name}-{engine.compiled._digest(rooms)}" in Path(same.stats.cache_path).parts


def test_a_rule_runs_as_machine_code():
    @rule
    def double(value):
        return 2 * value

    assert double(21) == 42
    assert double.signatures
