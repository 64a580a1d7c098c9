"""What the verifier finds: every kind of fault, and the cost and the times of what has none."""

import dataclasses

import numpy as np
import pytest

from engine.routing.problem import RELOAD, Break, InOrder, Job, Problem, SameVehicle, Solution, Stop, Vehicle, Visit
from engine.routing.travel import UNREACHABLE, DenseTravel, PlaneTravel
from engine.routing.verifier import check_route, verify

LINE = PlaneTravel(np.array([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0], [300.0, 0.0]]))
"""Four places on a line, 100 s apart; the depot is the first."""


def a_delivery(place, **fields):
    stop = Stop(place, fields.pop("windows", ()), fields.pop("service_s", 10))
    return Job(fields.pop("id", f"to {place}"), None, stop, **fields)


def a_pair(origin, destination, **fields):
    return Job(f"{origin} to {destination}", Stop(origin), Stop(destination), **fields)


def a_vehicle(**fields):
    return Vehicle(**{"id": "van", "start": 0, "end": 0} | fields)


def go(*jobs):
    return tuple(job if isinstance(job, Visit) else Visit(job) for job in jobs)


def kinds(problem, *routes, unserved=()):
    cost = verify(problem, Solution(tuple(routes), 0.0, unserved)).cost
    return [one.kind for one in verify(problem, Solution(tuple(routes), cost, unserved)).violations]


def one_way(vehicle, *jobs, **fields):
    return Problem(jobs, [vehicle], [LINE], **fields)


def test_a_sound_plan_costs_what_its_vehicles_say():
    van = a_vehicle(fixed=1000, per_metre=2, per_second=3, per_metre_load=0.5, capacity=(5,))
    problem = one_way(van, a_delivery(1, load=(2,)), a_delivery(3, load=(3,)), balance=0.25)
    verdict = verify(problem, Solution((go(0, 1),), 1000 + 2 * 600 + 3.25 * 620 + 0.5 * (100 * 5 + 200 * 3)))
    assert verdict.is_feasible
    assert verdict.routes[0].distance_m == 600
    assert verdict.routes[0].duration_s == 620
    assert verdict.routes[0].loads == ((5, 3, 0),)


FAULTS = [
    (one_way(a_vehicle(), a_delivery(1)), [go(Visit(0, True))], ["unknown_visit"]),
    (one_way(a_vehicle(), a_delivery(1)), [go(5)], ["unknown_visit", "unserved"]),
    (one_way(a_vehicle(), a_delivery(1)), [go(0, RELOAD)], ["unknown_visit"]),
    (one_way(a_vehicle(), a_delivery(1)), [go(0, 0)], ["twice"]),
    (one_way(a_vehicle(), a_pair(1, 2)), [go(Visit(0, True))], ["incomplete"]),
    (one_way(a_vehicle(), a_pair(1, 2)), [go(0)], ["incomplete"]),
    (one_way(a_vehicle(), a_pair(1, 2)), [go(0, Visit(0, True))], ["order"]),
    (one_way(a_vehicle(capacity=(5,)), a_delivery(1, load=(3,)), a_delivery(2, load=(3,))), [go(0, 1)], ["overload"]),
    (
        # room for the deliveries and for the collection, and not for both
        one_way(a_vehicle(capacity=(5,)), a_delivery(2, load=(3,)), Job("c", Stop(1), None, (3,))),
        [go(Visit(1, True), 0)],
        ["overload"],
    ),
    (one_way(a_vehicle(), a_delivery(1, windows=((0, 99),))), [go(0)], ["late"]),
    (one_way(a_vehicle(shift=(0, 209)), a_delivery(1)), [go(0)], ["shift"]),
    (one_way(a_vehicle(), a_delivery(1, skills=frozenset({"cold"}))), [go(0)], ["skills"]),
    (one_way(a_vehicle(), a_delivery(1, forbidden=frozenset({0}))), [go(0)], ["not_allowed"]),
    (one_way(a_vehicle(), a_delivery(1, allowed=frozenset())), [go(0)], ["not_allowed"]),
    (one_way(a_vehicle(pinned=go(1)), a_delivery(1), a_delivery(2)), [go(0, 1)], ["pinned"]),
    (one_way(a_vehicle(pinned=go(0)), a_delivery(1)), [()], ["pinned", "unserved"]),
    (one_way(a_vehicle(max_distance_m=199), a_delivery(1)), [go(0)], ["too_far"]),
    (one_way(a_vehicle(max_duration_s=209), a_delivery(1)), [go(0)], ["too_long"]),
    (one_way(a_vehicle(max_stops=1), a_delivery(1), a_delivery(2)), [go(0, 1)], ["too_many_stops"]),
    (one_way(a_vehicle(reload=0), a_delivery(1), a_delivery(2)), [go(0, RELOAD, 1)], ["too_many_reloads"]),
    (one_way(a_vehicle(breaks=(Break(((50, 60),), 10),)), a_delivery(1, windows=((110, 110),))), [go(0)], []),
    (
        # on the road from 0 to 100, at work from 100 to 160
        one_way(a_vehicle(breaks=(Break(((105, 155),), 10),)), a_delivery(1, windows=((100, 100),), service_s=60)),
        [go(0)],
        ["break"],
    ),
    (one_way(a_vehicle(), a_delivery(1), a_delivery(2), relations=[InOrder((1, 0))]), [go(0, 1)], ["relation"]),
]


