"""From deliveries and vehicles to a problem, through OR-Tools, and back to stops that keep every limit."""

import dataclasses
import datetime
import random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.routing.drafts import planned_draft
from engine.routing.planning import Plan, PlanConstraints, PlanTerms, Tour, Wish, constraints_of, shift_of
from engine.routing.problem import InOrder, Solution
from engine.routing.problem import Visit as Entry
from engine.routing.rests import Rest
from engine.routing.schedule import check_order, schedule
from engine.routing.solvers.or_tools import improve
from engine.routing.verifier import check_route, verify
from models.documents.clock import DayWindow
from models.documents.delivery import Delivery, Place, Position, TimeWindow
from models.documents.route import PlanLimits
from models.documents.vehicle import Capacity, Vehicle

START = datetime.datetime(2026, 11, 25, 8, tzinfo=datetime.UTC)
DEPOT = Position(latitude=41.15, longitude=-8.62)
NONE = PlanConstraints()
HOUR = datetime.timedelta(hours=1)


def deliveries(count, **fields):
    rng = random.Random(count)
    return [
        Delivery(
            id=f"dlv_{n}",
            tenant="ten_a",
            dropoff=Place(latitude=41.1 + rng.random() / 10, longitude=-8.7 + rng.random() / 10),
            pickup=Place(latitude=41.12, longitude=-8.6) if n % 4 == 0 else None,
            weight_kg=10,
            service_time_s=120,
            **fields,
        )
        for n in range(count)
    ]


def tours(count, hours=10, **fields):
    back = START + datetime.timedelta(hours=hours)
    made = [Vehicle(id=f"veh_{n}", tenant="ten_a", name=f"van {n}", **fields) for n in range(count)]
    return [Tour(vehicle, DEPOT, DEPOT, START, back) for vehicle in made]


@pytest.mark.parametrize("criteria", [{"distance": 1.0}, ["fuel"], ["time", "distance"]])
@pytest.mark.parametrize(
    "fields", [{"capacity": Capacity(weight_kg=80)}, {"max_stops": 9}, {"max_route_time_s": 9000, "profile": "bike"}]
)
def test_a_solution_keeps_what_the_schedule_checks(criteria, fields):
    wanted, vans = deliveries(24), tours(6, **fields)
    plan = Plan(wanted, vans, START, dict.fromkeys(criteria, 1.0), NONE)
    solution = improve(plan.problem, 0.5)
    known, served = {one.id: one for one in wanted}, []
    for tour, visits in plan.visits(solution):
        check_order(visits, known)
        found = schedule(
            visits,
            known,
            tour.leaves,
            origin=tour.origin,
            destination=tour.destination,
            profile=tour.vehicle.profile,
            limits=tour.limits(NONE),
        )
        assert found.violations == ()
        served += [visit.delivery_id for visit in visits if visit.kind == "dropoff"]
    left = [one.delivery_id for one in plan.unserved(solution)]
    assert sorted(served + left) == sorted(known)


def test_a_better_start_is_kept():
    plan = Plan(deliveries(20), tours(3), START, {"distance": 1.0}, NONE)
    told = []
    first = improve(plan.problem, 1.0, report=told.append)
    assert told[-1].cost == first.cost
    assert improve(plan.problem, 0.5, first).cost <= first.cost


@pytest.mark.parametrize(
    ("fields", "vans", "reason"),
    [
        ({}, tours(1, capacity=Capacity(weight_kg=5)), "too heavy"),
        ({"time_window": {"start": START, "end": START + datetime.timedelta(minutes=1)}}, tours(1), "time window"),
        ({"time_window": {"start": START - 2 * HOUR, "end": START - HOUR}}, tours(1), "time window"),
        ({}, tours(1, hours=0.05), "shift"),
        ({}, tours(1, max_stops=1), "no time or room"),
    ],
)
def test_what_is_left_out_has_a_reason(fields, vans, reason):
    wanted = [one.model_copy(update={"pickup": None}) for one in deliveries(3, **fields)]
    plan = Plan(wanted, vans, START, {"time": 1.0}, NONE)
    left = plan.unserved(improve(plan.problem, 0.3))
    assert left
    assert all(reason in one.reason for one in left)


