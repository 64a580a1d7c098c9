"""In which order a driver's stops are made, and what stays with them when the plan changes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.eta.plan import AHEAD, AheadFlag, OpenStop, RouteOrder, build_plan, ordered
from engine.shards.stops import StopKind, StopState
from models.geo import distance_m

HERE = (41.15, -8.61)
DROPOFF, PICKUP = StopKind.DROPOFF, StopKind.PICKUP
NOTHING = np.zeros(0, AHEAD)


def a_stop(key: int, north: float, kind: StopKind = DROPOFF, **fields):
    state = fields.pop("state", StopState.OUTSIDE)
    return OpenStop(key, f"dlv_{key}", kind, state, HERE[0] + north, HERE[1], 0, 1, **fields)


def keys(stops):
    return [(stop.delivery, stop.kind) for stop in stops]


def test_a_route_says_the_order_and_what_is_in_none_comes_after():
    stops = [a_stop(1, 0.01), a_stop(2, 0.02), a_stop(3, 0.001)]
    routes = {"rte_1": RouteOrder(1, 0, "van", (("dlv_2", "dropoff"), ("dlv_1", "dropoff")))}
    assert [key for key, _ in keys(ordered(stops, routes, HERE))] == [2, 1, 3]


def test_without_a_route_what_is_due_first_then_what_is_nearest():
    stops = [a_stop(1, 0.03), a_stop(2, 0.01), a_stop(3, 0.09, closes_ms=5)]
    assert [key for key, _ in keys(ordered(stops, {}, HERE))] == [3, 1, 2]


def test_a_pickup_goes_before_its_drop_off_however_near_that_is():
    stops = [a_stop(1, 0.05, PICKUP), a_stop(1, 0.001)]
    assert keys(ordered(stops, {}, HERE)) == [(1, PICKUP), (1, DROPOFF)]


def test_where_the_driver_stands_comes_first_and_what_was_left_is_made():
    stops = [a_stop(1, 0.001), a_stop(2, 0.05, state=StopState.ARRIVED), a_stop(3, 0.002, state=StopState.LEFT)]
    assert [key for key, _ in keys(ordered(stops, {}, HERE))] == [2, 1]


def test_a_promise_stays_with_its_stop_when_the_order_changes():
    plan = build_plan(7, [a_stop(1, 0.01), a_stop(2, 0.02)], {}, HERE, NOTHING)
    plan["promise"], plan["promised"] = [[1, 2, 3], [4, 5, 6]], [9, 9]
    routes = {"rte_1": RouteOrder(1, 0, "van", (("dlv_2", "dropoff"), ("dlv_1", "dropoff")))}
    again = build_plan(7, [a_stop(1, 0.01), a_stop(2, 0.02), a_stop(3, 0.03)], routes, HERE, plan)
    assert again["delivery"].tolist() == [2, 1, 3]
    assert again["promise"].tolist() == [[4, 5, 6], [1, 2, 3], [0, 0, 0]]


@given(st.data(), st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2), st.booleans()), min_size=1, max_size=12))
def test_every_next_stop_is_the_nearest_of_the_most_urgent_that_may_be_made(data, drawn):
    stops = []
    for key, (north, closes, is_fetched) in enumerate(drawn):
        stops.append(a_stop(key, north / 100, closes_ms=closes))
        if is_fetched:
            stops.append(a_stop(key, data.draw(st.integers(-9, 9)) / 100, PICKUP, closes_ms=closes))
    made = ordered(stops, {}, HERE)
    assert sorted(keys(made)) == sorted(keys(stops))
    here = HERE
    for turn, stop in enumerate(made):
        left = made[turn:]
        fetched = {one.delivery for one in left if one.kind is PICKUP}
        free = [one for one in left if one.kind is PICKUP or one.delivery not in fetched]
        urgent = [one for one in free if (one.closes_ms or np.inf) == min(other.closes_ms or np.inf for other in free)]
        assert stop in urgent
        away_m = [distance_m(*here, one.latitude, one.longitude) for one in urgent]
        assert distance_m(*here, stop.latitude, stop.longitude) == min(away_m)
        here = (stop.latitude, stop.longitude)


def test_a_leg_stays_predicted_while_it_begins_and_ends_where_it_did():
    places = {1: 0.01, 2: 0.02, 3: 0.03, 4: 0.04}
    plan = build_plan(7, [a_stop(key, north) for key, north in places.items()], {}, HERE, NOTHING)
    plan["flags"], plan["base_s"] = AheadFlag.PREDICTED | AheadFlag.LATE, [10, 20, 30, 40]
    places[4] = 0.05  # moved
    del places[1]
    again = build_plan(7, [a_stop(key, north) for key, north in places.items()], {}, HERE, plan)
    assert again["delivery"].tolist() == [2, 3, 4]
    assert (again["flags"] & AheadFlag.PREDICTED > 0).tolist() == [False, True, False]
    assert again["base_s"].tolist() == [0, 30, 0]
    assert (again["flags"] & AheadFlag.LATE > 0).all()