@pytest.mark.parametrize(("problem", "routes", "found"), FAULTS)
def test_a_fault_is_found_and_no_other(problem, routes, found):
    used = {job for route in routes for job, _ in route}
    unserved = tuple(job for job in range(len(problem.jobs)) if job not in used)
    assert kinds(problem, *routes, unserved=unserved) == found


def test_jobs_that_belong_together_stay_together_as_far_as_they_are_served():
    jobs = [a_delivery(1, penalty=1.0), a_delivery(2, penalty=1.0, id="b"), a_delivery(3, penalty=1.0)]
    vans = [a_vehicle(), a_vehicle(id="other")]
    problem = Problem(jobs, vans, [LINE], [SameVehicle((0, 1, 2))])
    assert kinds(problem, go(0, 1), go(2)) == ["relation"]
    assert kinds(problem, go(0), go(2), unserved=(1,)) == ["relation"]
    assert kinds(problem, go(0, 2), (), unserved=(1,)) == []


def test_goods_on_board_take_room_until_their_own_vehicle_brings_them():
    jobs = [a_delivery(1, load=(4,), on_board=0), a_delivery(2, load=(3,))]
    problem = Problem(jobs, [a_vehicle(capacity=(5,)), a_vehicle(id="b", capacity=(5,))], [LINE])
    assert kinds(problem, go(0), go(1)) == []
    assert kinds(problem, (), go(0, 1)) == ["on_board"]
    assert kinds(problem, go(1), (), unserved=(0,)) == ["overload", "unserved"]


def test_a_vehicle_that_fills_up_again_takes_more_than_it_holds():
    van = a_vehicle(capacity=(5,), reload=0, max_reloads=1)
    problem = one_way(van, a_delivery(1, load=(4,)), a_delivery(2, load=(4,)), Job("c", Stop(3), None, (5,)))
    assert kinds(problem, go(0, 1, Visit(2, True))) == ["overload"]
    assert kinds(problem, go(0, RELOAD, 1, Visit(2, True))) == []
    assert check_route(problem, 0, go(0, RELOAD, 1)).loads == ((4, 0, 4, 0),)