def test_urgent_ones_are_the_last_to_be_left_out():
    wanted = [one.model_copy(update={"pickup": None}) for one in deliveries(6)]
    wanted[2] = wanted[2].model_copy(update={"priority": "urgent"})
    plan = Plan(wanted, tours(1, max_stops=1), START, {"time": 1.0}, NONE)
    solution = improve(plan.problem, 0.3)
    assert 2 not in solution.unserved


def test_a_shift_is_in_the_companys_own_time():
    night = Vehicle(id="veh_1", tenant="ten_a", name="x", shift={"start": "22:00", "end": "06:00"})
    leaves, back = shift_of(night, START, ZoneInfo("Asia/Shanghai"))
    assert leaves == datetime.datetime(2026, 11, 25, 14, tzinfo=datetime.UTC)
    assert back - leaves == datetime.timedelta(hours=8)


def test_a_plan_that_begins_at_night_is_made_for_the_shift_that_lasts():
    zone = ZoneInfo("Europe/Lisbon")
    night = Vehicle(id="veh_1", tenant="ten_a", name="x", shift={"start": "22:00", "end": "06:00"})

    def at(day, hour):
        return datetime.datetime(2026, 11, day, hour, tzinfo=datetime.UTC)

    assert shift_of(night, at(25, 23), zone) == (at(25, 23), at(26, 6))
    assert shift_of(night, at(26, 2), zone) == (at(26, 2), at(26, 6))
    assert shift_of(night, at(26, 6), zone) == (at(26, 22), at(27, 6))
    whole_day = night.model_copy(update={"shift": DayWindow(start="00:00", end="00:00")})
    assert shift_of(whole_day, at(26, 2), zone) == (at(26, 2), at(27, 0))


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 28, 7), (10, 24, 9)])
def test_a_shift_is_as_long_as_the_night_in_which_clocks_change(month, day, hours):
    night = Vehicle(id="veh_1", tenant="ten_a", name="x", shift={"start": "22:00", "end": "06:00"})
    start = datetime.datetime(2026, month, day, 12, tzinfo=datetime.UTC)
    leaves, back = shift_of(night, start, ZoneInfo("Europe/Lisbon"))
    assert back - leaves == datetime.timedelta(hours=hours)


seconds = st.floats(0, 6 * 3600)
spans = st.tuples(seconds, st.floats(600, 4 * 3600))


@st.composite
def days(draw):
    """Return a plan of one van with breaks and limits, and an order of all its visits."""
    begins = START + datetime.timedelta(microseconds=draw(st.integers(0, 10**6)))

    def moment(after_s):
        return begins + datetime.timedelta(seconds=after_s)

    def window(span):
        return TimeWindow(start=moment(span[0]), end=moment(sum(span)))

    wanted = [
        one.model_copy(
            update={
                "time_window": draw(
                    st.none() | spans.map(lambda s: TimeWindow(start=moment(s[0]), end=moment(sum(s))))
                ),
                "service_time_s": draw(st.integers(0, 3600)),
                "volume_m3": draw(st.floats(0, 0.003)),
                "pickup": None,
            }
        )
        for one in deliveries(draw(st.integers(1, 5)))
    ]
    rests = sorted(
        (
            Rest(moment(opens), moment(opens + lasts / 4), draw(st.integers(60, 3600)))
            for opens, lasts in draw(st.lists(spans, min_size=1, max_size=2))
        ),
        key=lambda rest: rest.opens,
    )
    vehicle = Vehicle(id="veh_0", tenant="ten_a", name="van", capacity=Capacity(volume_m3=0.006))
    tour = Tour(vehicle, DEPOT, DEPOT, begins, moment(10 * 3600.5), tuple(rests))
    limits = PlanConstraints(max_route_time_s=draw(st.none() | st.floats(1800, 8 * 3600)))
    order = draw(st.permutations(range(len(wanted))))
    return Plan(wanted, [tour], begins, {"time": 1.0}, limits), tour.limits(limits), tuple(Entry(n) for n in order)


