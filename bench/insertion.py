"""How long it takes to find a place for an urgent order in routes on the road, and how good the plan is soon after."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report import heading
from engine.routing.portfolio import Effort, Portfolio
from engine.routing.problem import Job, Problem, Solution, Stop, Vehicle, Visit
from engine.routing.processes import ProcessRunner
from engine.routing.reoptimize import UnderWay, reoptimise, warm_up
from engine.routing.search import Routes
from engine.routing.travel import DenseTravel
from engine.routing.verifier import verify
from models.errors import BadSettings
from models.eta.base_time import PACES, base_matrices

__all__ = ["measure_improvement", "measure_insertion"]

Degrees = NDArray[np.float64]

CENTRE = (41.15, -8.61)
_SHIFT_S = 12 * 3600


def measure_insertion(*, vans: int, stops: int, orders: int, seed: int) -> dict[str, Any]:
    """Insert orders one after the other into routes on the road, and return how long each took.

    Matrices are made anew for each order, since the vans have moved. Every route's first stop is the one that its van
    is driving to, so it has to stay; so do all that are locked, one route in five up to its third stop.
    """
    warm_up()
    started = time.perf_counter()
    dice = np.random.default_rng(seed)
    spent, moved, unserved, added = [], 0, 0, []
    routes = _routes(dice, vans, stops)
    for _ in range(orders):
        latitudes, longitudes, jobs, vehicles, visits = routes
        new = _order(dice, len(jobs), len(latitudes))
        points = _points(dice, 2)
        began = time.perf_counter()
        travel = _travel(np.append(latitudes, points[0]), np.append(longitudes, points[1]))
        fixed = tuple(3 if van % 5 == 0 else 1 for van in range(vans))
        now = UnderWay(Problem([*jobs, new], vehicles, [travel]), visits, fixed)
        found = reoptimise(now)
        spent.append(time.perf_counter() - began)
        moved += sum(found.routes[van][: fixed[van]] != visits[van][: fixed[van]] for van in range(vans))
        unserved += len(found.unserved)
        added.append(found.cost - found.cost_before)
    return _heading(started, repeats=orders) | {
        "vans": vans,
        "stops": stops,
        "orders": orders,
        "p50_ms": round(float(np.percentile(spent, 50)) * 1000, 1),
        "p95_ms": round(float(np.percentile(spent, 95)) * 1000, 1),
        "max_ms": round(max(spent) * 1000, 1),
        "added_s": round(float(np.mean(added)), 1),
        "unserved": unserved,
        "moved_pinned": moved,
    }


def measure_improvement(
    *, vans: int, stops: int, orders: int, warm_s: float, cold_s: float, cores: int, seed: int
) -> dict[str, Any]:
    """Insert orders into a plan, improve it for a short time, and set it beside one that is made anew in a long time.

    The plan is itself one of `cold_s` seconds. Costs are in the problem's own units, seconds of driving and metres.

    Raises
    ------
    BadSettings
        If no plan was found in the time, which is too short then.
    """
    warm_up()
    started = time.perf_counter()
    dice = np.random.default_rng(seed)
    latitudes, longitudes, jobs, vehicles, _ = _routes(dice, vans, stops)
    new = [_order(dice, stops + number, stops + vans + 2 * number) for number in range(orders)]
    points = _points(dice, 2 * orders)
    travel = _travel(np.append(latitudes, points[0]), np.append(longitudes, points[1]))
    whole = Problem([*jobs, *new], vehicles, [travel])
    with ProcessRunner(cores) as runner:
        morning = _planned(Problem(jobs, vehicles, [travel]), runner, cold_s, seed)
        inserted = reoptimise(UnderWay(whole, morning.routes, (0,) * vans))
        warm = _planned(whole, runner, warm_s, seed, inserted.routes)
        cold = _planned(whole, runner, cold_s, seed + 1)
    return _heading(started, repeats=1) | {
        "vans": vans,
        "stops": stops,
        "orders": orders,
        "warm_s": warm_s,
        "cold_s": cold_s,
        "warm_cost": round(warm.cost, 1),
        "cold_cost": round(cold.cost, 1),
        "warm_over_cold_percent": round(100 * (warm.cost / cold.cost - 1), 2),
        "unserved": len(warm.unserved),
        "infeasible": sum(not verify(whole, found).is_feasible for found in (warm, cold)),
    }


def _heading(started: float, *, repeats: int) -> dict[str, Any]:
    return heading("insertion", seconds=round(time.perf_counter() - started, 1), repeats=repeats)


def _planned(
    problem: Problem, runner: ProcessRunner, seconds: float, seed: int, start: Routes | None = None
) -> Solution:
    found = Portfolio(problem, runner, Effort(seconds, seed=seed)).solve(start)
    if found is None:
        raise BadSettings(f"no plan was found in {seconds:g} s; give more")
    return found


def _travel(latitudes: Degrees, longitudes: Degrees) -> DenseTravel:
    distances, durations = base_matrices(latitudes, longitudes, PACES["van"])
    return DenseTravel(np.ceil(durations).astype(np.int32), np.ceil(distances).astype(np.int32))


def _points(dice: np.random.Generator, count: int) -> tuple[Degrees, Degrees]:
    return CENTRE[0] + dice.normal(0, 0.03, count), CENTRE[1] + dice.normal(0, 0.04, count)


def _order(dice: np.random.Generator, number: int, place: int) -> Job:
    closes = int(dice.integers(3600, 3 * 3600))
    return Job(str(number), Stop(place), Stop(place + 1, ((0, closes),), 120), (int(dice.integers(1, 4)),))


def _routes(
    dice: np.random.Generator, vans: int, stops: int
) -> tuple[Degrees, Degrees, list[Job], list[Vehicle], tuple[tuple[Visit, ...], ...]]:
    """Return routes by angle round the centre, each from stop to the nearest stop; half the stops have a window."""
    latitudes, longitudes = _points(dice, stops + vans)
    _, durations = base_matrices(latitudes, longitudes, PACES["van"])
    share = np.array_split(np.argsort(np.arctan2(latitudes[:stops] - CENTRE[0], longitudes[:stops] - CENTRE[1])), vans)
    vehicles = [
        Vehicle(str(van), start=stops + van, capacity=(120,), shift=(0, _SHIFT_S), per_metre=0.05, per_second=1.0)
        for van in range(vans)
    ]
    visits, windows = [], dict[int, tuple[tuple[int, int], ...]]()
    for van, members in enumerate(share):
        here, left, moment, route = stops + van, members.tolist(), 0, []
        while left:
            nearest = min(left, key=lambda stop: durations[here, stop])
            left.remove(nearest)
            moment += int(durations[here, nearest]) + 120
            if dice.random() < 0.5:
                windows[nearest] = ((max(0, moment - 3600), moment + 1800),)
            route.append(Visit(nearest))
            here = nearest
        visits.append(tuple(route))
    jobs = [
        Job(str(stop), None, Stop(stop, windows.get(stop, ()), 120), (int(dice.integers(1, 4)),))
        for stop in range(stops)
    ]
    return latitudes, longitudes, jobs, vehicles, tuple(visits)
