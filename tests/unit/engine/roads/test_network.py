"""Matrices and legs on small towns whose answers can be told by hand."""

import heapq
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.roads.barriers import Barrier, barred_segments
from engine.roads.hierarchy import CLOSED
from engine.roads.network import UNREACHABLE, RoadNetwork
from models.errors import BadSettings, InvalidInput
from models.geo import distances_m
from tests.roads import Town, grid_town

RESIDENTIAL_MPS = 28.0 / 3.6

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    town = grid_town()
    return town, town.network(tmp_path_factory.mktemp("grid"))


def test_a_leg_along_one_street_takes_its_length_over_its_speed(grid):
    town, network = grid
    leg = network.leg(town.at(1, east=20), town.at(1, east=80))
    assert leg.distance_m == pytest.approx(60, abs=0.5)
    assert leg.duration_s == pytest.approx(60 / RESIDENTIAL_MPS, abs=0.05)
    assert (leg.latitudes.size, leg.arcs.size) == (2, 1)


def test_a_leg_runs_from_place_to_place_over_the_roads(grid):
    town, network = grid
    leg = network.leg(town.at(1, east=50), town.at(34, east=-50))
    assert leg.distance_m == pytest.approx(500, abs=1)
    line_m = distances_m(leg.latitudes[:-1], leg.longitudes[:-1], leg.latitudes[1:], leg.longitudes[1:]).sum()
    assert line_m == pytest.approx(leg.distance_m, abs=1)
    assert leg.metres.tolist() == sorted(leg.metres)
    assert leg.seconds.tolist() == sorted(leg.seconds)
    assert (leg.metres[0], leg.seconds[-1]) == (0.0, leg.duration_s)
    assert leg.metres[1] == pytest.approx(50, abs=0.5)
    assert leg.seconds[1] == pytest.approx(50 / RESIDENTIAL_MPS, abs=0.1)
    assert json.dumps(leg.geojson).startswith('{"type": "LineString", "coordinates": [[')
    assert leg.geojson["coordinates"][0] == pytest.approx(town.at(1, east=50)[::-1], abs=2e-6)


def test_a_closed_zone_is_driven_around(grid):
    town, network = grid
    ends = town.at(11, east=50), town.at(13, east=50)
    south, west = town.at(12, east=-30, north=-30)
    north, east = town.at(12, east=30, north=30)
    zone = Barrier("polygon", ((south, west), (south, east), (north, east), (north, west)))
    around = network.around(network.free_flow("car"), [zone])
    assert (around.arc_ms == 0).sum() - (network.free_flow("car").arc_ms == 0).sum() == 8
    assert network.leg(*ends).distance_m == pytest.approx(200, abs=1)
    assert network.leg(town.at(1, east=50), town.at(4, east=-50), weights=around).distance_m == pytest.approx(
        200, abs=1
    )
    whole_block = network.leg(town.at(11), town.at(13), weights=around).distance_m
    assert whole_block == pytest.approx(400, abs=2)
    # what lies in the zone is reached from the nearest street that is open
    inside = network.leg(*ends, weights=around)
    assert distances_m(*ends[0], inside.latitudes[0], inside.longitudes[0]) == pytest.approx(50, abs=2)


def test_a_closed_street_is_driven_around_and_what_crosses_it_is_not(grid):
    town, network = grid
    street = Barrier("line", (town.at(11, east=30, north=4), town.at(12, east=-30, north=4)))
    around = network.around(network.free_flow("car"), [street])
    assert (around.arc_ms == 0).sum() - (network.free_flow("car").arc_ms == 0).sum() == 2
    assert network.leg(town.at(11), town.at(12)).distance_m == pytest.approx(100, abs=1)
    assert network.leg(town.at(11), town.at(12), weights=around).distance_m == pytest.approx(300, abs=1)
    across = Barrier("line", (town.at(1, east=50), town.at(31, east=50)))  # over the middles of four streets
    assert not barred_segments(across, network.arrays, network.grid).size


