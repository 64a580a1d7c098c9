"""Turn restrictions over ways: who comes from the one may not go to the other, and nobody else minds."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.roads.hierarchy import CLOSED
from engine.roads.matching import RoadMatcher
from tests.roads import Town
from tests.unit.engine.roads.test_network import dijkstra

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules


def carriageways():
    """Return a road of two carriageways, eastward in the south, with a link and a side street, and its ways.

    Nodes from west to east: 1, 2, 3 in the south, 11, 12, 13 in the north; 22 is the side street's, south of the link.
    """
    town = Town(nodes={c + 10 * r: (100.0 * c, 20.0 * r) for r in (0, 1) for c in (1, 2, 3)} | {22: (200.0, -100.0)})
    ways = {
        "in": town.way(1, 2, oneway="yes"),
        "on": town.way(2, 3, oneway="yes"),
        "link": town.way(2, 12),
        "back": town.way(12, 11, oneway="yes"),
        "ahead": town.way(13, 12, oneway="yes"),
        "side": town.way(22, 2),
    }
    town.way(3, 13)
    town.way(11, 1)
    return town, ways


def metres(network, start, end, profile="car"):
    return network.leg(start, end, profile).distance_m


def test_a_u_turn_over_a_link_is_banned_for_who_comes_from_that_road_alone(tmp_path):
    town, way = carriageways()
    town.ban_over(way["in"], [way["link"]], way["back"], **{"except": "bicycle"})
    network = town.network(tmp_path)
    start, side, on_link = town.at(1, east=50), town.at(22, north=50), town.at(12, north=-8)
    back = town.at(12, east=-50)
    assert metres(network, start, back) == pytest.approx(50 + 100 + 20 + 100 + 50, abs=2)  # by the end of the road
    assert metres(network, start, back, "bike") == pytest.approx(120, abs=2)
    assert metres(network, side, back) == pytest.approx(50 + 20 + 50, abs=2)
    assert metres(network, on_link, back) == pytest.approx(58, abs=2)
    assert metres(network, start, on_link) == pytest.approx(62, abs=2)
    matrix = network.matrix([start, side, on_link, back])
    for row, origin in enumerate((start, side, on_link, back)):
        for column, goal in enumerate((start, side, on_link, back)):
            assert matrix.distance_m[row, column] == pytest.approx(metres(network, origin, goal), abs=0.6)


def test_the_only_way_on_is_the_only_one_for_who_comes_from_that_road(tmp_path):
    town, way = carriageways()
    town.ban_over(way["side"], [way["link"]], way["back"], "only_left_turn")
    network = town.network(tmp_path)
    side, on, start = town.at(22, north=50), town.at(2, east=50), town.at(1, east=50)
    assert metres(network, side, on) == pytest.approx(50 + 20 + 100 + 20 + 100 + 50, abs=2)
    assert metres(network, start, on) == pytest.approx(100, abs=2)


def test_a_street_that_is_entered_on_a_twin_alone_is_a_place_to_begin_and_end(tmp_path):
    town, way = carriageways()
    town.ways[way["link"] - 1] = ((2, 12), {"highway": "residential", "oneway": "yes"})
    town.ways[way["side"] - 1] = ((2, 22), {"highway": "residential"})
    town.ban(way["side"], 2, way["link"], "no_straight_on")
    town.ban_over(way["in"], [way["link"]], way["back"])
    town.way(12, 42)
    town.nodes[42] = (200.0, 120.0)
    town.way(42, 13)
    network = town.network(tmp_path)
    on_link = town.at(12, north=-8)
    snapped = network.snap(*on_link)
    assert snapped.distance_m[0] < 1
    assert metres(network, town.at(1, east=50), on_link) == pytest.approx(62, abs=2)
    assert metres(network, on_link, town.at(12, east=-50)) == pytest.approx(58, abs=2)


def test_what_is_closed_or_slow_holds_on_twins_too_and_tracks_know_originals_alone(tmp_path):
    town, way = carriageways()
    town.ban_over(way["in"], [way["link"]], way["back"])
    network = town.network(tmp_path)
    start, on_link = town.at(1, east=50), town.at(12, north=-8)
    both = network.arrays["segment_arcs"][network.snap(*on_link).segment[0]]
    assert network.arc_count > both.max() + 1
    leg = network.leg(start, on_link)
    assert both[0] == leg.arcs[-1]
    far = town.at(12, east=50)
    assert network.leg(start, far, weights=network.closed(network.free_flow(), both)).distance_m > 100
    factor = np.ones(network.arc_count)
    factor[both] = 5.0
    assert network.leg(start, on_link, weights=network.weights("car", factor)).duration_s > leg.duration_s + 5
    driven = [town.at(1, east=east) for east in range(40, 100, 10)]
    driven += [town.at(2, north=north) for north in range(4, 20, 4)]
    driven += [town.at(12, east=-east) for east in range(0, 60, 10)]  # though that is banned
    matched = RoadMatcher(network).match(*zip(*driven, strict=True), np.arange(len(driven)) * 2.0)
    assert both[0] in matched.arc
    assert set(matched.path_arcs) <= set(range(network.arc_count - 1))


def test_a_ban_over_two_ways_holds_behind_the_second(tmp_path):
    nodes = {number: (100.0 * number, 0.0) for number in range(6)} | {13: (300.0, 100.0), 14: (400.0, 100.0)}
    town = Town(nodes=nodes)
    first, second, third = town.way(0, 1), town.way(1, 2), town.way(2, 3)
    on, up = town.way(3, 4, 5), town.way(3, 13)
    town.way(13, 14, 4)
    town.ban_over(first, [third, second], up, "no_left_turn")
    network = town.network(tmp_path)
    goal = town.at(13, north=-50)
    assert metres(network, town.at(0, east=50), goal) == pytest.approx(250 + 100 + 100 + 100 + 50, abs=2)
    assert metres(network, town.at(1, east=50), goal) == pytest.approx(150 + 50, abs=2)
    assert {first, second, third, on, up} == set(range(1, 6))


SIZE = 3


def blocks():
    """Return a town of crossings whose every block is a way of its own."""
    places = [(row, column) for row in range(SIZE) for column in range(SIZE)]
    town = Town(nodes={10 * row + column: (100.0 * column, 100.0 * row) for row, column in places})
    for row in range(SIZE):
        for column in range(SIZE - 1):
            town.way(10 * row + column, 10 * row + column + 1)
            town.way(10 * column + row, 10 * column + 10 + row)
    return town


@st.composite
def bans(draw):
    """Return restrictions over one way each: (way from, way over, way to, whether it is the only one)."""
    town = blocks()
    ends = dict(enumerate((nodes for nodes, _ in town.ways), 1))
    made = []
    for _ in range(draw(st.integers(1, 4))):
        over = draw(st.sampled_from(sorted(ends)))
        begin, end = draw(st.permutations(ends[over]))
        before = draw(st.sampled_from([way for way in ends if begin in ends[way] and way != over]))
        after = draw(st.sampled_from([way for way in ends if end in ends[way] and way != over]))
        made.append((before, over, after, draw(st.integers(0, 3)) == 0))
    return town, made


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(bans(), st.integers(0, 2**32 - 1))
def test_ways_equal_dijkstra_over_the_arc_before_whatever_is_banned(tmp_path, restricted, seed):
    town, made = restricted
    plain = town.network(tmp_path)
    for before, over, after, is_only in made:
        town.ban_over(before, [over], after, "only_straight_on" if is_only else "no_left_turn")
    network = town.network(tmp_path)
    draws = np.random.default_rng(seed)
    factor = draws.uniform(0.5, 20, plain.arc_count)
    of_twins = draws.uniform(0.5, 20, network.arc_count - plain.arc_count)
    weights = network.weights("car", np.concatenate([factor, of_twins]))
    snaps = network.snap(*zip(*(town.at(0, *draws.uniform(-20, 220, 2)) for _ in range(8)), strict=True))
    usable = network.arrays["arc_profiles"][: plain.arc_count] & 1 == 1
    assume(usable.all())  # else so much is banned that parts of the town can't be left or come to any more
    way = plain.arrays["segment_way"][plain.arrays["arc_segment"]].tolist()
    after = {}
    for tail, head in zip(plain.arrays["turn_from"].tolist(), plain.arrays["turn_to"].tolist(), strict=True):
        after.setdefault(tail, []).append(head)

    def leads(arc, over, onward):
        """Tell whether an arc leads onto a way and from there onto another."""
        return way[arc] == over and any(way[one] == onward for one in after[arc])

    def is_banned(before, arc, onward):
        for one, over, to, is_only in made:
            if before is not None and way[before] == one and leads(arc, over, to) and (way[onward] == to) != is_only:
                return True
            leaves = is_only and way[arc] == one and not leads(onward, over, to)
            if leaves and any(leads(other, over, to) for other in after[arc]):
                return True
        return False

    found = network.snapped_matrix(snaps, snaps, weights)
    slowed = plain.weights("car", factor)
    for row in range(snaps.segment.size):
        expected = dijkstra(plain, slowed, snaps, row, is_banned)
        assert [min(int(one), int(CLOSED)) >> 32 for one in found[row]] == expected
