"""Routes on the road, planned anew: what may move, what stays, and that nothing cheaper is overlooked."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.routing import driving, insertion
from engine.routing.problem import Break, Job, Problem, Stop, Vehicle, Visit
from engine.routing.reoptimize import Stability, UnderWay, reoptimise, warm_up
from engine.routing.travel import PlaneTravel
from engine.routing.verifier import check_route

DAY = (0, 100_000)
CALM = Stability(late=20.0, shift=0.0, move=0.0)


@st.composite
def roads(draw, vans=3, stops=4, new=1):
    """Return routes on the road in a plane, with jobs that wait."""
    count = vans * stops + new
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 1000, (2 * count + vans, 2)).astype(np.float64)
    jobs = []
    for number in range(count):
        is_pair = draw(st.booleans())
        opens = int(rng.integers(0, 4000))
        windows = ((opens, opens + int(rng.integers(500, 4000))),) if draw(st.booleans()) else ()
        pickup = Stop(count + number) if is_pair else None
        jobs.append(Job(str(number), pickup, Stop(number, windows, 60), (int(rng.integers(1, 4)),)))
    vehicles = [
        Vehicle(str(van), start=2 * count + van, capacity=(15,), shift=DAY, per_metre=0.1, per_second=1.0)
        for van in range(vans)
    ]
    routes = []
    for van in range(vans):
        route = []
        for job in range(van * stops, (van + 1) * stops):
            route += [Visit(job, True)] if jobs[job].pickup is not None else []
            route.append(Visit(job))
        routes.append(tuple(route))
    fixed = tuple(draw(st.integers(0, 2)) for _ in range(vans))
    return UnderWay(Problem(jobs, vehicles, [PlaneTravel(points)]), tuple(routes), fixed)


def cost_of(now, van, route):
    """Return what a route costs, by the plain rule: driven at once, each window waited for or missed."""
    problem, vehicle = now.problem, now.problem.vehicles[van]
    moment, here, metres, late = vehicle.shift[0], vehicle.start, 0, 0
    for visit in route:
        stop = problem.stop(visit)
        way = int(problem.travel[0].seconds(np.array([here]), np.array([stop.place]))[0, 0])
        moment, metres, here = moment + way, metres + way, stop.place
        if stop.windows:
            late += max(0, moment - stop.windows[0][1])
            moment = max(moment, stop.windows[0][0])
        moment += stop.service_s
    return metres * 0.1 + moment - vehicle.shift[0] + 20.0 * late if route else 0.0


def places_of(now, van, job):
    """Yield every way to put a job into a route behind what is fixed."""
    route, first = now.routes[van], now.fixed[van]
    if now.problem.jobs[job].pickup is None:
        for place in range(first, len(route) + 1):
            yield (*route[:place], Visit(job), *route[place:])
        return
    for begin, end in itertools.combinations_with_replacement(range(first, len(route) + 1), 2):
        yield (*route[:begin], Visit(job, True), *route[begin:end], Visit(job), *route[end:])


def has_room(now, van, route):
    return not any(one.kind == "overload" for one in check_route(now.problem, van, route).violations)


@given(roads())
@settings(max_examples=60)
def test_a_new_job_goes_where_nothing_is_cheaper(now):
    [job] = now.waiting
    found = reoptimise(now, CALM, tries=0)
    assert not found.unserved
    choices = [
        cost_of(now, van, route) - cost_of(now, van, now.routes[van])
        for van in range(len(now.routes))
        for route in places_of(now, van, job)
        if has_room(now, van, route)
    ]
    assert found.cost - found.cost_before == pytest.approx(min(choices), abs=1e-6)


@given(roads(new=2), st.sets(st.integers(0, 2), max_size=1), st.data())
@settings(max_examples=60)
def test_what_is_fixed_on_board_or_closed_stays_and_everything_is_made_once(now, closed, data):
    carried = data.draw(st.sets(st.sampled_from(range(12)), max_size=3))
    jobs = [
        Job(job.id, None, job.delivery, job.load, on_board=number // 4) if number in carried else job
        for number, job in enumerate(now.problem.jobs)
    ]
    routes = tuple(
        tuple(visit for visit in route if not (visit.pickup and visit.job in carried)) for route in now.routes
    )
    problem = Problem(jobs, now.problem.vehicles, now.problem.travel)
    now = UnderWay(problem, routes, now.fixed, closed=frozenset(closed))
    found = reoptimise(now)
    visits = [visit for route in found.routes for visit in route]
    wanted = [
        Visit(number, is_pickup)
        for number, job in enumerate(jobs)
        if number not in found.unserved
        for is_pickup in ((True, False) if job.pickup is not None else (False,))
    ]
    assert sorted(visits) == sorted(wanted)
    for van, route in enumerate(found.routes):
        assert route[: now.fixed[van]] == now.routes[van][: now.fixed[van]]
        assert van not in closed or route == now.routes[van]
        kinds = {one.kind for one in check_route(problem, van, route).violations}
        before = {one.kind for one in check_route(problem, van, now.routes[van]).violations}
        assert kinds - before <= {"late"}
    for job in carried:
        assert Visit(job) in found.routes[job // 4]


@given(roads(new=1))
@settings(max_examples=40)
def test_moving_single_stops_never_makes_it_worse(now):
    rough, better = reoptimise(now, CALM, tries=0), reoptimise(now, CALM, tries=300)
    assert better.cost <= rough.cost + 1e-6
    assert better.cost == pytest.approx(
        sum(cost_of(now, van, route) for van, route in enumerate(better.routes)), abs=1e-6
    )


@given(roads(new=0))
@settings(max_examples=30)
def test_a_broken_van_gives_away_what_it_does_not_have_on_board(now):
    now = UnderWay(now.problem, now.routes, (0, 0, 0), broken=frozenset({1}))
    found = reoptimise(now)
    assert not [visit for visit in found.routes[1] if now.problem.jobs[visit.job].on_board != 1]
    taken = {visit.job for route in found.routes for visit in route} | set(found.unserved)
    assert taken == set(range(12))


def test_people_are_left_alone_unless_it_is_worth_it():
    points = np.array([[0.0, 0], [100, 0], [200, 0], [210, 0], [0, 300]])
    jobs = [Job(str(number), None, Stop(place), (1,)) for number, place in enumerate((1, 2, 3))]
    vehicles = [Vehicle(str(van), start=place, shift=DAY, per_second=1.0) for van, place in enumerate((0, 4))]
    problem = Problem(jobs, vehicles, [PlaneTravel(points)])
    now = UnderWay(problem, ((Visit(1), Visit(0), Visit(2)), ()), (0, 0))
    assert reoptimise(now, Stability(shift=10.0)).changed == ()
    late = UnderWay(
        Problem([Job("0", None, Stop(1, ((0, 120),))), *jobs[1:]], vehicles, problem.travel), now.routes, (0, 0)
    )
    assert reoptimise(late, Stability(shift=0.1)).routes[0][0] == Visit(0)


@st.composite
def rests(draw):
    """Return the breaks of a driver, in their order."""
    taken, clock = [], 0
    for _ in range(draw(st.integers(1, 2))):
        opens = clock + draw(st.integers(0, 1500))
        taken.append(Break(((opens, opens + draw(st.integers(0, 1500))),), draw(st.integers(60, 900))))
        clock = opens
    return tuple(taken)


def with_breaks(now, breaks):
    """Return routes whose drivers take breaks."""
    vehicles = [dataclasses.replace(van, breaks=taken) for van, taken in zip(now.problem.vehicles, breaks, strict=True)]
    return UnderWay(Problem(now.problem.jobs, vehicles, now.problem.travel), now.routes, now.fixed)


def days_of(now, van, route):
    """Yield what a driver's day comes to for every choice of places for breaks: breaks left out, seconds late, end."""
    problem, vehicle = now.problem, now.problem.vehicles[van]
    for places in itertools.combinations_with_replacement(range(len(route) + 2), len(vehicle.breaks)):
        moment, here, late, missing, end = vehicle.shift[0], vehicle.start, 0, 0, 0
        for position in range(len(route) + 2):
            stop = problem.stop(route[position]) if position < len(route) else None
            way = int(problem.travel[0].seconds(np.array([here]), np.array([stop.place]))[0, 0]) if stop else 0
            clock, resting = moment, 0
            for rest, place in zip(vehicle.breaks, places, strict=True):
                [(opens, closes)] = rest.windows
                # one that comes too late is left out, and so are those after it
                if place == position and (clock > closes or missing):
                    missing += 1
                elif place == position:
                    clock = max(clock, opens) + rest.length_s
                    resting += rest.length_s
            if stop is None:
                end = max(moment + resting, clock) if position == len(route) else end
                moment = end
                continue  # the last place is after the end
            moment, here = max(moment + way + resting, clock), stop.place
            if stop.windows:
                late += max(0, moment - stop.windows[0][1])
                moment = max(moment, stop.windows[0][0])
            moment += stop.service_s
        yield missing, late, end


