"""Roads around barriers: however many companies ask in turn, each one's are made once, and are what they would be."""

import gc
import weakref

import numpy as np
import pytest

from engine.roads.barred import BarredRoads
from engine.roads.barriers import Barrier
from engine.roads.network import RoadNetwork
from tests.roads import grid_town

TOWN = grid_town(size=5)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return TOWN.network(tmp_path_factory.mktemp("town"))


@pytest.fixture
def made(monkeypatch):
    found, around = [], RoadNetwork.around

    def counted(network, weights, barriers):
        found.append((weights, barriers))
        return around(network, weights, barriers)

    monkeypatch.setattr(RoadNetwork, "around", counted)
    return found


def companies():
    """Return what each of twenty has closed: a street between two crossings, and half of them another one."""
    streets = [(10 * row + column, 10 * row + column + 1) for row in range(5) for column in range(1, 5)]
    lines = [Barrier("line", (TOWN.at(one, east=20), TOWN.at(other, east=-20))) for one, other in streets]
    return [(line,) if place % 2 else (line, lines[place - 7]) for place, line in enumerate(lines)]


def test_many_companies_that_ask_in_turn_have_their_roads_made_once(network, made):
    barred, free, slow = BarredRoads(), network.free_flow("van"), network.weights("van", 2.0)
    for _ in range(3):
        for barriers in companies():
            for weights in (free, slow):
                found = barred.around(network, weights, barriers)
                asked = made.copy()
                anew = network.around(weights, barriers)
                made[:] = asked
                for mine, theirs in zip(found.arrays(), anew.arrays(), strict=True):
                    assert np.array_equal(mine, theirs)
                assert np.array_equal(found.is_open, anew.is_open)
                assert not np.array_equal(found.arc_ms, weights.arc_ms)
    assert len(made) == 2 * len(companies())


def test_who_asks_for_the_same_again_gets_the_same(network, made):
    barred, free, barriers = BarredRoads(), network.free_flow("van"), companies()[0]
    assert barred.around(network, free, barriers) is barred.around(network, free, barriers)
    assert barred.around(network, free, ()) is free
    assert len(made) == 1


def test_traffic_that_is_over_is_let_go(network):
    barred, traffic = BarredRoads(), network.weights("van", 1.5)
    barred.around(network, traffic, companies()[0])
    gone = weakref.ref(traffic)
    del traffic
    gc.collect()
    assert gone() is None
