"""Quantiles along a plan: they never fall, honour windows, and grow less than their sum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.eta.chain import arrivals_along
from models.eta.spread import Spread

SECONDS = st.floats(0, 7200)
NOW_MS = 1_750_000_000_000


@st.composite
def plans(draw):
    """Return the arguments of a few drivers' plans."""
    counts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    size = sum(counts)
    legs = np.sort(np.array([draw(st.tuples(SECONDS, SECONDS, SECONDS)) for _ in range(size)]), axis=1)
    service = np.sort(np.array([draw(st.tuples(*[st.floats(0, 900)] * 3)) for _ in range(size)]), axis=1)
    opens = np.array([draw(st.sampled_from([0, NOW_MS + 600_000, NOW_MS + 7_200_000])) for _ in range(size)])
    begins = np.array([NOW_MS + draw(st.integers(0, 600_000)) for _ in counts])
    parts = {name: draw(st.floats(0, 1)) for name in ("correlation", "service_correlation", "lift", "service_lift")}
    spread = Spread(**parts, low=draw(st.floats(0.2, 3)), high=draw(st.floats(0.2, 3)))
    return begins, np.array(counts), legs, service, opens, np.tile(spread.row(), (len(counts), 1))


@given(plans())
def test_quantiles_never_fall_and_windows_are_honoured(plan):
    begins, counts, legs, service, opens, spread = plan
    reached = arrivals_along(begins, counts, legs, service, opens, spread)
    assert (np.diff(reached, axis=1) >= 0).all()
    assert (reached >= opens[:, None]).all()
    assert (reached >= np.repeat(begins, counts)[:, None]).all()


@given(plans())
def test_the_middle_is_never_before_what_adding_up_gives_where_times_lean_to_the_long_side(plan):
    begins, counts, legs, service, opens, spread = plan
    for times in (legs, service):
        times[:, 0] = np.maximum(times[:, 0], 2 * times[:, 1] - times[:, 2])
    reached = arrivals_along(begins, counts, legs, service, opens, spread)
    place = 0
    for begin, count in zip(begins, counts, strict=True):
        clock = float(begin)
        for at in range(place, place + count):
            clock = max(clock + legs[at, 1] * 1000, opens[at])
            assert reached[at, 1] > clock - 10
            clock += service[at, 1] * 1000
        place += count


@given(plans())
def test_the_middle_is_what_adding_up_gives_where_all_errs_as_one(plan):
    begins, counts, legs, service, opens, spread = plan
    spread[:, [0, 2]] = 1.0
    reached = arrivals_along(begins, counts, legs, service, opens, spread)
    place = 0
    for begin, count in zip(begins, counts, strict=True):
        clock = float(begin)
        for at in range(place, place + count):
            clock = max(clock + legs[at, 1] * 1000, opens[at])
            assert abs(reached[at, 1] - clock) < 10
            clock += service[at, 1] * 1000
        place += count


@pytest.mark.parametrize("stops", [1, 3, 12, 30])
def test_half_of_all_drives_reach_a_far_stop_by_the_middle(stops):
    random = np.random.default_rng(stops)
    legs = random.lognormal(np.log(400), 0.4, (20_000, stops))
    services = random.lognormal(np.log(240), 0.53, (20_000, stops))
    told = np.tile(np.quantile(legs, [0.1, 0.5, 0.9]), (stops, 1))
    reached = arrivals_along(
        np.array([NOW_MS]),
        np.array([stops]),
        told,
        np.tile(np.quantile(services, [0.1, 0.5, 0.9]), (stops, 1)),
        np.zeros(stops, np.int64),
        Spread(0.0, service_correlation=0.0).row()[None],
    )
    by_then = legs.sum(axis=1) + services[:, :-1].sum(axis=1) <= (reached[-1, 1] - NOW_MS) / 1000
    assert 0.45 < by_then.mean() < 0.55


@given(st.integers(2, 6), st.floats(0, 1))
def test_a_sum_is_narrower_than_the_sum_of_its_ranges(count, correlation):
    legs = np.tile([300.0, 600.0, 1200.0], (count, 1))
    nothing = np.zeros((count, 3))
    reached = arrivals_along(
        np.array([NOW_MS]), np.array([count]), legs, nothing, np.zeros(count, np.int64), Spread(correlation).row()[None]
    )
    late_s = (reached[-1, 2] - reached[-1, 1]) / 1000
    assert 600 - 1 <= late_s <= 600 * count + 1


def test_waiting_swallows_what_an_early_or_late_leg_did():
    legs = np.array([[100.0, 200.0, 400.0], [50.0, 50.0, 50.0]])
    opens = np.array([NOW_MS + 3_600_000, 0])
    reached = arrivals_along(np.array([NOW_MS]), np.array([2]), legs, np.zeros((2, 3)), opens, Spread().row()[None])
    assert reached[1].tolist() == [NOW_MS + 3_650_000] * 3