@given(
    st.sampled_from(["polygon", "line"]),
    st.lists(st.tuples(st.floats(-200, 500), st.floats(-200, 500)), min_size=3, max_size=6),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_way_leads_through_what_is_barred(grid, kind, corners):
    town, network = grid
    barrier = Barrier(kind, tuple(town.at(1, east=x, north=y) for x, y in corners))
    barred = set(network.arrays["segment_arcs"][barred_segments(barrier, network.arrays, network.grid)].ravel())
    around = network.around(network.free_flow("car"), [barrier])
    places = [town.at(node, east=40) for node in (1, 13, 22, 31)]
    for origin in places:
        for destination in places:
            leg = network.leg(origin, destination, weights=around)
            assert leg is None or not barred & set(leg.arcs.tolist())


def test_turning_costs_time_and_turning_left_more(grid):
    town, network = grid
    start = town.at(11, east=50)
    straight = network.leg(start, town.at(12, east=50)).duration_s
    right = network.leg(start, town.at(12, north=-50)).duration_s
    left = network.leg(start, town.at(12, north=50)).duration_s
    assert straight + 2 < right < left


def test_a_matrix_holds_what_the_legs_say(grid):
    town, network = grid
    places = [town.at(node, east=east, north=10) for node in (1, 13, 22, 31) for east in (10, 60)]
    matrix = network.matrix(places)
    for row, origin in enumerate(places):
        for column, destination in enumerate(places):
            leg = network.leg(origin, destination)
            assert matrix.duration_s[row, column] == pytest.approx(leg.duration_s, abs=0.51)
            assert matrix.distance_m[row, column] == pytest.approx(leg.distance_m, abs=0.51)


def test_a_place_far_from_every_road_is_unreachable_and_says_so(grid):
    town, network = grid
    matrix = network.matrix([town.at(1), town.at(1, east=-700)])
    assert matrix.duration_s[0, 1] == matrix.distance_m[1, 0] == UNREACHABLE
    assert matrix.origins.found.tolist() == [True, False]
    assert network.leg(town.at(1), town.at(1, east=-700)) is None


def test_a_place_knows_its_side_of_the_road_and_its_distance(grid):
    town, network = grid
    snaps = network.snap(*zip(town.at(1, east=50, north=8), town.at(1, east=50, north=-8), strict=True))
    assert snaps.distance_m == pytest.approx([8, 8], abs=0.1)
    assert sorted(snaps.side.tolist()) == [-1, 1]


def test_one_way_streets_are_driven_one_way(tmp_path):
    town = grid_town()
    town.ways[0] = (town.ways[0][0], {"highway": "residential", "oneway": "yes"})
    network = town.network(tmp_path)
    along = network.leg(town.at(1, east=20), town.at(1, east=80))
    back = network.leg(town.at(1, east=80), town.at(1, east=20))
    assert along.distance_m == pytest.approx(60, abs=0.5)
    assert back.distance_m == pytest.approx(340, abs=1)
    assert network.leg(town.at(1, east=80), town.at(1, east=20), "bike").distance_m == pytest.approx(340, abs=1)
    assert network.matrix([town.at(1, east=80), town.at(1, east=20)]).distance_m[0, 1] == pytest.approx(340, abs=1)


@pytest.mark.parametrize(("kind", "is_banned"), [("no_left_turn", True), ("only_left_turn", False)])
def test_turn_restrictions_hold_for_whom_they_concern(tmp_path, kind, is_banned):
    town = grid_town()
    town.ways = []
    west = town.way(11, 12)
    north = town.way(12, 22)
    town.way(12, 13, 23, 22, 21, 11)
    town.ban(west, 12, north, kind, **{"except": "bicycle"})
    network = town.network(tmp_path)
    start, straight, left = town.at(11, east=50), town.at(12, east=50), town.at(12, north=50)
    car_left, car_straight = network.leg(start, left).distance_m, network.leg(start, straight).distance_m
    assert (car_left > 110) is is_banned
    assert (car_straight > 110) is not is_banned
    assert network.leg(start, left, "bike").distance_m == pytest.approx(100, abs=1)


def test_a_bollard_stops_cars_and_lets_bikes_through(tmp_path):
    town = grid_town()
    town.nodes[99] = (50.0, 0.0)
    town.ways[0] = ((1, 99, 2, 3, 4), {"highway": "residential"})
    town.node_tags[99] = {"barrier": "bollard"}
    network = town.network(tmp_path)
    ends = town.at(1, east=30), town.at(1, east=70)
    assert network.leg(*ends).distance_m > 250
    assert network.leg(*ends, "bike").distance_m == pytest.approx(40, abs=1)


def test_a_low_bridge_and_a_weak_one_stop_the_vehicles_that_are_too_large(tmp_path):
    town = grid_town()
    town.ways[0] = (town.ways[0][0], {"highway": "residential", "maxheight": "2.5"})
    network = town.network(tmp_path)
    ends = town.at(1, east=30, north=2), town.at(2, east=70, north=2)
    assert network.leg(*ends, "car").distance_m == pytest.approx(140, abs=1)
    assert network.snap(*town.at(1, east=50), "truck").distance_m[0] == pytest.approx(50, abs=1)
    assert network.snap(*town.at(1, east=50), "van").distance_m[0] == pytest.approx(50, abs=1)


def test_places_snap_only_to_roads_that_hang_together(tmp_path):
    town = grid_town()
    town.nodes |= {90: (50.0, 20.0), 91: (60.0, 20.0)}
    town.way(90, 91)
    network = town.network(tmp_path)
    snapped = network.snap(*town.at(90))
    assert snapped.distance_m[0] == pytest.approx(20, abs=0.5)


def test_another_format_and_another_profile_are_refused(tmp_path, grid):
    (tmp_path / "old.roads").write_bytes(b"OUTROADS" + (12).to_bytes(4, "little") + b'{"format":1}')
    with pytest.raises(BadSettings, match="outrider roads build"):
        RoadNetwork.load(tmp_path / "old.roads")
    with pytest.raises(BadSettings, match="can't be read"):
        RoadNetwork.load(tmp_path / "missing.roads")
    with pytest.raises(InvalidInput):
        grid[1].matrix([(0.0, 0.0)], profile="hovercraft")


def test_the_network_of_a_file_says_where_its_map_comes_from(grid):
    assert grid[1].about["attribution"] == "© OpenStreetMap contributors, ODbL 1.0"
    assert grid[1].profiles == ("car", "van", "truck", "bike")


def test_an_extract_without_roads_is_refused(tmp_path):
    town = Town(nodes={1: (0.0, 0.0), 2: (10.0, 0.0)})
    with pytest.raises(BadSettings, match="no roads"):
        town.network(tmp_path)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1))
