"""Recorded drives on roads: the traffic that a leg is given is what drives had told of it by then."""

import datetime

import numpy as np
import pytest

from pipelines.drives import Drives, legs_of_drives
from pipelines.roads_driven import RoadsDriven
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules of roads

EIGHT_S = int(datetime.datetime(2026, 3, 3, 8, tzinfo=datetime.UTC).timestamp())


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Return a town's file, and where a drive through its southern street is after each share of its time."""
    folder = tmp_path_factory.mktemp("roads-driven")
    town = grid_town(size=8, block_m=300.0)
    leg = town.network(folder).leg(town.at(1, east=20), town.at(8, east=-20), "car")
    shares = np.linspace(0.0, 1.0, 100)
    line = [np.interp(shares * leg.duration_s, leg.seconds, each) for each in (leg.latitudes, leg.longitudes)]
    return folder / "town.roads", np.stack(line, axis=1), leg.duration_s


def drives_along(street, starts_s, slower):
    """Return drives along the street, a fix each fifteen seconds."""
    _, line, free_s = street
    times = [np.arange(start_s, start_s + free_s * slower, 15.0) for start_s in starts_s]
    at = [np.rint((each - each[0]) / (free_s * slower) * 99).astype(int) for each in times]
    return Drives(tuple((each * 1000).astype(np.int64) for each in times), tuple(line[rows] for rows in at))


def ratios(street, drives):
    driven = RoadsDriven(street[0], drives, "UTC")
    [legs] = driven.in_traffic(legs_of_drives(drives, (0.0,), driven.ways))
    return legs.legs["traffic_ratio"]


def test_a_jam_is_told_to_those_who_leave_after_it_and_to_nobody_before(street):
    drives = drives_along(street, [EIGHT_S + 120 * number for number in range(20)], slower=4.0)
    found = ratios(street, drives)
    assert np.isnan(found[0])  # nobody had driven
    assert np.all(np.diff(found[3:]) > -0.1)
    assert found[-1] > 2.5


def test_what_is_driven_later_changes_nothing_that_was_known_before(street):
    starts = [EIGHT_S + 120 * number for number in range(20)]
    whole, begun = drives_along(street, starts, slower=3.0), drives_along(street, starts[:8], slower=3.0)
    np.testing.assert_array_equal(ratios(street, whole)[:8], ratios(street, begun))
