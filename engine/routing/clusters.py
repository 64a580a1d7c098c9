"""A first cut of a problem that is too large to be solved as a whole: jobs that lie together, and their vehicles."""

import numpy as np
from numpy.typing import NDArray

from engine.routing.decomposition import Chart, halved
from engine.routing.problem import RELOAD, Part, Problem, Stop

__all__ = ["clusters", "has_long_routes", "is_hard_to_cut"]

_LARGEST = 1000  # stops of a part: a search of more is slow to begin
_LONG = 25  # stops of a route, on average
_WIDE = 0.5  # share of the day in which a stop can be made, on average


def clusters(
    problem: Problem, chart: Chart, size: int, rng: np.random.Generator, *, least_routes: int = 1
) -> list[Part]:
    """Return parts of about `size` stops that hold all jobs, and all vehicles, each of them once.

    Vehicles that are under way bring their jobs with them. The others are dealt out by what each part has to carry,
    to the nearest of those that lack room.
    """
    stops = int(chart.stops.sum())
    enough = min(_LARGEST, round(least_routes * stops / _vehicles_in_use(problem)))
    number_of_parts = max(1, min(round(stops / max(size, enough)), len(problem.vehicles)))
    groups = halved(np.arange(len(problem.jobs)), chart.jobs, chart.stops, number_of_parts, rng)
    part_of = np.zeros(len(problem.jobs), np.int64)
    for number, group in enumerate(groups):
        part_of[group] = number
    home_of = _under_way(problem, part_of)
    vehicles: list[list[int]] = [[] for _ in groups]
    for vehicle, part in home_of.items():
        vehicles[part].append(vehicle)
    free = [number for number in range(len(problem.vehicles)) if number not in home_of]
    _deal(problem, part_of, vehicles, free)
    return [
        problem.part(np.flatnonzero(part_of == number).tolist(), sorted(members))
        for number, members in enumerate(vehicles)
        if members
    ]


def has_long_routes(problem: Problem) -> bool:
    """Return whether vehicles have many stops each."""
    return len(_stops(problem)) >= _LONG * _vehicles_in_use(problem)


def is_hard_to_cut(problem: Problem) -> bool:
    """Return whether a first cut decides more than rounds undo.

    So it is with several depots, since it decides from which each stop is served; and where routes are long and most
    windows wide, so that nearly any stop may go into any route near it.
    """
    if len({vehicle.start for vehicle in problem.vehicles}) > 1:
        return True
    if not has_long_routes(problem):
        return False
    stops = _stops(problem)
    day = max(1, max(van.shift[1] for van in problem.vehicles) - min(van.shift[0] for van in problem.vehicles))
    open_s = (sum(until - opens for opens, until in stop.windows) if stop.windows else day for stop in stops)
    return sum(min(1.0, seconds / day) for seconds in open_s) >= _WIDE * len(stops)


def _stops(problem: Problem) -> list[Stop]:
    return [stop for job in problem.jobs for stop in (job.pickup, job.delivery) if stop is not None]


def _vehicles_in_use(problem: Problem) -> int:
    """Return how many vehicles the goods need; all of them, where room is not what binds."""
    needed, room = problem.loads().sum(axis=0), np.maximum(1, np.median(problem.capacities(), axis=0))
    by_load = int(np.ceil(needed / room).max(initial=1))
    return by_load if 1 < by_load < len(problem.vehicles) else len(problem.vehicles)


def _under_way(problem: Problem, part_of: NDArray[np.int64]) -> dict[int, int]:
    """Return the part of each vehicle that has jobs of its own, and move those jobs into it."""
    own: dict[int, list[int]] = {}
    for number, vehicle in enumerate(problem.vehicles):
        own[number] = [visit.job for visit in vehicle.pinned if visit.job != RELOAD]
    for number, job in enumerate(problem.jobs):
        if job.on_board is not None:
            own[job.on_board].append(number)
    homes = {}
    for number, jobs in own.items():
        if jobs:
            homes[number] = int(part_of[jobs[0]])
            part_of[jobs] = homes[number]
    return homes


def _deal(problem: Problem, part_of: NDArray[np.int64], vehicles: list[list[int]], free: list[int]) -> None:
    """Deal vehicles out so that every part gets the same share of the room that it needs."""
    counts = problem.loads().any(axis=0)  # of what nothing needs, no part has a share, however many vehicles it gets
    loads, room = problem.loads()[:, counts].astype(float), problem.capacities()[:, counts].astype(float)
    loads = np.column_stack([loads, np.ones(len(loads))])
    room = np.column_stack([room, np.full(len(room), len(loads) / len(room))])
    needed = np.array([loads[part_of == part].sum(axis=0) for part in range(len(vehicles))])
    needed = np.maximum(needed, 1e-9)
    given = np.array([room[members].sum(axis=0) for members in vehicles])
    for vehicle in free:
        part = int(np.argmin((given / needed).min(axis=1)))
        vehicles[part].append(vehicle)
        given[part] += room[vehicle]