@given(roads(vans=1, stops=3, new=0), rests())
@settings(max_examples=150)
def test_breaks_are_taken_where_nobody_is_late_for_them_and_the_day_is_shortest(now, breaks):
    now = with_breaks(now, [breaks])
    [route] = now.routes
    missing, late, end = min(days_of(now, 0, route))
    cost = reoptimise(now, CALM, tries=0).cost - 0.1 * check_route(now.problem, 0, route).distance_m
    assert cost >= 20.0 * late + 1e7 * missing
    assert cost < 1e7 * (missing + 1)
    if late == 0:
        assert cost == pytest.approx(end + 1e7 * missing, abs=1e-6)


@given(roads(vans=2, stops=3, new=2), st.tuples(rests(), rests()))
@settings(max_examples=60)
def test_nothing_is_taken_up_for_which_a_break_is_given_up(now, breaks):
    jobs = [
        dataclasses.replace(job, delivery=dataclasses.replace(job.delivery, windows=())) for job in now.problem.jobs
    ]
    now = with_breaks(UnderWay(Problem(jobs, now.problem.vehicles, now.problem.travel), now.routes, now.fixed), breaks)
    found = reoptimise(now)
    for van, route in enumerate(found.routes):
        assert breaks_missed(now, van, route) <= breaks_missed(now, van, now.routes[van])


