"""What an order of stops comes to."""

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.routing.rests import Rest, place_rests, rests_of
from engine.routing.schedule import Limits, check_order, schedule, spare_s
from models.documents.delivery import Delivery, Place, Position, Status, TimeWindow
from models.documents.route import Visit
from models.documents.vehicle import Vehicle
from models.errors import InvalidInput

START = datetime.datetime(2026, 11, 25, 8, tzinfo=datetime.UTC)
DEPOT = Position(latitude=41.15, longitude=-8.62)


def a_delivery(number, *, pickup=False, **fields):
    place = Place(latitude=41.15 + number / 200, longitude=-8.61)
    return Delivery(id=f"dlv_{number}", tenant="ten_a", dropoff=place, pickup=DEPOT_PLACE if pickup else None, **fields)


DEPOT_PLACE = Place(latitude=DEPOT.latitude, longitude=DEPOT.longitude)


def drop(number):
    return Visit(delivery_id=f"dlv_{number}")


def fetch(number):
    return Visit(delivery_id=f"dlv_{number}", kind="pickup")


def planned(visits, deliveries, **options):
    known = {delivery.id: delivery for delivery in deliveries}
    check_order(visits, known)
    return schedule(visits, known, START, origin=DEPOT, **options)


@given(st.permutations(range(6)), st.booleans())
def test_times_go_forward_and_lengths_add_up(order, returns):
    deliveries = [a_delivery(number, service_time_s=60 * number, weight_kg=1) for number in range(6)]
    plan = planned([drop(n) for n in order], deliveries, destination=DEPOT if returns else None)
    moments = [START] + [moment for stop in plan.stops for moment in (stop.arrival, stop.departure)] + [plan.end]
    assert moments == sorted(moments)
    assert plan.duration_s == (plan.end - START).total_seconds()
    legs_m = sum(stop.leg_distance_m for stop in plan.stops)
    assert plan.distance_m >= legs_m - 1
    assert (plan.distance_m > legs_m + 1) == returns
    assert [stop.load_kg for stop in plan.stops] == [5, 4, 3, 2, 1, 0]


def test_one_waits_for_a_window_and_is_told_when_it_is_missed():
    opens = START + datetime.timedelta(hours=2)
    window = {"start": opens, "end": opens + datetime.timedelta(minutes=5)}
    first, second = a_delivery(1, time_window=window), a_delivery(2, time_window=window)
    plan = planned([drop(1), drop(2)], [first, second])
    assert plan.stops[0].wait_s > 3600
    assert plan.stops[0].departure == opens
    assert [(one.kind, one.stop) for one in plan.violations] == []
    slow = first.model_copy(update={"service_time_s": 600})
    late = planned([drop(1), drop(2)], [slow, second])
    assert [(one.kind, one.stop) for one in late.violations] == [("late", 1)]


def test_leaving_later_by_what_is_spare_ends_the_waiting_and_is_late_nowhere():
    opens = START + datetime.timedelta(hours=2)
    window = {"start": opens, "end": opens + datetime.timedelta(minutes=5)}
    deliveries = {one.id: one for one in (a_delivery(1), a_delivery(2, time_window=window))}
    plan = schedule([drop(1), drop(2)], deliveries, START, origin=DEPOT)
    later = START + datetime.timedelta(seconds=spare_s(plan, deliveries))
    again = schedule([drop(1), drop(2)], deliveries, later, origin=DEPOT)
    assert plan.stops[1].wait_s > 3600
    assert again.stops[1].wait_s < 1
    assert again.end == plan.end
    assert again.violations == ()


def test_what_is_picked_up_counts_from_there():
    deliveries = [a_delivery(1, weight_kg=600), a_delivery(2, pickup=True, weight_kg=600)]
    limits = Limits(weight_kg=1000)
    fine = planned([drop(1), fetch(2), drop(2)], deliveries, limits=limits)
    assert [stop.load_kg for stop in fine.stops] == [0, 600, 0]
    assert fine.violations == ()
    heavy = planned([fetch(2), drop(1), drop(2)], deliveries, limits=limits)
    assert [(one.kind, one.stop, one.excess) for one in heavy.violations] == [("overweight", 0, 200)]


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Limits(distance_m=100), "too_far"),
        (Limits(duration_s=100), "too_long"),
        (Limits(stops=1), "too_many_stops"),
        (Limits(shift_end=START + datetime.timedelta(seconds=10)), "shift"),
        (Limits(volume_m3=0.5), "overfull"),
    ],
)
def test_every_limit_is_looked_at(limits, kind):
    deliveries = [a_delivery(1, volume_m3=0.4), a_delivery(2, volume_m3=0.4)]
    assert [one.kind for one in planned([drop(1), drop(2)], deliveries, limits=limits).violations] == [kind]


@pytest.mark.parametrize(
    ("visits", "field"),
    [
        ([drop(9)], "stops.0"),
        ([drop(1), drop(1)], "stops.1"),
        ([fetch(1), drop(1)], "stops.0"),
        ([drop(2), fetch(2)], "stops.1"),
        ([drop(1), fetch(2)], "stops.1"),
        ([drop(3)], "stops.0"),
        ([fetch(4), drop(4)], "stops.0"),
    ],
)
def test_what_cant_be_driven_is_refused_with_its_place(visits, field):
    deliveries = [
        a_delivery(1),
        a_delivery(2, pickup=True),
        Delivery(id="dlv_3", tenant="ten_a", dropoff=Place(address="somewhere")),
        a_delivery(4, pickup=True, status=Status.PICKED_UP),
    ]
    with pytest.raises(InvalidInput) as refused:
        planned(visits, deliveries)
    assert refused.value.fields[0][0] == field


