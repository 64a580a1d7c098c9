"""Distances and bearings against known values and their own symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.geo import EARTH_RADIUS_M, bearing_deg, distance_m, distances_m, offset_m

latitudes = st.floats(-89.9, 89.9)
longitudes = st.floats(-180, 180)


def test_a_quarter_of_the_meridian_is_ten_thousand_kilometres():
    assert distance_m(0.0, 0.0, 90.0, 0.0) == pytest.approx(math.pi / 2 * EARTH_RADIUS_M)


def test_porto_to_lisbon_is_274_kilometres():
    assert distance_m(41.1496, -8.6110, 38.7223, -9.1393) == pytest.approx(273_700, rel=0.005)


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_the_same_both_ways_and_in_arrays(lat1, lon1, lat2, lon2):
    there = distance_m(lat1, lon1, lat2, lon2)
    assert there == pytest.approx(distance_m(lat2, lon2, lat1, lon1), abs=1e-3)
    assert there == pytest.approx(float(distances_m(np.array([lat1]), lon1, lat2, lon2)[0]), abs=1e-3)


@pytest.mark.parametrize(("lat", "lon", "expected"), [(1, 0, 0), (0, 1, 90), (-1, 0, 180), (0, -1, 270)])
def test_bearings_of_the_four_winds(lat, lon, expected):
    assert bearing_deg(0.0, 0.0, float(lat), float(lon)) == pytest.approx(expected, abs=1e-6)


@given(st.floats(-60, 60), longitudes, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_offset_agrees_with_distance_nearby_even_across_the_date_line(lat, lon, north_deg, east_deg):
    lon2 = (lon + east_deg + 180) % 360 - 180
    east, north = offset_m(lat, lon, lat + north_deg, lon2)
    assert math.hypot(east, north) == pytest.approx(distance_m(lat, lon, lat + north_deg, lon2), rel=2e-3, abs=0.01)