@settings(max_examples=100)
@given(days())
def test_what_the_verifier_lets_pass_the_schedule_does_too_and_again_when_it_is_drawn_from_what_is_stored(day):
    plan, limits, entries = day
    solution = Solution((entries,), 0.0, ())
    checked = check_route(plan.problem, 0, entries)
    assume(not checked.violations)
    [(_, visits)], [start] = plan.visits(solution), plan.departures(solution)
    known = {one.id: one for one in plan.deliveries}

    def drawn(limits):
        return schedule(visits, known, start, origin=DEPOT, destination=DEPOT, limits=limits)

    found = drawn(limits)
    assert not found.violations
    assert found.duration_s <= checked.duration_s
    begins = min([start, *(one.start for one in found.breaks)])
    again = drawn(dataclasses.replace(limits, day_begins=begins, rests=open_at(limits.rests, begins)))
    assert again == found


def test_a_van_leaves_after_its_break_where_only_so_its_day_is_short_enough():
    rest = Rest(START, START + 0.5 * HOUR, 1800)
    tour = Tour(Vehicle(id="veh_0", tenant="ten_a", name="van"), DEPOT, DEPOT, START, START + 10 * HOUR, (rest,))
    wanted = [one.model_copy(update={"service_time_s": 3600, "pickup": None}) for one in deliveries(3)]

    def drafted(limits):
        plan = Plan(wanted, [tour], START, {"time": 1.0}, constraints_of(limits))
        solution = Solution(((Entry(0), Entry(1), Entry(2)),), 0.0)
        [(_, visits)], [shortest] = plan.visits(solution), plan.departures(solution)
        [check] = verify(plan.problem, solution).routes
        return planned_draft(plan, tour, visits, shortest, limits, "job_a"), check

    early, check = drafted(PlanLimits())
    assert early.start == early.day_begins == START
    late, check = drafted(PlanLimits(max_route_time=check.duration_s + 60))
    assert not check.violations
    assert late.start == START + 0.5 * HOUR
    assert late.day_begins == START


def open_at(rests, moment):
    """Return the breaks that are still to be taken, as they are asked for anew."""
    return tuple(dataclasses.replace(one, opens=max(one.opens, moment)) for one in rests if one.closes >= moment)


def test_what_holds_in_one_plan_goes_before_what_deliveries_say():
    wanted, vans = deliveries(3), tours(2)
    ids, vehicles = [one.id for one in wanted], [one.vehicle.id for one in vans]
    wishes = {
        ids[0]: Wish(is_mandatory=True, allowed=frozenset(vehicles[1:])),
        ids[1]: Wish(priority="urgent", forbidden=frozenset(vehicles[:1])),
    }
    terms = PlanTerms(wishes, [(InOrder, (ids[2], ids[0]))], balance=0.5)
    problem = Plan(wanted, vans, START, {"time": 1.0}, NONE, terms).problem
    plain = Plan(wanted, vans, START, {"time": 1.0}, NONE).problem
    first, second, third = problem.jobs
    assert (first.penalty, first.allowed, second.forbidden) == (None, {1}, {0})
    assert second.penalty == 10 * plain.jobs[1].penalty
    assert third == plain.jobs[2]
    assert (problem.relations, problem.balance) == ([InOrder((2, 0))], 0.5)


def test_a_plan_takes_the_breaks_of_its_vehicles():
    """Two vans with more than half a day of work each, and half an hour at noon."""
    lunch = Rest(START + 3.5 * HOUR, START + 4.5 * HOUR, 1800)
    wanted = [one.model_copy(update={"service_time_s": 1200}) for one in deliveries(24)]
    vans = [dataclasses.replace(tour, rests=(lunch,)) for tour in tours(2)]
    plan = Plan(wanted, vans, START, {"time": 1.0}, NONE)
    solution = improve(plan.problem, 1.0)
    assert verify(plan.problem, solution).is_feasible
    known = {one.id: one for one in wanted}
    for tour, visits in plan.visits(solution):
        ends = {"origin": tour.origin, "destination": tour.destination}
        found = schedule(visits, known, tour.leaves, **ends, limits=tour.limits(NONE))
        assert not found.violations
        if found.end > lunch.closes:
            [taken] = found.breaks
            assert lunch.opens <= taken.start <= lunch.closes
