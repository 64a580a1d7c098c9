"""Map matching: drives whose roads are known, with noise, silence and nonsense."""

import itertools

import numpy as np
import pytest

from engine.roads.matching import RoadMatcher
from tests.roads import METRE, grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    town = grid_town(size=6)
    network = town.network(tmp_path_factory.mktemp("grid"))
    return town, network, RoadMatcher(network)


def drive(network, origin, destination, every_s=5.0, noise_m=0.0, seed=1):
    """Return the way, and fixes along it."""
    leg = network.leg(origin, destination)
    seconds = np.append(np.arange(0, leg.duration_s, every_s), leg.duration_s)
    noise = np.random.default_rng(seed).normal(0, noise_m * METRE, (2, seconds.size))
    lat, lon = (np.interp(seconds, leg.seconds, line) for line in (leg.latitudes, leg.longitudes))
    return leg, lat + noise[0], lon + noise[1], seconds


@pytest.mark.parametrize("noise_m", [0.0, 5.0, 10.0])
def test_the_roads_of_a_drive_are_found(grid, noise_m):
    town, network, matcher = grid
    right = driven = 0
    for seed in range(10):
        leg, *fixes = drive(network, town.at(1, east=40), town.at(56, east=-40), noise_m=noise_m, seed=seed)
        found = matcher.match(*fixes)
        driven += len(set(leg.arcs))
        right += len(set(leg.arcs) & set(found.path_arcs))
    assert right / driven >= 0.95


def test_the_path_between_fixes_hangs_together(grid):
    town, network, matcher = grid
    _, *fixes = drive(network, town.at(1, east=40), town.at(56, east=-40), every_s=20.0)
    found = matcher.match(*fixes)
    turns = set(zip(network.arrays["turn_from"].tolist(), network.arrays["turn_to"].tolist(), strict=True))
    for fix in range(found.arc.size - 1):
        path = found.path_arcs[found.path_start[fix] : found.path_start[fix + 1]].tolist()
        assert (path[0], path[-1]) == (found.arc[fix], found.arc[fix + 1])
        assert all(step in turns for step in itertools.pairwise(path))


def test_a_leap_that_nobody_drives_ends_a_chain_and_the_rest_is_matched(grid):
    town, network, matcher = grid
    _, lat, lon, seconds = drive(network, town.at(1, east=40), town.at(6, east=-40))
    middle = lat.size // 2
    lat[middle:] += 450 * METRE  # in the next five seconds
    found = matcher.match(lat, lon, seconds)
    assert (found.arc >= 0).all()
    assert found.path_start[middle] == found.path_start[middle - 1]
    assert found.path_start[-1] > found.path_start[middle]


def test_fixes_far_from_every_road_and_nonsense_are_left_out(grid):
    town, network, matcher = grid
    _, lat, lon, seconds = drive(network, town.at(1, east=40), town.at(6, east=-40))
    lat[3] += 5000 * METRE
    lon[4] = np.nan
    found = matcher.match(lat, lon, seconds)
    assert np.flatnonzero(found.arc < 0).tolist() == [3, 4]
    assert np.isinf(found.distance_m[3])
    assert set(found.path_arcs[found.path_start[2] : found.path_start[3]]) >= {found.arc[2], found.arc[5]}


def test_traces_are_matched_apart(grid):
    town, network, matcher = grid
    _, *first = drive(network, town.at(1, east=40), town.at(6, east=-40))
    _, *second = drive(network, town.at(51, east=40), town.at(56, east=-40))
    size = first[0].size
    both = [np.concatenate(columns) for columns in zip(first, second, strict=True)]
    found = matcher.match(*both, [0, size, both[0].size])
    for part, alone in ((found.part(0, size), first), (found.part(size, both[0].size), second)):
        assert part.path_arcs.tolist() == matcher.match(*alone).path_arcs.tolist()
    assert matcher.match([], [], [], [0]).path_arcs.size == 0


def test_a_vehicle_that_stands_stays_on_its_road(grid):
    town, _, matcher = grid
    noise = np.random.default_rng(4).normal(0, 5 * METRE, (2, 40))
    place = town.at(12, east=50)
    found = matcher.match(place[0] + noise[0], place[1] + noise[1], np.arange(40) * 5.0)
    assert len(set(found.arc)) == 1
