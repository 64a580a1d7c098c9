"""Matrices of predicted times for plans."""

import itertools

import numpy as np
import pytest

from models.errors import InvalidInput
from models.eta.base_time import PACES, base_matrices
from models.eta.matrices import predicted_times, quantile_of
from tests.legs import a_bundle

PLACES = np.array([[41.15, -8.61], [41.16, -8.63], [41.14, -8.60], [41.15, -8.61]])
MORNING_MS, NIGHT_MS = 1_750_060_800_000, 1_750_032_000_000  # a Monday at 8 and at 0 UTC


def times(moment_ms, quantile=0.5):
    metres, seconds = base_matrices(PLACES[:, 0], PLACES[:, 1], PACES["van"])
    return predicted_times(a_bundle().predict, PLACES, seconds, metres, moment_ms, quantile)


def test_a_matrix_knows_the_rush_hour_and_that_here_is_here():
    morning, night = times(MORNING_MS), times(NIGHT_MS)
    away = ~np.eye(4, dtype=bool) & (night > 0)
    assert (morning[away] > night[away]).all()
    assert (np.diag(morning) == 0).all()
    assert morning[0, 3] == morning[3, 0] == 0


def test_a_higher_quantile_is_never_shorter():
    steps = [times(MORNING_MS, quantile) for quantile in (0.1, 0.3, 0.5, 0.8, 0.9)]
    assert all((later >= sooner).all() for sooner, later in itertools.pairwise(steps))


def test_a_way_that_does_not_exist_stays_away():
    seconds = np.array([[0.0, np.inf], [300.0, 0.0]])
    found = predicted_times(a_bundle().predict, PLACES[:2], seconds, seconds * 10, MORNING_MS)
    assert np.isinf(found[0, 1])
    assert np.isfinite(found[1, 0])


def test_the_three_levels_are_themselves():
    predicted = np.array([[100.0, 200.0, 500.0]])
    assert [float(quantile_of(predicted, level)[0].round(6)) for level in (0.1, 0.5, 0.9)] == [100.0, 200.0, 500.0]


@pytest.mark.parametrize("quantile", [0.05, 0.95, float("nan")])
def test_what_the_model_does_not_know_is_refused(quantile):
    with pytest.raises(InvalidInput):
        quantile_of(np.array([[100.0, 200.0, 500.0]]), quantile)
