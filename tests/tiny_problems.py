"""Problems so small that every plan can be tried, with every feature there is; and their best plan, by trying all."""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from engine.routing.problem import RELOAD, Break, InOrder, Job, Problem, SameVehicle, Solution, Stop, Vehicle, Visit
from engine.routing.travel import DenseTravel
from engine.routing.verifier import check_route, verify

__all__ = ["best_value", "tiny_problems", "value_of"]

_PLACES = 4
_moments = st.integers(0, 60)
_windows = st.lists(_moments, min_size=2, max_size=4, unique=True).map(
    lambda moments: tuple(zip(sorted(moments)[::2], sorted(moments)[1::2], strict=False))
)
_stops = st.builds(Stop, st.integers(0, _PLACES - 1), st.just(()) | _windows, st.integers(0, 4))
_ends = st.sampled_from([0, 0, 0, None])


@st.composite
def _jobs(draw: st.DrawFn, number: int, vehicles: int) -> Job:
    kind = draw(st.sampled_from(["collect", "deliver", "deliver", "move", "on board"]))
    anyone = st.frozensets(st.integers(0, vehicles - 1))
    return Job(
        f"job {number}",
        draw(_stops) if kind in ("collect", "move") else None,
        draw(_stops) if kind != "collect" else None,
        (draw(st.integers(0, 4)), draw(st.integers(0, 2))),
        draw(st.sampled_from([None, 0.0, 15.0, 60.0, 500.0])),
        draw(st.sampled_from([frozenset(), frozenset(), frozenset({"cold"})])),
        draw(st.none() | st.none() | anyone),
        draw(st.sampled_from([frozenset(), frozenset({0})])),
        draw(st.integers(0, vehicles - 1)) if kind == "on board" else None,
    )


@st.composite
def _vehicles(draw: st.DrawFn, number: int, *, reloads: bool) -> Vehicle:
    breaks = st.builds(Break, _windows, st.integers(1, 5))
    return Vehicle(
        f"vehicle {number}",
        profile=draw(st.integers(0, 1)),
        start=draw(_ends),
        end=draw(_ends),
        capacity=(draw(st.integers(3, 8)), draw(st.integers(2, 5))),
        shift=(draw(st.integers(0, 10)), draw(st.integers(30, 90))),
        skills=draw(st.sampled_from([frozenset(), frozenset({"cold"})])),
        breaks=tuple(draw(st.lists(breaks, max_size=1))),
        max_distance_m=draw(st.sampled_from([None, None, 20])),
        max_duration_s=draw(st.sampled_from([None, None, 30])),
        max_stops=draw(st.sampled_from([None, None, 2])),
        fixed=draw(st.sampled_from([0.0, 7.0])),
        per_metre=draw(st.sampled_from([1.0, 2.5])),
        per_second=draw(st.sampled_from([0.0, 0.5])),
        per_metre_load=draw(st.sampled_from([0.0, 0.0, 0.25])),
        reload=0 if reloads else None,
        max_reloads=1 if reloads else 0,
    )


@st.composite
def tiny_problems(draw: st.DrawFn, *, reloads: bool = False) -> Problem:
    """Return a problem of up to four jobs and two vehicles; pinned visits are ones that their vehicle can make."""
    count = draw(st.integers(1, 2))
    jobs = [draw(_jobs(number, count)) for number in range(draw(st.integers(1, 4)))]
    vehicles = [draw(_vehicles(number, reloads=reloads)) for number in range(count)]
    matrices = [
        np.array(draw(st.lists(st.integers(0, 9), min_size=_PLACES**2, max_size=_PLACES**2))).reshape(_PLACES, _PLACES)
        * (1 - np.eye(_PLACES, dtype=np.int64))
        for _ in range(4)
    ]
    travel = [DenseTravel(*matrices[:2]), DenseTravel(*matrices[2:])]
    relations: list[SameVehicle | InOrder] = []
    if len(jobs) > 1 and draw(st.booleans()):
        relations.append(draw(st.sampled_from([SameVehicle, InOrder]))((0, 1)))
    problem = Problem(jobs, vehicles, travel, relations)
    return _pinned(problem) if draw(st.booleans()) else problem