def breaks_missed(now, van, route):
    """Return how many breaks find no place, as the verifier counts them."""
    return sum(one.amount for one in check_route(now.problem, van, route).violations if one.kind == "break")


def test_setting_up_compiles_all_that_planning_anew_runs():
    """Whoever has warmed up compiles nothing more when the first order comes."""
    warm_up()
    rules = [one for room in (driving, insertion) for one in vars(room).values() if hasattr(one, "signatures")]
    assert rules
    before = [list(rule.signatures) for rule in rules]
    points = np.array([[0.0, 0], [100, 0], [200, 0], [0, 300]])
    jobs = [Job(str(place), Stop(place) if place == 2 else None, Stop(place, ((0, 900),)), (1,)) for place in range(3)]
    vans = [Vehicle(str(van), start=3, end=3, breaks=(Break(((0, 300),), 60),), shift=DAY) for van in range(2)]
    reoptimise(UnderWay(Problem(jobs, vans, [PlaneTravel(points)]), ((Visit(1), Visit(0)), ()), (1, 0)))
    assert [list(rule.signatures) for rule in rules] == before


def test_an_urgent_order_goes_to_the_van_whose_driver_does_not_rest():
    points = np.array([[0.0, 0], [0, 10], [1000, 0], [0, 12], [500, 0]])
    jobs = [Job("west", None, Stop(0)), Job("east", None, Stop(2)), Job("urgent", None, Stop(3, ((0, 600),)))]
    vans = [Vehicle(str(van), start=place, shift=DAY, per_second=1.0) for van, place in enumerate((1, 4))]
    plain = UnderWay(Problem(jobs, vans, [PlaneTravel(points)]), ((Visit(0),), (Visit(1),)), (0, 0))
    resting = with_breaks(plain, [(Break(((0, 0),), 1800),), ()])
    assert Visit(2) in reoptimise(plain).routes[0]
    assert Visit(2) in reoptimise(resting).routes[1]
