"""Compiled rules: machine code is kept under the content of all rules."""

from pathlib import Path

import numba

import engine.compiled
from engine.compiled import rule


def test_code_is_kept_under_the_content_of_the_rules():
    assert Path(numba.config.CACHE_DIR).name == f"rules-{engine.compiled._digest()}"


def test_a_rule_runs_as_machine_code():
    @rule
    def double(value):
        return 2 * value

    assert double(21) == 42
    assert double.signatures