def value_of(problem: Problem, solution: Solution) -> tuple[int, float]:
    """Return what a solution is worth: jobs that ought to be served and are not, then cost and penalties."""
    verdict = verify(problem, solution)
    missing = sum(problem.jobs[job].penalty is None for job in verdict.unserved)
    return missing, round(verdict.cost + verdict.penalty, 6)


def best_value(problem: Problem) -> tuple[int, float]:
    """Return what the best plan of all is worth, where the only fault may be that jobs are left out."""
    best = (math.inf, math.inf)
    routes = [list(_routes(problem, vehicle)) for vehicle in range(len(problem.vehicles))]
    for chosen in itertools.product(*routes):
        served = [job for route, _ in chosen for job in {job for job, _ in route if job != RELOAD}]
        if len(served) != len(set(served)):
            continue
        left = set(range(len(problem.jobs))) - set(served)
        missing = sum(problem.jobs[job].penalty is None for job in left)
        value = sum(cost for _, cost in chosen) + sum(problem.jobs[job].penalty or 0.0 for job in left)
        if (missing, round(value, 6)) < best:
            solution = Solution(tuple(route for route, _ in chosen), 0.0, tuple(sorted(left)))
            kinds = {one.kind for one in verify(problem, solution).violations}
            if kinds <= {"cost", "unserved"}:
                best = (missing, round(value, 6))
    return best


def _pinned(problem: Problem) -> Problem:
    """Return the problem with one visit pinned to the first vehicle, if it can make it."""
    for number, job in enumerate(problem.jobs):
        visits = [Visit(number, True)] if job.pickup is not None else []
        visits += [Visit(number)] if job.delivery is not None else []
        if problem.may_serve(0, number) and not check_route(problem, 0, visits).violations:
            first = dataclasses.replace(problem.vehicles[0], pinned=tuple(visits[:1]))
            return dataclasses.replace(problem, vehicles=[first, *problem.vehicles[1:]])
    return problem


def _routes(problem: Problem, vehicle: int) -> Iterator[tuple[tuple[Visit, ...], float]]:
    """Yield the cheapest feasible route of every set of jobs, by itself and in every order that relations can tell."""
    for count in range(len(problem.jobs) + 1):
        for jobs in itertools.combinations(range(len(problem.jobs)), count):
            best: dict[bool, tuple[tuple[Visit, ...], float]] = {}
            for route in _orders(problem, vehicle, jobs):
                check = check_route(problem, vehicle, route)
                if check.violations:
                    continue
                solution = Solution(
                    tuple(route if one == vehicle else () for one in range(len(problem.vehicles))), 0.0, ()
                )
                keeps = not any(one.kind == "relation" for one in verify(problem, solution).violations)
                if keeps not in best or check.cost < best[keeps][1]:
                    best[keeps] = (route, check.cost)
            yield from best.values()


def _orders(problem: Problem, vehicle: int, jobs: tuple[int, ...]) -> Iterator[tuple[Visit, ...]]:
    visits = [
        Visit(number, is_pickup)
        for number in jobs
        for is_pickup, stop in ((True, problem.jobs[number].pickup), (False, problem.jobs[number].delivery))
        if stop is not None
    ]
    if not visits:
        yield ()
    for order in itertools.permutations(visits):
        if any(visit.pickup and Visit(visit.job) in order[:place] for place, visit in enumerate(order)):
            continue  # brought before it is fetched
        yield order
        for place in range(1, len(order)) if problem.vehicles[vehicle].max_reloads else ():
            yield (*order[:place], Visit(RELOAD), *order[place:])