def at(hour, minute=0):
    return START.replace(hour=hour, minute=minute)


def test_a_break_is_taken_on_the_way_and_the_rest_is_later():
    deliveries = [a_delivery(number, service_time_s=1800) for number in range(8)]
    lunch = Rest(at(9, 30), at(10), 1800)
    plan = planned([drop(n) for n in range(8)], deliveries, limits=Limits(rests=(lunch,)))
    plain = planned([drop(n) for n in range(8)], deliveries)
    [taken] = plan.breaks
    assert lunch.opens <= taken.start <= lunch.closes
    assert taken.end - taken.start == datetime.timedelta(minutes=30)
    assert not plan.violations
    assert plan.stops[taken.before - 1].departure <= taken.start
    assert plan.stops[taken.before].arrival >= taken.end
    assert plan.stops[0] == plain.stops[0]
    # driving goes on until the break begins, so no more than its length is lost
    assert plain.end < plan.end <= plain.end + datetime.timedelta(minutes=30, seconds=2)


def test_a_break_fits_into_waiting():
    window = TimeWindow(start=at(11), end=at(12))
    deliveries = [a_delivery(0), a_delivery(1, time_window=window)]
    visits = [drop(0), drop(1)]
    plan = planned(visits, deliveries, limits=Limits(rests=(Rest(at(9), at(10), 1800),)))
    assert plan.end == planned(visits, deliveries).end
    assert [one.before for one in plan.breaks] == [1]
    assert spare_s(plan, {one.id: one for one in deliveries}) <= 7200


def test_a_break_is_taken_though_somebody_is_late_for_it_and_one_that_finds_no_place_is_said():
    rests = (Rest(at(9), at(10), 1800),)
    long = a_delivery(0, service_time_s=4 * 3600)
    waited = planned([drop(0)], [long], limits=Limits(rests=rests), destination=DEPOT)
    assert ([one.before for one in waited.breaks], waited.violations) == ([0], ())  # the stop begins after it
    early = long.model_copy(update={"time_window": TimeWindow(start=at(8), end=at(8, 30))})
    plan = planned([drop(0)], [early], limits=Limits(rests=rests), destination=DEPOT)
    [taken] = plan.breaks
    assert (taken.before, taken.start, plan.stops[0].wait_s) == (0, at(9), 0)
    assert [(one.kind, one.stop, one.excess) for one in plan.violations] == [("late", 0, 3600)]
    twice = planned([drop(0)], [long], limits=Limits(rests=(Rest(at(9), at(9, 10), 1800),) * 2), destination=DEPOT)
    assert [(one.kind, one.excess) for one in twice.violations] == [("break", 1)]


def test_breaks_are_those_of_the_day_and_of_what_is_left_of_it():
    zone = ZoneInfo("Europe/Lisbon")  # in winter as UTC
    vehicle = Vehicle(
        id="veh_1",
        tenant="ten_a",
        name="van",
        breaks=(
            {"window": {"start": "12:00", "end": "14:00"}, "duration_s": 1800},
            {"window": {"start": "09:00", "end": "10:00"}, "duration_s": 600},
        ),
    )
    rests = rests_of(vehicle, at(8), at(18), zone)
    assert [(one.opens, one.closes, one.length_s) for one in rests] == [
        (at(9), at(10), 600),
        (at(12), at(14), 1800),
    ]
    assert [one.opens for one in rests_of(vehicle, at(13), at(18), zone)] == [at(13)]
    assert rests_of(vehicle, at(14, 1), at(18), zone) == ()
    assert [one.opens for one in rests_of(vehicle, at(8), at(11), zone)] == [at(9)]
    night = Vehicle(
        id="veh_2",
        tenant="ten_a",
        name="van",
        breaks=({"window": {"start": "23:30", "end": "00:30"}, "duration_s": 900},),
    )
    [rest] = rests_of(night, at(22), at(22) + datetime.timedelta(hours=8), zone)
    assert rest.closes - rest.opens == datetime.timedelta(hours=1)
    [late] = rests_of(night, at(0, 10), at(6), zone)
    assert (late.opens, late.closes) == (at(0, 10), at(0, 30))


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_breaks_are_as_long_in_the_night_in_which_clocks_change(month, day):
    midnight = datetime.datetime(2026, month, day, tzinfo=ZoneInfo("Europe/Lisbon")).astimezone(datetime.UTC)
    windows = [{"start": "00:30", "end": "00:40"}, {"start": "00:45", "end": "05:00"}]
    breaks = tuple({"window": one, "duration_s": 5400} for one in windows)
    vehicle = Vehicle(id="veh_1", tenant="ten_a", name="van", breaks=breaks)
    back = midnight + datetime.timedelta(hours=8)
    rests = rests_of(vehicle, midnight, back, ZoneInfo("Europe/Lisbon"))
    placed, missing = place_rests(rests, [], 0, midnight + datetime.timedelta(hours=6), midnight)
    assert missing == 0
    assert [one.begins - midnight for one in placed] == [datetime.timedelta(minutes=30), datetime.timedelta(hours=2)]
