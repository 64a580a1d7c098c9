"""Arrival at planned stops: standing inside, or inside for half a minute; passing is not arriving."""

import numpy as np

from engine.shards.advance import EventKind
from engine.shards.stops import PlannedStop, StopState
from tests.builders import LATITUDE, LONGITUDE, a_fix, a_shard, fixes_of, play

DOOR = PlannedStop("dropoff", LATITUDE, LONGITUDE, 60.0)


def _shard_with_stop():
    state = a_shard()
    (key,) = state.stops.open(0, 77, [DOOR])
    return state, key


def _kinds(step):
    stop_kinds = (EventKind.STOP_ARRIVED, EventKind.STOP_LEFT)
    return [
        (EventKind(event["kind"]).name, int(event["index"])) for event in step.events if event["kind"] in stop_kinds
    ]


def test_thirty_seconds_inside_arrive_once():
    state, key = _shard_with_stop()
    step = play(state, fixes_of(a_fix(0, 900), a_fix(40, 30), a_fix(55, 10), a_fix(70, 20), a_fix(100, 10)))
    assert _kinds(step) == [("STOP_ARRIVED", 3)]
    event = step.events[step.events["kind"] == EventKind.STOP_ARRIVED][0]
    assert (event["subject"], event["value2"]) == (key, 77)
    assert state.stops.of(0)["state"].tolist() == [StopState.ARRIVED]


def test_driving_past_does_not_arrive():
    state, _ = _shard_with_stop()
    assert _kinds(play(state, fixes_of(a_fix(0, 300), a_fix(20, 40), a_fix(40, -250)))) == []
    assert state.stops.of(0)["state"].tolist() == [StopState.OUTSIDE]


def test_a_standing_driver_arrives_at_a_stop_opened_where_it_stands():
    state = a_shard()
    play(state, fixes_of(a_fix(0), a_fix(200, 3)))
    state.stops.open(0, 77, [DOOR])
    assert _kinds(play(state, fixes_of(a_fix(210, 4)), first_position=3)) == [("STOP_ARRIVED", 0)]


def test_one_stray_fix_of_a_parked_van_does_not_leave():
    state, _ = _shard_with_stop()
    parked = [a_fix(t, 5) for t in range(0, 300, 30)]
    step = play(state, fixes_of(*parked, a_fix(310, 130), a_fix(330, 5), a_fix(360, 900), a_fix(380, 1500)))
    assert [kind for kind, _ in _kinds(step)] == ["STOP_ARRIVED", "STOP_LEFT"]
    assert state.stops.of(0)["state"].tolist() == [StopState.LEFT]


def test_a_return_after_leaving_arrives_again():
    state, _ = _shard_with_stop()
    there = [a_fix(t, 5) for t in (0, 40)]
    back = [a_fix(t, 5) for t in (400, 440)]
    step = play(state, fixes_of(*there, a_fix(100, 800), a_fix(120, 1000), *back))
    assert [kind for kind, _ in _kinds(step)] == ["STOP_ARRIVED", "STOP_LEFT", "STOP_ARRIVED"]


def test_late_fix_never_arrives():
    state, _ = _shard_with_stop()
    play(state, fixes_of(a_fix(0, 10), a_fix(200, 3000)))
    assert np.all(play(state, fixes_of(a_fix(100, 5)), first_position=3).events["kind"] != EventKind.STOP_ARRIVED)


def test_crawling_through_the_radius_does_not_arrive():
    """Two metres a second, a minute within the radius: a queue of traffic, not a halt."""
    state, _ = _shard_with_stop()
    crawl = [a_fix(t, 80 - 2.0 * t) for t in range(0, 85, 5)]
    assert _kinds(play(state, fixes_of(*crawl))) == []


def test_an_arrival_dates_from_the_halt():
    state, _ = _shard_with_stop()
    coming = [a_fix(0, 400), a_fix(20, 200), a_fix(40, 50)]
    step = play(state, fixes_of(*coming, *[a_fix(t, 5) for t in range(45, 90, 5)]))
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    # it was inside first after 40 s, had rolled on by 45 s and no further by 50 s
    assert (event["time"] - event["start_time"]) == 7_500


def test_who_sends_nothing_while_standing_has_not_rolled_on_so_long():
    state, _ = _shard_with_stop()
    step = play(state, fixes_of(a_fix(0, 400), a_fix(20, 200), a_fix(40, 5), a_fix(640, 5), a_fix(645, 5)))
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    assert a_fix(40, 5)["time"] <= event["time"] <= a_fix(50, 5)["time"]


def test_an_arrival_dates_from_when_the_receiver_no_longer_moves():
    """The van pulls in over metres that a place alone does not tell from a parked receiver's drift."""
    state, _ = _shard_with_stop()
    coming = [a_fix(t, 140 - 10 * t, speed=10.0) for t in (0, 5, 10)]
    pulling_in = [a_fix(t, 30 - (t - 15), speed=1.3) for t in (15, 20, 25, 30)]
    parked = [a_fix(t, 14, speed=0.1) for t in range(35, 90, 5)]
    step = play(state, fixes_of(*coming, *pulling_in, *parked))
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    assert pulling_in[-1]["time"] < event["time"] < parked[0]["time"]


def test_who_creeps_past_the_door_does_not_arrive():
    state, _ = _shard_with_stop()
    creeping = [a_fix(t, 25 - 0.4 * t, speed=0.9) for t in range(0, 120, 5)]
    assert _kinds(play(state, fixes_of(a_fix(-20, 300), *creeping))) == []


