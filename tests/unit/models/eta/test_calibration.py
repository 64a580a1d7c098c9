"""Ranges that hold what they promise, at once and under drift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.eta.calibration import conformal_offset, fit_calibration, segments_of, tail_scores
from models.eta.online_calibration import OnlineCalibration, OnlineProfile


@given(st.lists(st.floats(-5, 5), min_size=20, max_size=300))
def test_a_tenth_of_the_scores_at_most_passes_the_offset(scores):
    offset = conformal_offset(np.array(scores))
    assert np.mean(np.array(scores) > offset) <= 0.1


def test_each_tail_is_calibrated_by_itself():
    draw = np.random.default_rng(1)
    quantiles = np.tile([-0.1, 0.0, 0.1], (5_000, 1))
    actual = np.where(draw.random(5_000) < 0.5, -np.abs(draw.normal(0, 0.1, 5_000)), draw.exponential(0.5, 5_000))
    scores = tail_scores(quantiles, actual)
    low, high = fit_calibration(scores, np.zeros(5_000, int)).whole
    assert np.mean(actual < -0.1 - low) == pytest.approx(0.1, abs=0.005)
    assert np.mean(actual > 0.1 + high) == pytest.approx(0.1, abs=0.005)


def test_a_segment_with_few_legs_takes_its_distance_bands_score():
    segments = np.array([0] * 300 + [3] * 10 + [1] * 300)
    scores = np.concatenate([np.full((300, 2), 0.1), np.full((10, 2), 9.0), np.full((300, 2), 0.4)])
    calibration = fit_calibration(scores, segments)
    assert calibration.of(np.array([0]))[0, 0] == pytest.approx(0.1)
    assert calibration.of(np.array([3]))[0, 0] == pytest.approx(0.1)
    assert calibration.of(np.array([1]))[0, 0] == pytest.approx(0.4)


def test_segments_know_night_and_distance():
    hour = np.array([3.0, 6.99, 7.0, 16.0, 23.0])
    np.testing.assert_array_equal(
        segments_of(hour, np.array([100.0, 100.0, 2_000.0, 9_000.0, 1_500.0])), [12, 12, 1, 8, 13]
    )


def coverage_under_drift(online, draw, drift):
    """Play outcomes whose spread grows, and return the coverage."""
    inside = 0
    for spread in drift:
        below, above = online.margins()
        actual = draw.normal(0, spread)
        inside += -1.28 - below <= actual <= 1.28 + above
        online.observe(-1.28 - actual, actual - 1.28)
    return inside / len(drift)


def test_coverage_holds_while_the_world_drifts():
    online = OnlineCalibration(OnlineProfile(window=1_000, step=0.01))
    assert coverage_under_drift(online, np.random.default_rng(1), np.linspace(1, 3, 8_000)) == pytest.approx(
        0.8, abs=0.02
    )
    assert online.outcomes == 8_000
    assert sum(online.missed) == pytest.approx(1_600, rel=0.1)


def test_an_hour_that_is_wilder_than_the_rest_gets_a_range_of_its_own():
    online, draw = OnlineCalibration(), np.random.default_rng(2)
    inside = {0: [], 12: []}
    for number in range(6_000):
        segment, spread = ((0, 2.0), (12, 0.7))[number % 2]
        below, above = online.margins(segment)
        actual = draw.normal(0, spread * 0.2)
        inside[segment].append(-0.25 - below <= actual <= 0.25 + above)
        online.observe(-0.25 - actual, actual - 0.25, segment)
    for hits in inside.values():
        assert np.mean(hits[3_000 // 2 :]) == pytest.approx(0.8, abs=0.04)


def test_it_begins_with_what_training_left():
    online = OnlineCalibration()
    online.seed(np.full((500, 2), 0.25))
    assert online.margins() == (0.25, 0.25)
    assert not online.is_confident


def test_without_any_score_it_adds_nothing():
    assert OnlineCalibration().margins() == (0.0, 0.0)
