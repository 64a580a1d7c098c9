"""Breaks of routes on the road: what has been taken, what is still to come, and what a new order does to them."""

import datetime

import pytest

from engine.routing.changes import proposed_route
from engine.routing.planning import PlanConstraints, Tour
from engine.routing.rests import Rest
from engine.routing.schedule import schedule
from engine.routing.underway import ahead_of
from models.documents.delivery import Delivery, Place, Position
from models.documents.route import Route, Visit
from models.documents.vehicle import Vehicle

START = datetime.datetime(2026, 11, 25, 8, tzinfo=datetime.UTC)
DEPOT = Position(latitude=41.1, longitude=-8.6)
LUNCH = Rest(START + datetime.timedelta(minutes=60), START + datetime.timedelta(minutes=90), 1800)
VAN = Vehicle(id="veh_1", tenant="ten_a", name="van")
TOUR = Tour(VAN, DEPOT, None, START, START + datetime.timedelta(hours=10), (LUNCH,))


def after(minutes):
    return START + datetime.timedelta(minutes=minutes)


def a_delivery(number, status="in_transit", route="rte_1"):
    place = Place(address="somewhere", latitude=41.1, longitude=-8.6 + number * 1e-5)
    return Delivery(
        id=f"dlv_{number}", tenant="ten_a", status=status, route=route, dropoff=place, service_time_s=1200, number="1"
    )


def drop(number):
    return Visit(delivery_id=f"dlv_{number}")


def a_route(stops=5):
    """Return a route of twenty minutes a stop, its break before the fourth or the fifth."""
    deliveries = {f"dlv_{number}": a_delivery(number) for number in range(stops)}
    visits = [drop(number) for number in range(stops)]
    plan = schedule(visits, deliveries, START, origin=DEPOT, limits=TOUR.limits(PlanConstraints()))
    route = Route(
        id="rte_1",
        tenant="ten_a",
        status="dispatched",
        vehicle="veh_1",
        start=START,
        origin=DEPOT,
        end=plan.end,
        stops=plan.stops,
        breaks=plan.breaks,
        distance_m=plan.distance_m,
        duration_s=plan.duration_s,
    )
    return route, deliveries


def seen(now, done):
    """Return what is ahead of a van that has made some stops by a moment."""
    route, deliveries = a_route()
    for number in range(done):
        deliveries[f"dlv_{number}"] = a_delivery(number, "delivered")
    return ahead_of(route, TOUR, deliveries, None, now), deliveries


@pytest.mark.parametrize("minutes", [20, 75])
def test_a_break_to_come_keeps_its_hours_whoever_is_late(minutes):
    """At 9:15 by the plan the driver rests; with one stop made, the break is still ahead."""
    ahead, _ = seen(after(minutes), 1)
    [rest] = ahead.tour.rests
    assert (rest.opens, rest.closes) == (max(LUNCH.opens, after(minutes)), LUNCH.closes)
    assert (ahead.rested, ahead.tour.leaves) == ((), after(minutes))


def test_a_break_under_way_is_over_before_the_van_goes_on():
    route, _ = a_route()
    [taken] = route.breaks
    ahead, _ = seen(taken.start + datetime.timedelta(minutes=5), taken.before)
    assert (ahead.rested, ahead.tour.rests, ahead.tour.leaves) == (route.breaks, (), taken.end)


def test_a_break_that_is_over_is_taken_no_more():
    ahead, _ = seen(after(130), 4)
    assert (len(ahead.rested), ahead.tour.rests, ahead.tour.leaves) == (1, (), after(130))


def test_a_late_van_takes_a_break_at_once_whose_hours_are_over():
    ahead, deliveries = seen(after(120), 1)
    [rest] = ahead.tour.rests
    assert (rest.opens, rest.closes) == (after(120), after(120))
    changed = proposed_route(ahead, ahead.visits, deliveries, {})
    assert [(one.before, one.start) for one in changed.breaks] == [(0, after(120))]
    assert changed.break_changes == ()


def test_a_proposal_says_when_a_break_begins_at_another_time():
    ahead, deliveries = seen(after(20), 1)
    long = a_delivery(9, "pending", None).model_copy(update={"service_time_s": 2700})
    visits = (ahead.visits[0], drop(9), *ahead.visits[1:])
    changed = proposed_route(ahead, visits, deliveries | {long.id: long}, {})
    [one] = changed.break_changes
    [taken] = changed.breaks
    assert (one.start, one.shift_s) == (taken.start, (taken.start - one.expected).total_seconds())
    assert abs(one.shift_s) > 60
    assert LUNCH.opens <= taken.start <= LUNCH.closes
    assert all(stop.arrival >= taken.end for stop in changed.stops[taken.before :])
    gone = proposed_route(ahead, ahead.visits[:1], deliveries, {})
    assert [(one.start, one.shift_s) for one in gone.break_changes] == [(None, None)]
