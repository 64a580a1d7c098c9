"""The bench of solvers: every solver's plan of the same instance, each measured against the best that is known."""

from pathlib import Path

import pytest
from rich.console import Console

from bench.solve import SolveOptions, measure_solve
from engine.routing.search import ENGINES
from models.errors import InvalidInput

DATA = Path(__file__).parents[2] / "data" / "vrp"


def options(folder, **changes):
    known = {"seconds": 1.0, "peers": ["pyvrp", "ortools"], "cores": 1, "sample": None, "seeds": 1}
    return SolveOptions(folder, **known | {"engines": ENGINES, "vehicles_first": None} | changes)


def test_all_solvers_find_the_same_best_of_a_little_instance():
    figures = measure_solve(options(DATA, names=["little"]), console=Console(quiet=True))
    gaps = figures["sets"]["vrp"]
    assert gaps["ours"] == gaps["pyvrp"] == gaps["ortools"] == round(96 / 84 - 1, 6)
    assert (figures["instances"], figures["ties"], figures["wins"], figures["losses"]) == (1, 1, 0, 0)
    assert figures["unsolved"] == {"ours": 0, "pyvrp": 0, "ortools": 0}
    assert figures["infeasible"] == 0
    assert figures["rss_mib"] > 0


def test_a_folder_without_known_values_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="best known"):
        measure_solve(options(tmp_path), console=Console(quiet=True))
