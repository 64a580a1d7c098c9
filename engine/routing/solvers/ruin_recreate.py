"""Ruin and recreate, our own: strings of stops are taken out of neighbouring routes and put where they cost least.

It is as good as PyVRP on pairs of pickup and delivery, and far better than OR-Tools on whatever it covers. The search
itself is compiled (`engine.routing.ruin`); here it is given a clock and a temperature.
"""

import math
import time

import numpy as np

from engine.routing.problem import Job, Problem, Stop, Vehicle
from engine.routing.ruin.anneal import anneal, complete
from engine.routing.ruin.terrain import GROUP, LOAD, NODE, ROOM, SIZE, Terrain, empty_plan, room_for
from engine.routing.ruin.translation import read_routes, terrain_of, visits_of, write_routes
from engine.routing.search import Budget, Column, Found, Report, Routes
from engine.routing.travel import PlaneTravel

__all__ = ["improve", "warm_up"]

_BATCH_S = 0.05  # between two looks at the clock
_BATCH = 100  # steps, where steps are counted
_TELL_S = 0.2
_MOST_COLUMNS = 20_000
_COOL = 0.1  # temperature above which routes are of plans too poor to be joined, and too many


def improve(problem: Problem, budget: Budget, start: Routes | None = None, report: Report | None = None) -> Found:
    """Search from a plan, or from nothing, until the budget is used up.

    Parameters
    ----------
    problem
        One that `engine.routing.ruin.translation.lacks` has nothing to say about.
    budget
        Seconds or iterations, and how warm the search is at first and at last.
    start
        Where to begin; jobs that it leaves out are tried again.
    report
        Told of better plans, a few times a second.
    """
    clock = _Clock(budget)
    search = _Annealing(terrain_of(problem), budget.seed, start)
    told_at, told = time.monotonic(), search.best_cost if start is not None else math.inf
    hot, cold = budget.warmth
    while (used := clock.used) < 1:
        warmth = hot * (cold / hot) ** used
        search.run(warmth, clock.batch)
        clock.note()
        if budget.sample_every is not None and warmth < _COOL:
            search.collect()
        if report is not None and search.best_cost < told and time.monotonic() - told_at > _TELL_S:
            told_at, told = time.monotonic(), search.best_cost
            report(search.routes)
    return Found(search.routes, search.columns(), clock.steps)


def warm_up() -> None:
    """Compile the search, or read it from the disk."""
    jobs = [Job(str(place), None, Stop(place)) for place in (1, 2)]
    travel = PlaneTravel(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    improve(Problem(jobs, [Vehicle("van", start=0, end=0)], [travel]), Budget(iterations=1))


class _Clock:
    """How much of a budget is used, and how many steps go into the next batch."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._begun = budget, time.monotonic()
        self._looked = self._begun
        self.steps = 0
        self.batch = _BATCH if budget.iterations is None else min(_BATCH, budget.iterations)

    @property
    def used(self) -> float:
        """Return the share that is used, from 0."""
        shares = [0.0]
        if self._budget.iterations is not None:
            shares.append(self.steps / self._budget.iterations if self._budget.iterations else 1.0)
        if self._budget.seconds is not None:
            shares.append((time.monotonic() - self._begun) / self._budget.seconds)
        return max(shares)

    def note(self) -> None:
        """Count a batch; where seconds are counted, let the next last a moment."""
        self.steps += self.batch
        if self._budget.iterations is None:
            now = time.monotonic()
            speed = self.batch / max(1e-4, now - self._looked)
            self.batch, self._looked = max(1, min(4 * self.batch, round(speed * _BATCH_S))), now


class _Annealing:
    """The compiled search, with the best plan of it."""

    def __init__(self, terrain: Terrain, seed: int, start: Routes | None) -> None:
        self._terrain = terrain
        longest = _longest_route(terrain)
        if start is not None:
            longest = max(longest, *(len(route) for route in start))
        self._plan, self._best = (empty_plan(terrain, longest, seed) for _ in range(2))
        if start is not None:
            write_routes(start, self._plan)
        self._work = room_for(terrain, self._plan)
        cost = complete(terrain, self._plan, self._work)
        self._costs = np.array([cost, cost])
        self._best.points[:], self._best.routes[:] = self._plan.points, self._plan.routes
        self._unit = float(self._plan.cost.sum() - terrain.prices[self._plan.routes[SIZE] > 0, 0].sum())
        self._unit = max(self._unit, 1e-9) / len(terrain.jobs)
        self._seen: dict[tuple[int, bytes], tuple[int, float]] = {}

    @property
    def best_cost(self) -> float:
        """Return what the best plan costs, what it leaves out counted."""
        return float(self._costs[1])

    @property
    def routes(self) -> Routes:
        """Return the best plan."""
        return read_routes(self._best)

    def run(self, warmth: float, steps: int) -> None:
        """Take some steps at a temperature, in costs of an average stop."""
        anneal(self._terrain, self._plan, self._best, self._work, self._costs, self._unit * warmth, steps)

    def collect(self) -> None:
        """Note the routes of the plan as it is."""
        if len(self._seen) > _MOST_COLUMNS:
            return
        sizes = self._plan.routes[SIZE]
        for vehicle in np.flatnonzero(sizes).tolist():
            nodes = self._plan.points[vehicle, 1 : sizes[vehicle] + 1, NODE].tobytes()
            key = (int(self._terrain.vans[vehicle, GROUP]), nodes)
            self._seen.setdefault(key, (vehicle, float(self._plan.cost[vehicle])))

    def columns(self) -> tuple[Column, ...]:
        """Return the routes that were noted."""
        return tuple(
            Column(vehicle, visits_of(np.frombuffer(nodes, np.int64)), cost)
            for (_, nodes), (vehicle, cost) in self._seen.items()
        )


def _longest_route(terrain: Terrain) -> int:
    """Return how many stops a route can have, by what there is room for."""
    amounts = terrain.jobs[:, LOAD:]
    stops = int((terrain.nodes[:, 0] >= 0).sum())
    if stops > len(terrain.jobs):  # pairs make room again
        return stops
    most = stops
    for dimension in range(amounts.shape[1]):
        reached = np.cumsum(np.sort(amounts[:, dimension]))
        most = min(most, 2 * int(np.searchsorted(reached, terrain.vans[:, ROOM + dimension].max(), side="right")))
    return max(1, most)
