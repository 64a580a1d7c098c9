"""The order of a driver's day."""

import datetime
from datetime import UTC
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.deliveries.round import end_of_day, round_of, stop_ahead
from models.documents.delivery import Delivery, Place, Position, Status, TimeWindow
from models.documents.route import Visit

NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
EVENING = end_of_day(NOW, "UTC")
HERE = Position(latitude=41.15, longitude=-8.61)


def hours(count):
    return NOW + datetime.timedelta(hours=count)


def a_delivery(number, *, north=0.0, by=None, status=Status.ACCEPTED, **fields):
    window = TimeWindow(start=hours(by - 1), end=hours(by)) if by is not None else None
    place = Place(latitude=41.15 + north, longitude=-8.61)
    return Delivery(
        id=f"dlv_{number}", tenant="ten_1", dropoff=place, driver="drv_1", status=status, time_window=window, **fields
    )


def ordered(*deliveries, here=HERE):
    return [stop.delivery.id[-1] for stop in round_of(deliveries, here, EVENING)]


def test_a_deadline_goes_before_priority_and_priority_before_distance():
    near, urgent = a_delivery(1, north=0.01), a_delivery(2, north=0.2, priority="urgent")
    soon, late = a_delivery(3, north=0.5, by=2), a_delivery(4, north=0.0, by=6)
    assert ordered(near, urgent, soon, late) == ["3", "4", "2", "1"]


def test_whom_the_driver_stands_before_comes_first():
    assert ordered(a_delivery(1, by=1), a_delivery(2, north=0.4, status=Status.ARRIVED)) == ["2", "1"]


def test_equals_follow_from_one_to_the_next():
    """From the nearest on, and not all measured from where the driver began."""
    assert ordered(a_delivery(1, north=-0.03), a_delivery(2, north=0.02), a_delivery(3, north=0.05)) == ["2", "3", "1"]


def test_without_a_place_of_the_driver_the_first_made_comes_first():
    assert ordered(a_delivery(2, north=0.4), a_delivery(1, north=0.1), here=None)[0] == "1"


def test_another_days_window_waits():
    assert ordered(a_delivery(1, by=30), a_delivery(2)) == ["2"]


def test_the_pickup_comes_before_the_drop_off():
    pickup = Place(latitude=41.3, longitude=-8.61)
    assert stop_ahead(a_delivery(1, pickup=pickup)).kind == "pickup"
    assert stop_ahead(a_delivery(1, pickup=pickup, status=Status.PICKED_UP)).kind == "dropoff"


def test_a_day_ends_by_the_clocks_of_the_company():
    assert end_of_day(NOW, "UTC") == datetime.datetime(2026, 3, 3, tzinfo=UTC)
    assert end_of_day(hours(7), "Asia/Shanghai") == datetime.datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
    summer_begins = datetime.datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
    assert end_of_day(summer_begins, "Europe/Lisbon") == datetime.datetime(2026, 3, 29, 23, 0, tzinfo=UTC)


def test_a_plan_goes_before_the_rule_and_made_stops_are_left_out():
    pickup = Place(latitude=41.3, longitude=-8.61)
    waiting, on_board = a_delivery(1, pickup=pickup), a_delivery(2, pickup=pickup, status=Status.IN_TRANSIT)
    urgent = a_delivery(3, by=1, priority="urgent")
    kinds = (("2", "pickup"), ("1", "pickup"), ("2", "dropoff"), ("9", "dropoff"), ("1", "dropoff"))
    plan = [Visit(delivery_id=f"dlv_{number}", kind=kind) for number, kind in kinds]
    found = round_of([waiting, on_board, urgent], HERE, EVENING, plan)
    assert [(stop.delivery.id[-1], stop.kind) for stop in found] == [
        *(("1", "pickup"), ("2", "dropoff"), ("1", "dropoff")),
        ("3", "dropoff"),
    ]


jobs = st.lists(
    st.tuples(st.floats(-1, 1), st.sampled_from([None, 1, 2, 40]), st.sampled_from(["low", "urgent"]), st.booleans()),
    max_size=8,
)


@given(jobs=jobs, knows=st.booleans())
def test_what_is_for_today_comes_once_and_by_deadline(jobs, knows):
    made = [
        a_delivery(place, north=north, by=by, priority=priority, status=Status.ARRIVED if there else Status.ASSIGNED)
        for place, (north, by, priority, there) in enumerate(jobs)
    ]
    found = [stop.delivery for stop in round_of(made, HERE if knows else None, EVENING)]
    assert {one.id for one in found} == {
        one.id for one in made if one.time_window is None or one.time_window.start < EVENING
    }
    assert len(found) == len({one.id for one in found})
    for before, after in pairwise(found):
        if (before.status is Status.ARRIVED) == (after.status is Status.ARRIVED) and after.time_window:
            assert before.time_window
            assert before.time_window.end <= after.time_window.end