def test_ways_between_any_places_equal_dijkstra_over_arcs_and_turns(grid, seed):
    """Whatever is closed or slow: also where a way begins and ends on one street."""
    town, network = grid
    draws = np.random.default_rng(seed)
    factor = draws.uniform(0.5, 20, network.arc_count)
    closed = draws.random(network.arc_count) < 0.15
    weights = network.weights("car", factor, closed)
    places = [town.at(1, *draws.uniform(-20, 320, 2)) for _ in range(8)]
    places += [town.at(1, east=draws.uniform(0, 100)) for _ in range(4)]
    snaps = network.snap(*zip(*places, strict=True))

    found = network.snapped_matrix(snaps, snaps, weights)

    for row in range(len(places)):
        expected = dijkstra(network, weights, snaps, row)
        assert [min(int(one), int(CLOSED)) >> 32 for one in found[row]] == expected


def dijkstra(network, weights, snaps, source, is_banned=lambda *_: False):
    """Return milliseconds from a place to all others by a heap over (arc before, arc), straight from the definition."""
    arrays = network.arrays
    after = {}
    for turn, (tail, head) in enumerate(zip(arrays["turn_from"].tolist(), arrays["turn_to"].tolist(), strict=True)):
        if (weight := int(weights.metric.edges[turn])) < CLOSED:
            after.setdefault(tail, []).append((head, weight >> 32))
    parts = {}
    for place in range(snaps.segment.size):
        for direction in (0, 1):
            arc = int(arrays["segment_arcs"][snaps.segment[place], direction])
            if arc >= 0 and weights.arc_ms[arc] > 0:
                done = snaps.along_m[place] / float(arrays["segment_m"][snaps.segment[place]])
                left = min(1.0, max(0.0, 1 - done if direction == 0 else done))
                parts.setdefault(place, {})[arc] = round(left * int(weights.arc_ms[arc]))
    best = {}
    heap = [(left, None, arc) for arc, left in parts.get(source, {}).items()]
    arrives = {}
    while heap:
        spent, before, arc = heapq.heappop(heap)
        if (before, arc) in best:
            continue
        best[before, arc] = spent
        for onward, weight in after.get(arc, ()):
            if not is_banned(before, arc, onward):
                arrives[onward] = min(arrives.get(onward, spent + weight), spent + weight)
                heapq.heappush(heap, (spent + weight, arc, onward))
    return [_soonest(parts, arrives, source, target) for target in range(snaps.segment.size)]


def _soonest(parts, arrives, source, target):
    ways = [int(CLOSED) >> 32]
    for arc, left in parts.get(target, {}).items():
        own = parts.get(source, {}).get(arc)
        if own is not None and own >= left:
            ways.append(own - left)
        if arc in arrives:  # not on the first pass of the arc that the way began on, but from another arc
            ways.append(arrives[arc] - left)
    return min(ways)


def test_ways_in_pairs_are_those_of_the_matrix(grid):
    town, network = grid
    places = [town.at(node, east=east, north=10) for node in (1, 13, 22, 31) for east in (10, 60)]
    places += [town.at(1, east=-700), town.at(1, east=40, north=-10)]
    at = np.array(places)
    snaps = network.snap(at[:, 0], at[:, 1])
    every, other = (part.ravel() for part in np.meshgrid(np.arange(at.shape[0]), np.arange(at.shape[0])))
    weights = network.free_flow("car")
    ways = network.snapped_ways(snaps.part(every), snaps.part(other), weights)
    matrix = network.snapped_matrix(snaps, snaps, weights)
    assert (ways == matrix[every, other]).all()