def test_a_receiver_whose_speed_is_stuck_arrives_all_the_same():
    state, _ = _shard_with_stop()
    parked = [a_fix(t, 5 + t // 5 % 3, speed=6.0) for t in range(0, 120, 5)]
    assert _kinds(play(state, fixes_of(a_fix(-20, 300, speed=6.0), *parked))) == [("STOP_ARRIVED", 19)]


def test_a_red_light_some_way_from_the_door_is_no_arrival():
    state, _ = _shard_with_stop()
    waiting = [a_fix(t, 45, speed=0.0) for t in range(0, 60, 5)]
    there = [a_fix(t, 3, speed=0.0) for t in range(70, 120, 5)]
    step = play(state, fixes_of(*waiting, a_fix(65, 20, speed=8.0), *there))
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    assert event["time"] > waiting[-1]["time"]


def test_a_van_parked_at_the_edge_does_not_arrive_with_a_stray_fix_and_the_next_passing():
    """One fix inside, by drift, starts no halt that goes on while the receiver is outside."""
    state, _, second = _shard_with_round(apart_m=70.0)
    parked = [a_fix(t, 4, speed=0.0) for t in range(0, 100, 5)]
    play(state, fixes_of(*parked, a_fix(100, 12, speed=0.0), *[a_fix(t, 4, speed=0.0) for t in range(105, 200, 5)]))
    state.stops.close(77)
    away = [a_fix(200, 15, speed=8.0), a_fix(205, 40, speed=8.0), a_fix(215, 120, speed=8.0)]
    there = [a_fix(t, 70, speed=0.0) for t in range(260, 310, 5)]
    step = play(state, fixes_of(*away, *there), first_position=60)
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    assert event["subject"] == second
    assert event["time"] >= there[0]["time"]


def _shard_with_round(apart_m=20.0):
    """A driver at the first of two doors that a plan puts in turn."""
    state = a_shard()
    first, second = (
        state.stops.open(0, delivery, [PlannedStop("dropoff", LATITUDE + shift, LONGITUDE, 60.0)])[0]
        for delivery, shift in ((77, 0.0), (78, apart_m / 111_195))
    )
    state.stops.order(0, {(77, 2): 0, (78, 2): 1})
    return state, first, second


def _arrived(step):
    return step.events["subject"][step.events["kind"] == EventKind.STOP_ARRIVED].tolist()


def test_the_door_next_door_waits_for_its_turn():
    state, first, second = _shard_with_round()
    assert _arrived(play(state, fixes_of(*[a_fix(t, 5) for t in range(0, 200, 10)]))) == [first]
    state.stops.close(77)
    later = play(state, fixes_of(*[a_fix(t, 5) for t in range(200, 260, 10)]), first_position=30)
    assert _arrived(later) == [second]
    [event] = later.events[later.events["kind"] == EventKind.STOP_ARRIVED]
    assert event["time"] >= a_fix(190, 5)["time"]


def test_a_van_that_drives_on_down_the_street_arrives_there_and_not_where_it_stood():
    state, _, second = _shard_with_round(apart_m=50.0)
    play(state, fixes_of(*[a_fix(t, 5) for t in range(0, 100, 5)]))
    state.stops.close(77)
    boarding = [a_fix(t, 5) for t in range(100, 150, 5)]
    there = [a_fix(t, 55) for t in range(160, 200, 5)]
    step = play(state, fixes_of(*boarding, *there), first_position=30)
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    assert event["subject"] == second
    assert there[0]["time"] <= event["time"] <= there[1]["time"]


def test_one_parking_place_serves_two_doors():
    state, _, second = _shard_with_round(apart_m=50.0)
    play(state, fixes_of(*[a_fix(t, 5) for t in range(0, 100, 5)]))
    state.stops.close(77)
    assert _arrived(play(state, fixes_of(*[a_fix(t, 5) for t in range(100, 220, 5)]), first_position=30)) == [second]


def test_an_arrival_dates_from_when_the_van_stopped_rolling():
    state, _ = _shard_with_stop()
    rolling = [a_fix(0, 140), a_fix(5, 40), a_fix(10, 22)]
    parked = [a_fix(t, (12, 14, 16)[t // 5 % 3]) for t in range(15, 80, 5)]
    step = play(state, fixes_of(*rolling, *parked))
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    assert rolling[-1]["time"] <= event["time"] <= parked[0]["time"]


def test_a_receiver_that_drifts_later_on_does_not_date_an_arrival_anew():
    state = a_shard()
    state.stops.open(0, 77, [PlannedStop("dropoff", LATITUDE + 0.05, LONGITUDE, 60.0)])
    state.stops.open(0, 78, [DOOR])
    state.stops.order(0, {(77, 2): 0, (78, 2): 1})
    parked = [a_fix(t, 5 if t < 60 else 25) for t in range(0, 120, 10)]
    step = play(state, fixes_of(*parked))
    [event] = step.events[step.events["kind"] == EventKind.STOP_ARRIVED]
    assert parked[0]["time"] <= event["time"] <= parked[1]["time"]


def test_a_stop_made_out_of_turn_is_believed_after_a_longer_halt():
    state = a_shard()
    state.stops.open(0, 77, [PlannedStop("dropoff", LATITUDE + 0.05, LONGITUDE, 60.0)])
    (second,) = state.stops.open(0, 78, [DOOR])
    state.stops.order(0, {(77, 2): 0, (78, 2): 1})
    assert _arrived(play(state, fixes_of(*[a_fix(t, 5) for t in range(0, 80, 10)]))) == []
    assert _arrived(play(state, fixes_of(*[a_fix(t, 5) for t in range(80, 120, 10)]), first_position=30)) == [second]
