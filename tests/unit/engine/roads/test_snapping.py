"""The nearest road is the nearest of all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.roads.snapping import METRES_PER_UNIT, lay_grid, snap_points

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules

SEGMENTS, POINTS, LIMIT_M = 40, 200, 500.0
CORNER = np.array([411_500_000, -86_100_000])  # stored units
ACROSS = 400_000  # 4 km and some: twenty cells


def a_city(draws):
    """Short and long streets of two to four points, anywhere."""
    sizes = draws.integers(2, 5, SEGMENTS)
    begins = np.repeat(draws.integers(0, ACROSS, (SEGMENTS, 2)), sizes, axis=0)
    points = CORNER + begins + draws.normal(0, 15_000, begins.shape).astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    lat, lon = points.T.astype(np.int32)
    return lat, lon, ends


def nearest_m(lat, lon, ends, is_open, latitude, longitude):
    """Return the distance to the nearest open piece: every one is looked at."""
    segment = np.repeat(np.arange(SEGMENTS), np.diff(ends))
    pieces = np.flatnonzero((segment[:-1] == segment[1:]) & is_open[segment[:-1]])
    squeeze = np.cos(np.radians(latitude))
    x, y = (lon / 1e7 - longitude) * 1e7 * squeeze * METRES_PER_UNIT, (lat / 1e7 - latitude) * 1e7 * METRES_PER_UNIT
    begin, along = np.stack([x, y], 1)[pieces], np.stack([np.diff(x), np.diff(y)], 1)[pieces]
    share = np.clip(-(begin * along).sum(1) / np.maximum((along**2).sum(1), 1e-12), 0, 1)
    return np.hypot(*(begin + share[:, None] * along).T).min(initial=np.inf)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.98))
def test_no_road_is_nearer_than_the_one_that_is_found(seed, closed):
    draws = np.random.default_rng(seed)
    lat, lon, ends = a_city(draws)
    is_open = draws.random(SEGMENTS) >= closed
    places = (CORNER + draws.uniform(-60_000, ACROSS + 60_000, (POINTS, 2))) / 1e7
    arrays = {"point_lat": lat, "point_lon": lon, "point_m": np.zeros(lat.size, np.float32)}

    found = snap_points(lay_grid(lat, lon, ends), arrays, *places.T, is_open, LIMIT_M)

    expected = np.array([nearest_m(lat, lon, ends, is_open, *place) for place in places])
    assert (found.found == (expected <= LIMIT_M)).all()
    assert found.distance_m[found.found] == pytest.approx(expected[found.found], abs=0.01)
    assert is_open[found.segment[found.found]].all()
