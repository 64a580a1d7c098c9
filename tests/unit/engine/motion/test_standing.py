"""Where a driver is taken to stand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.motion.standing import stood_at
from models.geo import METRES_PER_DEGREE, distances_m

HERE = (41.15, -8.61)


def at(north_m, east_m):
    lat = HERE[0] + np.asarray(north_m) / METRES_PER_DEGREE
    return lat, HERE[1] + np.asarray(east_m) / (METRES_PER_DEGREE * np.cos(np.radians(HERE[0])))


def speeds(*values):
    return np.array(values, np.float32)


@given(st.integers(0, 2**32 - 1))
def test_a_parked_receivers_place_is_known_better_than_its_fixes_tell(seed):
    rng = np.random.default_rng(seed)
    lat, lon = at(rng.uniform(-6.0, 6.0, 40), rng.uniform(-6.0, 6.0, 40))
    found = stood_at(np.full(40, 0.2, np.float32), lat, lon)
    assert distances_m(found[0][-1], found[1][-1], *HERE) < 4.0


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500), st.floats(0.7, 40.0)), min_size=1, max_size=20))
def test_one_that_says_it_rolls_is_where_its_fix_is(fixes):
    north, east, rolling = zip(*fixes, strict=True)
    lat, lon = at(north, east)
    found = stood_at(speeds(*rolling), lat, lon)
    assert np.array_equal(found[0], lat)
    assert np.array_equal(found[1], lon)


def test_one_without_a_speed_has_moved_once_its_fix_is_elsewhere():
    lat, lon = at([0, 4, -4, 60, 62], [0, 0, 0, 0, 0])
    found, _ = stood_at(speeds(*[np.nan] * 5), lat, lon)
    north_m = (found - HERE[0]) * METRES_PER_DEGREE
    assert np.allclose(north_m, [0, 2, 0, 60, 61], atol=0.1)
