"""Set partitioning over the routes that searches have driven: the cheapest choice that serves every job once.

The pool holds thousands of routes of good plans. Of the linear relaxation come prices for jobs; the columns of least
reduced cost, with the routes of the incumbent among them, make a small integer model that is solved in the blink of an
eye. In the whole pool HiGHS finds nothing in ten seconds, and the best of 1,500 columns in a tenth of one.

Notes
-----
Subramanian, Uchoa and Ochi 2013: A hybrid algorithm for a class of vehicle routing problems (ILS-SP).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csc_array, vstack

from engine.routing.kinds import kinds
from engine.routing.problem import RELOAD, Problem
from engine.routing.search import Column, Routes, dearest

__all__ = ["RoutePool", "recombine"]

_MOST = 40_000  # routes kept, some 60 MB; the oldest come from the worst plans
_ON = 0.5  # a variable that is 0 or 1, within tolerance


class RoutePool:
    """The cheapest order seen of every set of jobs, for each kind of vehicle."""

    def __init__(self, problem: Problem) -> None:
        self.kinds: list[int] = kinds(problem)
        """Kind of every vehicle."""
        self._columns: dict[tuple[int, frozenset[int]], Column] = {}

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def columns(self) -> list[Column]:
        """Return all routes, oldest first."""
        return list(self._columns.values())

    def add(self, columns: Iterable[Column]) -> None:
        """Keep those that are new or cheaper than what is known for their jobs; the oldest make room."""
        for column in columns:
            key = (self.kinds[column.vehicle], frozenset(visit.job for visit in column.visits))
            known = self._columns.get(key)
            if known is None or column.cost < known.cost:
                self._columns.pop(key, None)
                self._columns[key] = column
        for key in list(self._columns)[: max(0, len(self._columns) - _MOST)]:
            del self._columns[key]


def recombine(
    problem: Problem, pool: RoutePool, incumbent: Sequence[Column], *, columns: int, seconds: float
) -> Routes | None:
    """Return the cheapest plan of the pool's routes and the incumbent's; None if none is cheaper than the incumbent's.

    Parameters
    ----------
    incumbent
        Routes in use of the plan to be beaten, with their costs.
    columns
        Routes in the integer model: those of least reduced cost.
    seconds
        Limit of the linear and of the integer model, each.
    """
    held = {(column.vehicle, column.visits) for column in incumbent}
    offered = [*incumbent, *(column for column in pool.columns if (column.vehicle, column.visits) not in held)]
    reduced = _Master(problem, pool.kinds, offered).reduced_costs(seconds)
    if reduced is None:
        return None
    reduced[: len(incumbent)] = -np.inf
    kept = np.sort(np.argsort(reduced, kind="stable")[: max(columns, len(incumbent))])
    chosen = _Master(problem, pool.kinds, [offered[column] for column in kept]).solve(len(incumbent), seconds)
    return None if chosen is None else _routes(problem, pool.kinds, chosen)


class _Master:
    """A row for each job and each kind of vehicle; a column for each route, then for each job that may be left out."""

    def __init__(self, problem: Problem, kinds_of: Sequence[int], columns: Sequence[Column]) -> None:
        self._columns, self._jobs = columns, len(problem.jobs)
        starts, rows = [0], []
        for column in columns:
            rows += sorted({visit.job for visit in column.visits if visit.job != RELOAD})
            rows.append(self._jobs + kinds_of[column.vehicle])
            starts.append(len(rows))
        starts += [len(rows) + 1 + job for job in range(self._jobs)]
        rows += range(self._jobs)
        left_out = dearest(problem)
        penalties = [left_out if job.penalty is None else job.penalty for job in problem.jobs]
        self._cost = np.array([*(column.cost for column in columns), *penalties])
        available = Counter(kinds_of)
        least = Counter(kinds_of[number] for number, vehicle in enumerate(problem.vehicles) if vehicle.pinned)
        fleet = range(max(kinds_of) + 1)
        self._lower = np.array([1] * self._jobs + [least[kind] for kind in fleet])
        self._upper = np.array([1] * self._jobs + [available[kind] for kind in fleet])
        self._matrix = csc_array((np.ones(len(rows)), rows, starts), shape=(self._upper.size, self._cost.size))

    def reduced_costs(self, seconds: float) -> NDArray[np.float64] | None:
        """Return what each route costs beyond the prices of its jobs and vehicle in the linear relaxation."""
        rows = self._matrix.tocsr()
        jobs, fleet = rows[: self._jobs], rows[self._jobs :]
        bounds = vstack([fleet, -fleet]), np.concatenate([self._upper[self._jobs :], -self._lower[self._jobs :]])
        solved = linprog(
            self._cost, *bounds, jobs, self._upper[: self._jobs], method="highs", options={"time_limit": seconds}
        )
        if solved.status != 0:
            return None
        prices = jobs.T @ solved.eqlin.marginals + bounds[0].T @ solved.ineqlin.marginals
        reduced: NDArray[np.float64] = (self._cost - prices)[: len(self._columns)]
        return reduced

    def solve(self, incumbent: int, seconds: float) -> list[Column] | None:
        """Return the best choice of routes; None if it is the first `incumbent` of them, or no better was found."""
        solved = milp(
            self._cost,
            integrality=np.ones(self._cost.size),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(self._matrix, self._lower, self._upper),
            options={"time_limit": seconds},
        )
        if solved.x is None:
            return None
        chosen = np.flatnonzero(solved.x[: len(self._columns)] > _ON)
        return None if np.array_equal(chosen, np.arange(incumbent)) else [self._columns[place] for place in chosen]


def _routes(problem: Problem, kinds_of: Sequence[int], chosen: Sequence[Column]) -> Routes:
    """Return the chosen routes, each with a vehicle of its kind."""
    free: dict[int, list[int]] = {}
    for number in reversed(range(len(kinds_of))):
        free.setdefault(kinds_of[number], []).append(number)
    routes = [tuple(vehicle.pinned) for vehicle in problem.vehicles]
    for column in chosen:
        routes[free[kinds_of[column.vehicle]].pop()] = column.visits
    return tuple(routes)
