"""Routing problems made by chance, with every feature that PyVRP's model covers."""

import dataclasses

import numpy as np

from engine.routing.problem import Job, Problem, Solution, Stop, Vehicle, Visit
from engine.routing.travel import PlaneTravel
from engine.routing.verifier import verify

DAY = (0, 20_000)


def a_mixed_problem(seed: int, jobs: int = 18, vehicles: int = 5) -> Problem:
    """Return a problem of every kind of job, in which some vehicles are under way."""
    rng = np.random.default_rng(seed)
    travel = PlaneTravel(rng.uniform(0, 1000, (2 * jobs + 4, 2)))
    made = [_job(rng, number, vehicles) for number in range(jobs)]
    fleet = [_vehicle(rng, number) for number in range(vehicles)]
    for number in range(2):  # each on its way with some goods, and one stop to come for certain
        made.append(Job(f"on board {number}", None, _stop(rng, 0, 2 * jobs), (2, 1), on_board=number))
        first = len(made)
        made.append(Job(f"committed {number}", None, Stop(int(rng.integers(2 * jobs))), (1, 1)))
        pinned = [Visit(first)]
        if rng.random() < 0.5:
            made.append(Job(f"fetched {number}", Stop(int(rng.integers(2 * jobs))), Stop(0), (2, 0)))
            pinned.append(Visit(first + 1, True))
        fleet[number] = dataclasses.replace(fleet[number], pinned=tuple(pinned), reload=None, max_reloads=0)
    return Problem(made, fleet, [travel])


def a_plain_problem(seed: int, jobs: int = 60, vehicles: int = 20, capacity: int = 8) -> Problem:
    """Return deliveries from one depot, without windows."""
    rng = np.random.default_rng(seed)
    travel = PlaneTravel(rng.uniform(0, 1000, (jobs + 1, 2)))
    made = [Job(str(number), None, Stop(number), (1,)) for number in range(1, jobs + 1)]
    return Problem(made, [Vehicle(str(n), start=0, end=0, capacity=(capacity,)) for n in range(vehicles)], [travel])


def plan_of(problem: Problem, routes: tuple[tuple[Visit, ...], ...]) -> Solution:
    """Return routes as a solution, with its cost."""
    served = {visit.job for route in routes for visit in route}
    unserved = tuple(job for job in range(len(problem.jobs)) if job not in served)
    return Solution(routes, verify(problem, Solution(routes, 0.0, unserved)).cost, unserved)


def _job(rng: np.random.Generator, number: int, vehicles: int) -> Job:
    kind = rng.integers(3)
    pickup = _stop(rng, 2 * number, 0, several=kind != 2) if kind > 0 else None
    delivery = _stop(rng, 2 * number + 1, 0, several=kind != 2) if kind != 1 else None
    load = (int(rng.integers(1, 4)), int(rng.integers(3)))
    skills = frozenset({"cold"}) if rng.random() < 0.2 else frozenset()
    forbidden = frozenset({int(rng.integers(vehicles))}) if rng.random() < 0.2 else frozenset()
    penalty = float(rng.integers(100, 2000)) if rng.random() < 0.3 else None
    return Job(f"job {number}", pickup, delivery, load, penalty, skills, forbidden=forbidden)


def _stop(rng: np.random.Generator, place: int, among: int, *, several: bool = True) -> Stop:
    opens = int(rng.integers(0, 8000))
    windows = [(opens, opens + int(rng.integers(500, 4000)))]
    if several and rng.random() < 0.3:
        later = windows[0][1] + 1000
        windows.append((later, later + 2000))
    chosen = () if rng.random() < 0.3 else tuple(windows)
    return Stop(int(rng.integers(among)) if among else place, chosen, int(rng.integers(0, 200)))


def _vehicle(rng: np.random.Generator, number: int) -> Vehicle:
    return Vehicle(
        f"van {number}",
        start=None if rng.random() < 0.2 else 36,
        end=None if rng.random() < 0.3 else 37,
        capacity=(int(rng.integers(8, 14)), 9),
        shift=DAY,
        skills=frozenset({"cold"}) if number % 2 else frozenset(),
        max_distance_m=int(rng.integers(5000, 9000)) if rng.random() < 0.3 else None,
        max_duration_s=int(rng.integers(9000, 16000)) if rng.random() < 0.3 else None,
        fixed=float(rng.integers(0, 300)),
        per_metre=float(rng.choice([1.0, 1.25])),
        per_second=float(rng.choice([0.0, 0.5])),
    )
