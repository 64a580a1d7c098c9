"""Traffic from tracks: what was driven slowly is slow, what was not driven leans on its class, and it fades."""

import numpy as np
import pytest

from engine.roads.matching import RoadMatcher
from engine.roads.traffic import TrafficLedger, band_of
from tests.roads import grid_town

MONDAY_S = 1_772_409_600.0  # 2026-03-02, 0 o'clock UTC
BAND = band_of(0, 8)

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    town = grid_town(size=6)
    town.ways[1] = (town.ways[1][0], {"highway": "secondary"})  # the westernmost street from south to north
    network = town.network(tmp_path_factory.mktemp("grid"))
    return town, network, RoadMatcher(network)


def drive(grid, ledger, origin, destination, times_slower, begin_s=MONDAY_S):
    """Let a vehicle drive a way some times slower than free flow; return its arcs."""
    _, network, matcher = grid
    leg = network.leg(origin, destination)
    seconds = np.append(np.arange(0, leg.duration_s, 5.0), leg.duration_s)
    lat, lon = (np.interp(seconds, leg.seconds, line) for line in (leg.latitudes, leg.longitudes))
    times_s = begin_s + seconds * times_slower
    found = matcher.match(lat, lon, times_s)
    assert ledger.learn(found, times_s, np.full(times_s.size, BAND)) > 0
    return leg.arcs


def test_a_street_driven_slowly_again_and_again_is_slow_and_others_of_its_class_a_little(grid):
    town, network, _ = grid
    ledger = TrafficLedger(network)
    for time in range(12):
        arcs = drive(grid, ledger, town.at(1, east=20), town.at(6, east=-20), 3.0, MONDAY_S + 60 * time)
    factors = ledger.factors(MONDAY_S + 720, BAND)
    assert factors[arcs[1:-1]].min() > 2.3
    classes = network.arrays["segment_class"][network.arrays["arc_segment"]]
    residential = classes == classes[arcs[0]]
    others = np.setdiff1d(np.flatnonzero(residential), arcs)
    assert 1.2 < factors[others].max() < factors[arcs[1:-1]].min()
    assert (factors[~residential] == 1.0).all()


def test_one_vehicle_says_little_and_what_it_says_fades(grid):
    town, network, _ = grid
    ledger = TrafficLedger(network)
    arcs = drive(grid, ledger, town.at(1, east=20), town.at(6, east=-20), 3.0)
    soon, later = (ledger.factors(MONDAY_S + after, BAND)[arcs[2]] for after in (60, 4 * 3600))
    assert 1.0 < later < soon < 2.0
    assert ledger.factors(MONDAY_S, band_of(5, 8))[arcs[2]] < soon  # another hour knows only what is now


def test_a_jam_turns_the_fastest_way(grid):
    town, network, _ = grid
    ledger = TrafficLedger(network)
    ends = town.at(1, east=20), town.at(6, east=-20)
    for time in range(20):
        arcs = drive(grid, ledger, *ends, 7.0, MONDAY_S + 60 * time)
    weights = network.weights("car", ledger.factors(MONDAY_S + 1200, BAND))
    assert set(network.leg(*ends, weights=weights).arcs[1:-1]).isdisjoint(arcs[1:-1])


def test_free_flow_teaches_free_flow_and_standing_teaches_nothing(grid):
    town, network, matcher = grid
    ledger = TrafficLedger(network)
    drive(grid, ledger, town.at(1, east=20), town.at(6, east=-20), 1.0)
    assert ledger.factors(MONDAY_S, BAND) == pytest.approx(1.0, abs=0.1)
    place = np.full((2, 10), [[one] for one in town.at(12, east=50)])
    times_s = MONDAY_S + 60.0 * np.arange(10)
    found = matcher.match(*place, times_s)
    assert ledger.learn(found, times_s, np.full(10, BAND)) == 0


def test_last_years_roadworks_are_forgotten(grid):
    """What was usual fades over weeks: a street that was slow for weeks is an ordinary one the year after."""
    town, network, _ = grid
    ledger = TrafficLedger(network)
    ends = town.at(1, east=20), town.at(6, east=-20)
    for time in range(12):
        arcs = drive(grid, ledger, *ends, 4.0, MONDAY_S + 60 * time)
    slow = ledger.usual(BAND)[1][np.isin(ledger.driven, arcs[1:-1])]
    week_s, other = 7 * 86_400, (town.at(12, east=20), town.at(6, east=-20))
    drive(grid, ledger, *other, 1.0, MONDAY_S + week_s)
    soon = ledger.usual(BAND)[1][np.isin(ledger.driven, arcs[1:-1])]
    drive(grid, ledger, *other, 1.0, MONDAY_S + 52 * week_s)
    later = ledger.usual(BAND)[1][np.isin(ledger.driven, arcs[1:-1])]
    assert slow.max() > 2.0
    assert soon.max() > 0.85 * slow.max()
    assert later.max() < 1.2
    again = TrafficLedger(network)
    again.resume(ledger.arrays())
    drive(grid, again, *other, 1.0, MONDAY_S + 52 * week_s + 3600)  # a restart is no year
    assert again.usual(BAND)[0] == pytest.approx(ledger.usual(BAND)[0], abs=0.02)
