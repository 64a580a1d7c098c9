"""What an order of stops comes to."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.routing.schedule import Limits, check_order, schedule, spare_s
from models.documents.delivery import Delivery, Place, Position, Status
from models.documents.route import Visit
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
