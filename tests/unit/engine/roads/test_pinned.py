"""Ways of those who move on, each to or from a place that stays: what is gone on with says what is found anew."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.roads.pinned import Journeys, PinnedWays
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules

VANS, STEPS = 12, 25


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    town = grid_town(size=7)
    return town, town.network(tmp_path_factory.mktemp("pinned"))


def state_of(network, draws):
    closed = draws.random(network.arc_count) < 0.1
    return network.weights("car", draws.uniform(0.5, 5, network.arc_count), closed)


def moved(places, draws):
    """Most go on some metres, some stay, some are elsewhere at once, also off the roads."""
    places = places + np.where(draws.random(VANS) < 0.8, 1.0, 0.0) * draws.normal(0, 40, (2, VANS))
    away = draws.random(VANS) < 0.1
    return np.where(away, draws.uniform(-800, 1400, (2, VANS)), places)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_ways_gone_on_with_are_those_found_anew(grid, seed, is_to_pinned):
    """Whoever moves however, whatever is closed or slow, whenever a place that stays is another after all."""
    town, network = grid
    draws = np.random.default_rng(seed)
    states = [state_of(network, draws) for _ in range(2)]
    pinned = PinnedWays(network)
    moving, staying = draws.uniform(-20, 620, (2, 2, VANS))
    state = states[0]
    for _ in range(STEPS):
        moving = moved(moving, draws)
        staying = np.where(draws.random(VANS) < 0.1, draws.uniform(-20, 620, (2, VANS)), staying)
        state = states[draws.integers(2)] if draws.random() < 0.1 else state
        near, far = (np.array(town.at(1, *place)) for place in (moving, staying))
        start, end = (near, far) if is_to_pinned else (far, near)
        rows = np.where(draws.random(VANS) < 0.9, np.arange(VANS), -1)
        found = pinned.ways(tuple(start), tuple(end), state, Journeys(rows, is_to_pinned))
        anew = [network.snap(*places, weights=state) for places in (start, end)]
        for mine, theirs in zip(found[:2], anew, strict=True):
            for field in dataclasses.fields(theirs):
                assert np.array_equal(getattr(mine, field.name), getattr(theirs, field.name), equal_nan=True)
        assert found[2].tolist() == np.diag(network.snapped_matrix(*anew, state)).tolist()
        assert found[2].tolist() == network.snapped_ways(*anew, state).tolist()


def test_what_is_kept_has_a_limit_beyond_which_ways_are_found_anew(grid):
    town, network = grid
    pinned, state = PinnedWays(network, most_bytes=1), network.free_flow("car")
    start, end = (np.array(town.at(node, np.array([30.0, 60.0]), np.array([5.0, 130.0]))) for node in (1, 35))
    for _ in range(2):
        found = pinned.ways(tuple(start), tuple(end), state, Journeys(np.array([0, 5]), is_to_pinned=True))
        anew = network.snapped_ways(network.snap(*start), network.snap(*end), state)
        assert found[2].tolist() == anew.tolist()
