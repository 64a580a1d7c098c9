"""PyVRP: iterated local search with late acceptance, for the problems that its model covers.

Wouda, Lan, Kool 2024: PyVRP, a high-performance VRP solver package. INFORMS Journal on Computing 36(4). The search is
that of `pyvrp.solve`; it is put together here to hand in a clock that counts from the call, and to see candidates.
"""

import time
from typing import Any

import pyvrp
import pyvrp.search
from pyvrp import Activity
from pyvrp.search import LocalSearch, NeighbourhoodParams, PerturbationManager, PerturbationParams, compute_neighbours

from engine.routing.problem import Problem
from engine.routing.search import Budget, Column, Found, Report, Routes
from engine.routing.solvers.pyvrp_model import PyvrpModel

__all__ = ["improve", "penalties_of"]

_TELL_S = 0.2  # a search finds hundreds of better plans in its first second
_MAX_PENALTY = 100_000.0  # PyVRP's own, in units of the objective
_NEIGHBOURS = 50
_STEP = 12  # most stops that one step moves about: a large plan gains sooner by small steps
_SMALL, _WIDE_STEP = 150, 25  # stops up to which PyVRP's own is right; another vehicle takes a whole route, too
_HISTORY = 300  # steps after which a plan is compared with


def improve(
    problem: Problem,
    budget: Budget,
    start: Routes | None = None,
    report: Report | None = None,
    *,
    optional: bool = False,
) -> Found:
    """Search from a plan, or from nothing, until the budget is used up.

    Parameters
    ----------
    problem
        One that `uncovered` has nothing to say about.
    budget
        Seconds, iterations or both.
    start
        Where to begin; jobs that it leaves out are tried again.
    report
        Told of better plans, a few times a second.
    optional
        Whether jobs without a penalty may be left out, at a price that no way makes up for.
    """
    stop = _Stop(budget)
    model = PyvrpModel(problem, optional=optional)
    data, rng = model.data, pyvrp.RandomNumberGenerator(seed=budget.seed)
    search = _local_search(data, rng)
    penalties = penalties_of(model)
    manager = pyvrp.PenaltyManager(penalties.midpoint_penalties(data), penalties)
    first = pyvrp.Solution.make_random(data, rng) if start is None else model.encode(start)
    if start is None or not first.is_feasible():
        first = search(first, manager.max_cost_evaluator(), exhaustive=True)
    watch = _Watch(model, budget.sample_every, report)
    parameters = pyvrp.IteratedLocalSearchParams(history_length=_HISTORY, callbacks=watch)
    result = pyvrp.IteratedLocalSearch(data, manager, search, first, parameters).run(stop, collect_stats=False)
    routes = model.decode(result.best) if result.best.is_feasible() else None
    return Found(routes, watch.columns(), result.num_iterations)


def penalties_of(model: PyvrpModel) -> pyvrp.PenaltyParams:
    """Return PyVRP's own limits of what breaking a rule may cost, in the units of a problem's objective."""
    return pyvrp.PenaltyParams(max_penalty=_MAX_PENALTY * max(1.0, model.price))


def _local_search(data: pyvrp.ProblemData, rng: pyvrp.RandomNumberGenerator) -> LocalSearch:
    neighbours = compute_neighbours(data, NeighbourhoodParams(num_neighbours=_NEIGHBOURS))
    is_small = data.num_clients + 2 * data.num_shipments <= _SMALL
    is_mixed = len({(tuple(kind.capacity), kind.fixed_cost) for kind in data.vehicle_types()}) > 1
    steps = PerturbationParams(1, _WIDE_STEP if is_small or is_mixed else _STEP)
    search = LocalSearch(data, rng, neighbours, PerturbationManager(steps))
    for operator in pyvrp.search.OPERATORS:
        if operator.supports(data):
            search.add_operator(operator(data))
    return search


class _Stop:
    """Ends the search when its iterations or its seconds, counted from now, are used up."""

    def __init__(self, budget: Budget) -> None:
        self._until = None if budget.seconds is None else time.monotonic() + budget.seconds
        self._left = budget.iterations

    def __call__(self, best_cost: float) -> bool:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                return True
        return self._until is not None and time.monotonic() >= self._until


class _Watch(pyvrp.IteratedLocalSearchCallbacks):
    """Reports better plans, and collects the routes of candidates."""

    def __init__(self, model: PyvrpModel, sample_every: int | None, report: Report | None) -> None:
        self._model, self._every, self._report = model, sample_every, report
        self._seen: dict[tuple[int, frozenset[Activity]], tuple[int, pyvrp.Route]] = {}
        self._iteration = 0
        self._told = 0.0
        self._untold: pyvrp.Solution | None = None

    def on_iteration(
        self, current: pyvrp.Solution, candidate: pyvrp.Solution, best: pyvrp.Solution, cost_evaluator: Any
    ) -> None:
        """Look at every so many candidates."""
        self._iteration += 1
        if self._every is not None and self._iteration % self._every == 0:
            self._collect(candidate)
        if self._untold is not None and self._report is not None and time.monotonic() - self._told > _TELL_S:
            self._report(self._model.decode(self._untold))
            self._told, self._untold = time.monotonic(), None

    def on_best(self, best: pyvrp.Solution) -> None:
        """Note a better plan, to be told of with this step or, if the last was told just now, with a later one."""
        if self._every is not None:
            self._collect(best)
        if best.is_feasible():
            self._untold = best

    def columns(self) -> tuple[Column, ...]:
        """Return the cheapest order seen of every set of visits and kind of vehicle."""
        columns = (self._model.column(route) for _, route in self._seen.values())
        return tuple(column for column in columns if column is not None)

    def _collect(self, solution: pyvrp.Solution) -> None:
        for route in solution.routes():
            if route.is_feasible():
                key, cost = (route.vehicle_type(), frozenset(route)), route.distance_cost() + route.duration_cost()
                known = self._seen.get(key)
                if known is None or cost < known[0]:
                    self._seen[key] = (cost, route)
