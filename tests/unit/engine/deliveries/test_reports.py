"""What a driver's report says of arrivals that nobody saw."""

import pytest

from engine.deliveries.reports import reported_arrivals
from engine.shards.advance import EventKind
from engine.shards.stops import PlannedStop, StopState
from tests.builders import LATITUDE, LONGITUDE, a_fix, a_shard, fixes_of, play

COLLECT = PlannedStop("pickup", LATITUDE, LONGITUDE, 60.0)
DOOR = PlannedStop("dropoff", LATITUDE + 0.02, LONGITUDE, 60.0)
AT_DOOR_M = 0.02 * 111_195


def a_shard_with(*stops):
    state = a_shard()
    return state, state.stops.open(0, 77, stops)


@pytest.mark.parametrize("status", ["delivered", "failed", "arrived"])
def test_a_hand_over_of_twenty_seconds_has_an_arrival(status):
    state, [key] = a_shard_with(DOOR)
    coming, there = a_fix(0, AT_DOOR_M - 300), [a_fix(t, AT_DOOR_M + 3) for t in (30, 35, 40, 45, 50)]
    assert play(state, fixes_of(coming, *there)).events["kind"].tolist().count(EventKind.STOP_ARRIVED) == 0
    [event] = reported_arrivals(state.drivers, 77, status, 999)
    assert (event["kind"], event["subject"], event["value2"]) == (EventKind.STOP_ARRIVED, key, 77)
    assert (event["driver"], event["position"]) == (1, 999)
    assert there[0]["time"] <= event["time"] <= there[1]["time"]
    assert state.stops.of(0)["state"].tolist() == [StopState.ARRIVED]
    assert reported_arrivals(state.drivers, 77, status, 1000).size == 0, "once"


def test_a_report_from_elsewhere_is_no_arrival():
    state, _ = a_shard_with(DOOR)
    play(state, fixes_of(a_fix(0, 0), a_fix(5, 4)))
    assert reported_arrivals(state.drivers, 77, "delivered", 999).size == 0
    assert state.stops.of(0)["state"].tolist() == [StopState.OUTSIDE]


def test_goods_that_are_picked_up_were_come_for():
    state, [collect, _] = a_shard_with(COLLECT, DOOR)
    play(state, fixes_of(a_fix(0, 200), a_fix(20, 10), a_fix(25, 10)))
    assert reported_arrivals(state.drivers, 77, "cancelled", 998).size == 0
    assert reported_arrivals(state.drivers, 77, "delivered", 998).size == 0, "the door is elsewhere"
    [event] = reported_arrivals(state.drivers, 77, "picked_up", 999)
    assert event["subject"] == collect
