"""The running residual between trainings."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.eta.residuals import ResidualProfile, RunningResidual

HOUR_MS = 3_600_000
PROFILE = ResidualProfile(window_s=6 * 3600, most=50, shrink=10, least=3, limit=5)


def plainly(finishes, moment_ms, profile=PROFILE):
    """The definition, word for word."""
    newest = sorted(finishes, key=lambda entry: entry[0])[-profile.most :]
    inside = [value for time, value in newest if moment_ms - profile.window_s * 1000 <= time < moment_ms]
    if len(inside) < profile.least:
        return 0.0
    return len(inside) * statistics.median(inside) / (len(inside) + profile.shrink)


@given(
    st.lists(st.tuples(st.integers(0, 20 * HOUR_MS), st.floats(-1, 1)), max_size=80, unique_by=lambda entry: entry[0]),
    st.lists(st.integers(0, 30 * HOUR_MS), min_size=1, max_size=8),
)
def test_it_is_the_shrunk_median_of_the_newest_finishes(finishes, moments):
    running = RunningResidual(PROFILE)
    for time, value in sorted(finishes):
        running.observe(["a"], time, value)
    for moment in moments:
        if moment >= max((time for time, _ in finishes), default=0):
            assert running.shift(["a"], moment) == pytest.approx(plainly(finishes, moment))


@given(st.lists(st.tuples(st.integers(0, HOUR_MS), st.floats(-1, 1)), max_size=40, unique_by=lambda e: e[0]))
def test_the_order_in_which_finishes_are_heard_does_not_matter(finishes):
    forward, backward = RunningResidual(PROFILE), RunningResidual(PROFILE)
    for time, value in sorted(finishes):
        forward.observe(["a"], time, value)
    for time, value in sorted(finishes, reverse=True):
        backward.observe(["a"], time, value)
    assert forward.shift(["a"], 2 * HOUR_MS) == pytest.approx(backward.shift(["a"], 2 * HOUR_MS))


def test_a_finish_of_the_same_instant_or_later_is_not_known_yet():
    running = RunningResidual(PROFILE)
    for number in range(5):
        running.observe(["a"], 1000 + number, 0.5)
    assert running.shift(["a"], 1000) == 0.0
    assert running.count("a", 1003) == 3


def test_it_is_silent_where_finishes_are_few():
    running = RunningResidual(PROFILE)
    running.observe(["a"], 0, 0.5)
    running.observe(["a"], 1, 0.5)
    assert running.shift(["a"], 2) == 0.0


def test_an_area_is_drawn_to_its_tenant():
    running = RunningResidual(PROFILE)
    for number in range(40):
        running.observe(["a"], number, 0.0)
    for number in range(5):
        running.observe(["a", "a/1"], 40 + number, 0.6)
    assert 0.0 < running.shift(["a", "a/1"], 100) < 0.6
    assert running.shift(["a"], 100) == pytest.approx(0.0)


def test_what_is_old_is_forgotten():
    running = RunningResidual(PROFILE)
    for number in range(20):
        running.observe(["a"], number, 0.5)
    assert running.shift(["a"], 7 * HOUR_MS) == 0.0
    running.forget(7 * HOUR_MS)
    assert running.count("a", 7 * HOUR_MS) == 0


def test_it_never_more_than_doubles_or_halves_a_time():
    running = RunningResidual(ResidualProfile(least=1))
    for number in range(50):
        running.observe(["a"], number, 9.0)
    assert running.shift(["a"], 100) == 0.7