def test_what_is_stated_is_checked():
    problem = one_way(a_vehicle(), a_delivery(1), a_delivery(2, penalty=70.0))
    verdict = verify(problem, Solution((go(0),), 200.0, (1,)))
    assert verdict.is_feasible
    assert verdict.penalty == 70.0
    assert [one.kind for one in verify(problem, Solution((go(0),), 199.0, (1,))).violations] == ["cost"]
    assert [one.kind for one in verify(problem, Solution((go(0),), 200.0, ())).violations] == ["incomplete"]
    assert not verify(problem, Solution((go(0),), float("nan"), (1,))).is_feasible
    assert not verify(problem, Solution((), 0.0, ())).is_feasible


def test_a_job_is_served_by_one_vehicle():
    problem = Problem([a_delivery(1)], [a_vehicle(), a_vehicle(id="b")], [LINE])
    assert kinds(problem, go(0), go(0)) == ["twice"]


def test_no_way_is_no_long_way():
    matrix = np.array([[0, UNREACHABLE], [50, 0]], np.int32)
    problem = Problem([a_delivery(1)], [a_vehicle()], [DenseTravel(matrix, matrix)])
    assert "unreachable" in kinds(problem, go(0))


def test_one_leaves_as_late_as_costs_no_time_at_the_end():
    problem = one_way(a_vehicle(), a_delivery(1, windows=((500, 600),)), a_delivery(2, windows=((700, 900),)))
    times = check_route(problem, 0, go(0, 1)).times
    assert (times.start_s, times.end_s) == (490, 910)
    assert times.begins == (590, 700)


def test_of_several_windows_the_ones_that_make_the_day_short_are_kept():
    early_or_late = ((100, 110), (1000, 1100))
    problem = one_way(a_vehicle(), a_delivery(1, windows=early_or_late), a_delivery(2, windows=((1200, 1300),)))
    times = check_route(problem, 0, go(0, 1)).times
    assert times.begins == (1090, 1200)
    assert times.duration_s == 420


@pytest.mark.parametrize(
    ("window", "duration_s"),
    [((0, 10_000), 210), ((50, 60), 240), ((120, 125), 240), ((0, 20), 210), ((205, 300), 210)],
)
def test_a_break_lengthens_the_day_only_where_it_must(window, duration_s):
    """The stop can only be begun at 100, so the vehicle is under way from 0 to 210."""
    van = a_vehicle(breaks=(Break((window,), 30),), shift=(0, 1000))
    stop = a_delivery(1, windows=((100, 130),))
    check = check_route(one_way(van, stop), 0, go(0))
    assert check.violations == ()
    assert check.times.duration_s == duration_s


def test_a_part_knows_no_more_than_it_needs():
    jobs = [a_delivery(3, allowed=frozenset({0, 1})), a_delivery(1, on_board=1), a_pair(2, 3)]
    problem = Problem(jobs, [a_vehicle(), a_vehicle(id="b", pinned=go(1))], [LINE], [SameVehicle((0, 2))])
    part = problem.part([1, 2], [1])
    assert part.problem.travel[0].size == 4
    assert part.problem.jobs[0].on_board == 0
    assert part.problem.vehicles[0].pinned == go(0)
    assert part.problem.relations == []
    whole = ((), go(1, Visit(2, True), 2))
    here = part.routes_here(whole)
    assert part.routes_there(here) == {1: whole[1]}
    assert check_route(part.problem, 0, here[0]).cost == check_route(problem, 1, whole[1]).cost
    with pytest.raises(ValueError, match="pinned"):
        problem.part([0], [1])
    with pytest.raises(ValueError, match="on board"):
        problem.part([1], [0])


def test_held_and_computed_travel_agree():
    everywhere = np.arange(4)
    held = DenseTravel(LINE.seconds(everywhere, everywhere), LINE.metres(everywhere, everywhere))
    some = np.array([3, 1])
    assert (held.part(some).seconds(np.arange(2), np.arange(2)) == LINE.part(some).seconds(*[np.arange(2)] * 2)).all()
    assert (np.array(held.legs(some, some[::-1])) == np.array(LINE.legs(some, some[::-1]))).all()
    problem = one_way(a_vehicle(), a_delivery(2))
    assert dataclasses.replace(problem, travel=[held]).dimensions == 0
