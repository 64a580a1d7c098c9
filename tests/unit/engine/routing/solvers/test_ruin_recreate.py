"""Ruin and recreate: its plans by the verifier and against every plan that there is, and its own arithmetic."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.routing.members import members_for
from engine.routing.problem import Break, Job, Problem, Stop, Vehicle, Visit
from engine.routing.ruin.anneal import anneal, complete
from engine.routing.ruin.drive import drive, drive_on
from engine.routing.ruin.recreate import find_place, insert, shorten
from engine.routing.ruin.tails import exchange, find_exchange
from engine.routing.ruin.terrain import (
    AT,
    DEPARTS,
    FIRST,
    LEAVES_BY,
    NODE,
    SECOND,
    SIZE,
    TIMED,
    WORKED,
    empty_plan,
    room_for,
)
from engine.routing.ruin.translation import lacks, read_routes, terrain_of, write_routes
from engine.routing.search import ENGINES, Budget, Routes
from engine.routing.solvers import pyvrp
from engine.routing.solvers.ruin_recreate import improve
from engine.routing.travel import PlaneTravel
from engine.routing.verifier import check_route, verify
from tests.routing_problems import a_mixed_problem, a_plain_problem, plan_of
from tests.tiny_problems import best_value, tiny_problems, value_of

MANY = settings(max_examples=60, suppress_health_check=list(HealthCheck))
_TIMES = {"late", "shift", "too_long", "too_far"}


def without_commitments(problem: Problem) -> Problem:
    """Return a problem in which nothing is committed or on board, and nobody fills up again."""
    vans = [dataclasses.replace(van, pinned=(), reload=None, max_reloads=0) for van in problem.vehicles]
    jobs = [dataclasses.replace(job, on_board=None) for job in problem.jobs]
    return dataclasses.replace(problem, jobs=jobs, vehicles=vans)


def pairs(seed: int, jobs: int = 40) -> Problem:
    """Return goods to be moved from stop to stop, at times that make it possible."""
    rng = np.random.default_rng(seed)
    travel = PlaneTravel(rng.uniform(0, 1000, (2 * jobs + 1, 2)))
    made = []
    for number in range(jobs):
        opens = int(rng.integers(0, 5000))
        pickup = Stop(2 * number + 1, ((opens, opens + 3000),), 30)
        made.append(Job(str(number), pickup, Stop(2 * number + 2, ((opens + 500, opens + 6000),), 30), (1,)))
    return Problem(made, [Vehicle(str(n), start=0, end=0, capacity=(4,)) for n in range(jobs)], [travel])


def with_vans_alike(seed: int, jobs: int = 30) -> Problem:
    """Return goods that are brought, fetched or moved from stop to stop, for vans of one kind."""
    problem = without_commitments(a_mixed_problem(seed, jobs))
    made = [dataclasses.replace(job, skills=frozenset(), forbidden=frozenset()) for job in problem.jobs]
    van = dataclasses.replace(problem.vehicles[1], max_distance_m=None, start=36, end=37)
    vans = [dataclasses.replace(van, id=f"van {number}") for number in range(jobs)]
    return dataclasses.replace(problem, jobs=made, vehicles=vans)


def with_vans_apart(seed: int, jobs: int = 30) -> Problem:
    """Return the same jobs for vans of which each has a depot, a size, a shift, limits and skills of its own."""
    problem = without_commitments(a_mixed_problem(seed, jobs, vehicles=15))
    vans = [
        dataclasses.replace(van, per_metre=1.0, per_second=0.0, start=number, end=number + 20)
        for number, van in enumerate(problem.vehicles)
    ]
    return dataclasses.replace(problem, vehicles=vans)


def with_single_windows(seed: int, per_second: float) -> Problem:
    """Return jobs of every kind that have to be done, none with several windows, for vans of limited time."""
    problem = without_commitments(a_mixed_problem(seed))
    jobs = [
        dataclasses.replace(job, pickup=_first_window(job.pickup), delivery=_first_window(job.delivery), penalty=None)
        for job in problem.jobs
    ]
    vans = [
        dataclasses.replace(van, max_duration_s=12_000, per_second=per_second, max_distance_m=2000 + 500 * number)
        for number, van in enumerate(problem.vehicles)
    ]
    return dataclasses.replace(problem, jobs=jobs, vehicles=vans)


def _first_window(stop: Stop | None) -> Stop | None:
    return None if stop is None else dataclasses.replace(stop, windows=stop.windows[:1])


@MANY
@given(tiny_problems())
def test_no_plan_of_a_tiny_problem_breaks_a_rule_or_is_said_to_be_better_than_the_best(problem):
    easier = [dataclasses.replace(van, breaks=(), per_metre_load=0.0) for van in problem.vehicles]
    problem = without_commitments(dataclasses.replace(problem, vehicles=easier, relations=(), balance=0.0))
    assert lacks(problem) == []
    found = improve(problem, Budget(iterations=200))
    assert found.routes is not None
    plan = plan_of(problem, found.routes)
    assert {one.kind for one in verify(problem, plan).violations} <= {"unserved"}
    assert value_of(problem, plan) >= best_value(problem)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([None, 0.0, 0.5]))
def test_whatever_it_plans_keeps_every_rule_and_costs_what_it_says(seed, per_second):
    has_single = per_second is not None
    problem = with_single_windows(seed, per_second) if has_single else without_commitments(a_mixed_problem(seed))
    found = improve(problem, Budget(iterations=300, seed=seed, sample_every=1))
    broken = verify(problem, plan_of(problem, found.routes)).violations
    assert {violation.kind for violation in broken} <= {"unserved"}
    assert found.columns
    for vehicle, visits, cost in found.columns:
        check = check_route(problem, vehicle, visits)
        assert check.violations == ()
        assert check.cost <= cost + 1e-6  # with several windows a later begin may be shorter than it knows
        assert check.cost == pytest.approx(cost) or not has_single


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_how_long_a_route_takes_follows_from_what_is_before_a_leg_and_behind_another(seed):
    problem = with_single_windows(seed, 0.5)
    terrain = terrain_of(problem)
    plan = empty_plan(terrain, 2 * len(problem.jobs), seed)
    complete(terrain, plan, room_for(terrain, plan))
    assert terrain.vans[:, TIMED].all()
    for vehicle, route in enumerate(read_routes(plan)):
        for leg, behind in itertools.combinations(range(len(route) + 2), 2):
            without = check_route(problem, vehicle, route[:leg] + route[behind - 1 :])
            if without.times is not None and not {one.kind for one in without.violations} & {"late", "shift"}:
                here = plan.points[vehicle, leg, [AT, DEPARTS, WORKED, LEAVES_BY]].tolist()
                assert drive_on(terrain, plan, vehicle, *here, behind) == without.duration_s


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_job_gets_the_place_where_it_costs_least(seed):
    problem = with_single_windows(seed, 0.0)  # what a second costs is only guessed before a place is looked at
    terrain = terrain_of(problem)
    plan = empty_plan(terrain, 2 * len(problem.jobs), seed)
    work = room_for(terrain, plan)
    complete(terrain, plan, work)
    for job in np.flatnonzero(plan.where >= 0).tolist():
        home, gone = int(plan.where[job]), np.arange(len(problem.jobs)) == job
        plan.where[job] = -1
        shorten(plan, home, gone)
        if not drive(terrain, plan, home):  # a way round may be shorter than the straight one
            break
        known = places(problem, read_routes(plan), job)
        if not known:
            break
        costs = {}
        for _ in range(3):  # a place in a hundred is overlooked
            vehicle = find_place(terrain, plan, job, work, np.inf, True)
            place = vehicle, *work.counts[[FIRST, SECOND]].tolist()
            costs[place] = known[place] if vehicle >= 0 else np.inf
        best = min(costs, key=costs.__getitem__)
        assert costs[best] == pytest.approx(min(known.values()), abs=1e-3)
        insert(terrain, plan, best[0], job, *best[1:])


def places(problem: Problem, routes: Routes, job: int) -> dict[tuple[int, int, int], float]:
    """Return what a job costs in each leg of each route, or pair of legs, by the verifier."""
    one = problem.jobs[job]
    visits = [Visit(job, side == 0) for side, stop in enumerate((one.pickup, one.delivery)) if stop is not None]
    found = {}
    for vehicle, route in enumerate(routes):
        before = check_route(problem, vehicle, route).cost
        for first, second in itertools.combinations_with_replacement(range(len(route) + 1), 2):
            longer = (*route[:first], visits[0], *route[first:second], *visits[1:], *route[second:])
            if (len(visits) == 2 or first == second) and not check_route(problem, vehicle, longer).violations:
                found[vehicle, first, second] = check_route(problem, vehicle, longer).cost - before
    return found


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_no_route_costs_less_than_what_a_search_takes_for_the_least(seed):
    problem = without_commitments(a_mixed_problem(seed))
    terrain = terrain_of(problem)
    plan = empty_plan(terrain, 2 * len(problem.jobs), seed)
    complete(terrain, plan, room_for(terrain, plan))
    behind = terrain.beside.shape[1] // 2
    for job in range(len(problem.jobs)):
        for side, node in enumerate(terrain.beside[job].tolist()):
            if node < 0 or plan.where[node // 2] < 0 or plan.where[node // 2] != plan.where[job]:
                continue
            mine, leg = max(plan.spot[2 * job : 2 * job + 2]), plan.spot[node]
            if leg + (1 if side < behind else -1) == mine:
                assert terrain.reach[job, side] <= plan.legs[plan.where[job], min(leg, mine)] + 1e-3
    for vehicle, size in enumerate(plan.routes[SIZE].tolist()):
        for job in {int(node) // 2 for node in plan.points[vehicle, 1 : size + 1, NODE]}:
            assert terrain.alone[job] <= plan.cost[vehicle] + 1e-3


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 50.0]))
def test_what_changes_step_by_step_is_what_each_route_gives_when_it_is_worked_out_anew(seed, warmth):
    problem = without_commitments(a_mixed_problem(seed)) if seed % 2 else a_plain_problem(seed, 60, 12)
    terrain = terrain_of(problem)
    plan, best = (empty_plan(terrain, 2 * len(problem.jobs), seed) for _ in range(2))
    work = room_for(terrain, plan)
    costs = np.full(2, complete(terrain, plan, work))
    anneal(terrain, plan, best, work, costs, warmth, 300)
    for vehicle, size in enumerate(plan.routes[SIZE].tolist()):
        kept = [array[vehicle, : size + 1].copy() for array in (plan.points, plan.legs)]
        spots = plan.spot[plan.points[vehicle, 1 : size + 1, NODE]]
        cost, driven = plan.cost[vehicle], plan.routes[:, vehicle].copy()
        assert drive(terrain, plan, vehicle)
        if size:
            np.testing.assert_array_equal(plan.points[vehicle, : size + 1], kept[0])
            np.testing.assert_array_equal(plan.legs[vehicle, : size + 1], kept[1])
        assert spots.tolist() == list(range(1, size + 1))
        assert plan.cost[vehicle] == pytest.approx(cost)
        assert plan.routes[:, vehicle].tolist() == driven.tolist()
    missing = sum(terrain.price[job] for job in np.flatnonzero(plan.where < 0))
    assert costs[0] == pytest.approx(plan.cost.sum() + missing)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.booleans())
def test_routes_that_exchange_what_comes_behind_a_leg_keep_every_rule_and_every_job(seed, are_alike):
    problem = with_vans_alike(seed) if are_alike else with_vans_apart(seed)
    terrain = terrain_of(problem)
    plan = empty_plan(terrain, 2 * len(problem.jobs), seed)
    work = room_for(terrain, plan)
    complete(terrain, plan, work)
    served = sorted(visit for route in read_routes(plan) for visit in route)
    for _ in range(50):
        first, leg, second, beyond = find_exchange(terrain, plan, 2000.0)
        if first < 0:
            continue
        work.points[:] = plan.points
        is_sound = exchange(terrain, plan, work, first, leg, second, beyond)
        routes = read_routes(plan)
        assert sorted(visit for route in routes for visit in route) == served
        for vehicle in (first, second):
            broken = {violation.kind for violation in check_route(problem, vehicle, routes[vehicle]).violations}
            assert broken <= (set() if is_sound or are_alike else _TIMES)
        assert plan_of(problem, routes).cost <= plan.cost.sum() + 1e-6  # later begins may be shorter than it knows
        if not is_sound:
            return


def test_two_routes_that_swap_sides_half_way_are_put_right_by_one_exchange():
    """What each lacks is longer than a string, and any less of it would be a detour."""
    count = 40
    where = [(float(x), y) for y in (-100.0, 100.0) for x in range(100, 100 * (count + 1), 100)]
    travel = PlaneTravel(np.array([(0.0, 0.0), *where]))
    problem = Problem(
        [Job(str(n), None, Stop(n + 1), (1,)) for n in range(2 * count)],
        [Vehicle(str(n), start=0, end=0, capacity=(count,)) for n in range(2)],
        [travel],
    )
    terrain = terrain_of(problem)
    plan = empty_plan(terrain, 2 * count, 1)
    work = room_for(terrain, plan)
    low, high = ([Visit(side * count + n) for n in range(count)] for side in (0, 1))
    half = count // 2
    write_routes(((*low[:half], *high[half:]), (*high[:half], *low[half:])), plan)
    complete(terrain, plan, work)
    found = next(one for one in iter(lambda: find_exchange(terrain, plan, 0.0), None) if one[0] >= 0)
    work.points[:] = plan.points
    assert exchange(terrain, plan, work, *found)
    assert sorted(read_routes(plan)) == [tuple(low), tuple(high)]


def a_route_from_afar(cold: int | None = None):
    """Return the terrain, plan and work of a van whose thirty stops are at the door of another's depot.

    Each of them alone would be a detour from there. Only the first van may serve the stop `cold`.
    """
    travel = PlaneTravel(np.array([(0.0, 0.0), (10_000.0, 0.0), *((9_000.0, 100.0 * n) for n in range(30))]))
    jobs = [Job(str(n), None, Stop(n + 2), (1,), skills=frozenset({"cold"} if n == cold else ())) for n in range(30)]
    vans = [Vehicle(str(n), start=n, end=n, capacity=(30,), skills=frozenset(["cold"][n:])) for n in range(2)]
    terrain = terrain_of(Problem(jobs, vans, [travel]))
    plan = empty_plan(terrain, 30, 1)
    work = room_for(terrain, plan)
    write_routes((tuple(map(Visit, range(30))), ()), plan)
    complete(terrain, plan, work)
    return terrain, plan, work


def test_a_route_that_is_nearer_to_another_depot_goes_there_as_a_whole():
    terrain, plan, work = a_route_from_afar()
    found = next(one for one in iter(lambda: find_exchange(terrain, plan, 0.0), None) if one[1] == 0)
    work.points[:] = plan.points
    before = plan.cost.sum()
    assert exchange(terrain, plan, work, *found)
    assert read_routes(plan) == ((), tuple(map(Visit, range(30))))
    assert plan.cost.sum() < before - 10_000


def test_nothing_is_exchanged_with_a_van_that_may_not_serve_it():
    terrain, plan, _ = a_route_from_afar(cold=15)
    found = {find_exchange(terrain, plan, 1e9) for _ in range(2_000)} - {(-1, -1, -1, -1)}
    assert found
    assert all(leg >= 16 for _, leg, _, _ in found)


@pytest.mark.parametrize("problem", [a_plain_problem(3), pairs(3)])
def test_it_comes_close_to_the_other_solver(problem):
    theirs = pyvrp.improve(problem, Budget(iterations=400)).routes
    ours = [plan_of(problem, improve(problem, Budget(iterations=5000, seed=seed)).routes) for seed in (1, 2, 3)]
    assert [plan.unserved for plan in ours] == [(), (), ()]
    assert min(plan.cost for plan in ours) <= 1.02 * plan_of(problem, theirs).cost


def test_the_same_seed_and_steps_give_the_same_plan_and_another_seed_another():
    problem = pairs(1)
    first, second, other = (improve(problem, Budget(iterations=500, seed=seed)) for seed in (3, 3, 4))
    assert first == second
    assert other.routes != first.routes


def test_a_search_goes_on_from_the_plan_that_it_is_given():
    problem = pairs(2)
    start = improve(problem, Budget(iterations=100)).routes
    assert improve(problem, Budget(iterations=0), start).routes == start
    told = []
    better = improve(problem, Budget(seconds=0.6, warmth=(0.06, 0.01)), start, told.append).routes
    assert plan_of(problem, better).cost < plan_of(problem, start).cost
    assert all(verify(problem, plan_of(problem, routes)).is_feasible for routes in told)


def test_routes_of_a_hot_search_are_not_kept():
    problem = pairs(2)
    assert improve(problem, Budget(iterations=300, sample_every=1, warmth=(3.0, 0.5))).columns == ()
    assert improve(problem, Budget(iterations=300, sample_every=1, warmth=(0.05, 0.01))).columns


def test_a_search_tells_its_first_plan_if_it_finds_no_better_one():
    """As a hot one does not for a while; here there is but one plan."""
    told = []
    travel = PlaneTravel(np.array([[0.0, 0.0], [100.0, 0.0]]))
    improve(
        Problem([Job("a", None, Stop(1))], [Vehicle("v", start=0, end=0)], [travel]), Budget(0.5), None, told.append
    )
    assert told == [((Visit(0, False),),)]


def test_a_job_is_left_out_where_that_is_cheaper_and_nowhere_else():
    travel = PlaneTravel(np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 500.0]]))
    jobs = [Job("near", None, Stop(1), penalty=300.0), Job("far", None, Stop(2), penalty=300.0)]
    found = improve(Problem(jobs, [Vehicle("van", start=0, end=0)], [travel]), Budget(iterations=50))
    assert [[visit.job for visit in route] for route in found.routes] == [[0]]


def test_it_takes_part_where_it_covers_a_problem():
    problem = a_plain_problem(1, 5, 2)
    assert members_for(problem, ENGINES, is_large=False) == ("pyvrp", "ruin-recreate")
    assert members_for(pairs(1, 4), ENGINES, is_large=False) == ("pyvrp", "ruin-recreate")
    assert members_for(problem, ENGINES, is_large=True) == ("ruin-recreate", "pyvrp")
    assert members_for(problem, ("ruin-recreate", "or-tools"), is_large=True) == ("ruin-recreate",)
    assert members_for(problem, ("pyvrp", "or-tools"), is_large=True) == ("pyvrp",)
    assert members_for(problem, ("or-tools",), is_large=True) == ("or-tools",)
    apart = [*problem.vehicles, dataclasses.replace(problem.vehicles[0], start=1, end=1, shift=(0, 40_000))]
    assert members_for(dataclasses.replace(problem, vehicles=apart), ENGINES, is_large=True)[0] == "ruin-recreate"
    mixed = [*problem.vehicles, dataclasses.replace(problem.vehicles[0], capacity=(100,), fixed=50.0)]
    assert members_for(dataclasses.replace(problem, vehicles=mixed), ENGINES, is_large=True) == ("pyvrp",)
    resting = [dataclasses.replace(van, breaks=(Break(((0, 100),), 10),)) for van in problem.vehicles]
    problem = dataclasses.replace(problem, vehicles=resting)
    assert members_for(problem, ENGINES, is_large=False) == ("or-tools",)
    assert members_for(problem, ("ruin-recreate",), is_large=False) == ("or-tools",)
