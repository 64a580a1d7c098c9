"""The routing library of OR-Tools: a first solution, then a search past local optima until the time is up.

Its own ruin and recreate makes the better plans from nothing, and gains more from most plans; guided local search gains
more where visits are left out or committed. So they take turns.

Notes
-----
Ruin and recreate is an iterated local search in the library, which begins from the solution that a search finds before
it. That search does no more here than build it: to descend with all of the library's operators takes seconds, in which
ruins gain more. A plan to go on from is locked for that search alone; as a hint it would be looked at, and then left
for what is built from nothing.
"""

import datetime
import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ortools.constraint_solver import pywrapcp, routing_enums_pb2, routing_heuristic_parameters_pb2
from ortools.util import optional_boolean_pb2

from engine.routing.problem import RELOAD, Problem, Solution, Visit
from engine.routing.solvers.or_tools_model import RoutingModel
from engine.routing.verifier import check_route, verify

__all__ = ["improve"]

_First = routing_enums_pb2.FirstSolutionStrategy
_Search = routing_enums_pb2.LocalSearchMetaheuristic
_AS_PAIRS = routing_heuristic_parameters_pb2.LocalCheapestInsertionParameters.BEST_PICKUP_DELIVERY_PAIR

_HOT, _COLD = 1.0, 0.01  # temperatures of ruin and recreate, in costs of an average visit
_REMOVED = 20  # visits, on average and from one route at most: few ruins a second have to reach far
_SPLIT = 0.5  # share of strings that keep some of their middle


class _Way(NamedTuple):
    """One way to search."""

    first: int
    search: int
    penalty: float = 0.1
    """How strongly guided local search punishes the arcs of a local optimum."""
    ruins: bool = False
    """Whether it takes strings of visits out and puts them back, and nothing else."""


_RUIN = _Way(_First.PARALLEL_CHEAPEST_INSERTION, _Search.GREEDY_DESCENT, ruins=True)
_GUIDED = _Way(_First.PARALLEL_CHEAPEST_INSERTION, _Search.GUIDED_LOCAL_SEARCH)
_PLAIN = (
    _RUIN,
    _GUIDED,
    _Way(_First.PATH_CHEAPEST_ARC, _Search.GUIDED_LOCAL_SEARCH),
    _Way(_First.SAVINGS, _Search.GUIDED_LOCAL_SEARCH, 0.2),
    _Way(_First.LOCAL_CHEAPEST_INSERTION, _Search.GUIDED_LOCAL_SEARCH, 0.05),
    _Way(_First.PARALLEL_CHEAPEST_INSERTION, _Search.SIMULATED_ANNEALING),
    _Way(_First.PATH_MOST_CONSTRAINED_ARC, _Search.TABU_SEARCH),
)
"""By seed, where vehicles start at depots and bring what they load there; after these with visits in another order."""

_RICH = (
    _RUIN,
    _GUIDED,
    _Way(_First.LOCAL_CHEAPEST_INSERTION, _Search.GUIDED_LOCAL_SEARCH),
    _Way(_First.PARALLEL_CHEAPEST_INSERTION, _Search.GUIDED_LOCAL_SEARCH, 0.3),
    _Way(_First.LOCAL_CHEAPEST_INSERTION, _Search.SIMULATED_ANNEALING),
)
"""The same for all other problems: heuristics that build paths find no first solution of those."""


def improve(
    problem: Problem,
    seconds: float,
    start: Solution | None = None,
    report: Callable[[Solution], None] | None = None,
    seed: int = 0,
    *,
    steps: int | None = None,
    may_ruin: bool = True,
) -> Solution | None:
    """Return the best solution found in `seconds`, no worse than `start`; None if the time was too short for any.

    With `steps`, so many solutions are looked at, and the answer is the same every time that this takes less time.

    It leaves out jobs at their penalties, those that have to be served only where that is impossible otherwise. What it
    returns, and tells `report` of meanwhile, keeps everything else that `engine.routing.verifier` checks. It holds the
    interpreter and may overrun its time on large problems (google/or-tools#2660), so it needs a process of its own, and
    whoever waits for it a limit. Unless it `may_ruin`, it does what users of the library do mostly.
    """
    way, order = _way(problem, start, seed, may_ruin=may_ruin), None
    if seed >= len(_PLAIN):
        order = list(range(sum((job.pickup is not None) + (job.delivery is not None) for job in problem.jobs)))
        random.Random(seed).shuffle(order)  # noqa: S311 - nothing secret
    model = RoutingModel(problem, order)
    best = _Best(problem, start)
    _tell(model, best, report, always=steps is not None)
    found = _search(model, _parameters(model, way, seconds, steps, best.solution), start)
    if found is not None:
        best.offer(model.routes(found.Value))
    return best.solution


def _way(problem: Problem, start: Solution | None, seed: int, *, may_ruin: bool) -> _Way:
    """Return how to search, by the seed: from a plan, or with visits committed or optional, the two best take turns."""
    ways = _PLAIN if _is_plain(problem) else _RICH
    if start is None and seed < len(ways):
        return ways[seed] if may_ruin else ways[1 + seed % (len(ways) - 1)]
    has_committed = any(one.pinned for one in problem.vehicles)
    takes_turns = start is not None or has_committed or any(job.penalty is not None for job in problem.jobs)
    return _GUIDED if not may_ruin or (takes_turns and seed % 2) else _RUIN


def _is_plain(problem: Problem) -> bool:
    if problem.relations or any(one.pinned or one.breaks or one.start is None for one in problem.vehicles):
        return False
    return all(job.pickup is None and job.on_board is None and not job.skills for job in problem.jobs)


class _Best:
    """The best solution so far, by what the verifier says."""

    def __init__(self, problem: Problem, start: Solution | None) -> None:
        self._problem, self._begun, self._spent_s = problem, time.monotonic(), 0.0
        self.solution: Solution | None = None
        self._worth = (math.inf, math.inf)
        if start is not None:
            verdict = verify(problem, start)
            self.solution = replace(start, cost=verdict.cost)
            self._worth = (_missing(problem, start.unserved), verdict.cost + verdict.penalty)

    @property
    def is_busy(self) -> bool:
        """Return whether looking at solutions takes more than a tenth of the time, as in the first second it would."""
        return self._spent_s > 0.1 * (time.monotonic() - self._begun)

    def offer(self, routes: tuple[tuple[Visit, ...], ...]) -> bool:
        """Take routes if they are sound and better."""
        begun = time.monotonic()
        is_better = self._take(routes)
        self._spent_s += time.monotonic() - begun
        return is_better

    def _take(self, routes: tuple[tuple[Visit, ...], ...]) -> bool:
        routes = tuple(_without_needless(self._problem, vehicle, route) for vehicle, route in enumerate(routes))
        served = {job for route in routes for job, _ in route}
        unserved = tuple(job for job in range(len(self._problem.jobs)) if job not in served)
        verdict = verify(self._problem, Solution(routes, 0.0, unserved))
        if any(one.kind not in ("cost", "unserved") for one in verdict.violations):
            return False
        worth = (_missing(self._problem, unserved), verdict.cost + verdict.penalty)
        if worth >= self._worth:
            return False
        self._worth, self.solution = worth, Solution(routes, verdict.cost, unserved)
        return True


def _without_needless(problem: Problem, vehicle: int, route: tuple[Visit, ...]) -> tuple[Visit, ...]:
    """Return a route without reloads that it can do without."""
    for position in range(len(route) - 1, len(problem.vehicles[vehicle].pinned) - 1, -1):
        if route[position].job == RELOAD:
            shorter = route[:position] + route[position + 1 :]
            check = check_route(problem, vehicle, shorter)
            if not check.violations and check.cost <= check_route(problem, vehicle, route).cost:
                route = shorter
    return route


def _missing(problem: Problem, unserved: tuple[int, ...]) -> int:
    return sum(problem.jobs[job].penalty is None for job in unserved)


def _tell(model: RoutingModel, best: _Best, report: Callable[[Solution], None] | None, *, always: bool) -> None:
    """Report each better solution while the search goes on; unless `always`, as far as there is time to look at it."""
    lowest = [math.inf]

    def found() -> None:
        if (objective := model.routing.CostVar().Min()) < lowest[0] and (always or not best.is_busy):
            lowest[0] = objective
            if best.offer(model.routes(lambda variable: int(variable.Value()))) and report is not None:
                assert best.solution is not None  # noqa: S101 - just taken
                report(best.solution)

    model.routing.AddAtSolutionCallback(found)


def _parameters(model: RoutingModel, way: _Way, seconds: float, steps: int | None, start: Solution | None) -> Any:
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = way.first
    parameters.local_search_metaheuristic = way.search
    parameters.guided_local_search_lambda_coefficient = way.penalty
    parameters.time_limit.FromTimedelta(datetime.timedelta(seconds=seconds))
    if steps is not None:
        parameters.solution_limit = steps
    if way.ruins:
        _let_ruin(parameters, model, start)
    return parameters


def _let_ruin(parameters: Any, model: RoutingModel, start: Solution | None) -> None:
    """Set what makes a search ruin and recreate, annealed from hot to cold."""
    parameters.use_iterated_local_search = True
    parameters.local_cheapest_insertion_parameters.pickup_delivery_strategy = _AS_PAIRS
    if start is not None or not model.problem.balance:  # insertion can't see the longest day: a descent can
        for operator in parameters.local_search_operators.DESCRIPTOR.fields:
            setattr(parameters.local_search_operators, operator.name, optional_boolean_pb2.BOOL_FALSE)
    ruining = parameters.iterated_local_search_parameters
    ruining.improve_perturbed_solution = False
    strings = ruining.ruin_recreate_parameters.ruin_strategies.add().sisr
    strings.max_removed_sequence_size = strings.avg_num_removed_visits = _REMOVED
    strings.bypass_factor = _SPLIT
    annealing = ruining.reference_solution_acceptance_strategy.simulated_annealing
    annealing.automatic_temperatures = start is None
    if start is not None:
        used = sum(van.fixed for van, route in zip(model.problem.vehicles, start.routes, strict=True) if route)
        unit = max(1.0, model.scale * (start.cost - used) / len(model.visits))
        annealing.initial_temperature, annealing.final_temperature = _HOT * unit, _COLD * unit


def _search(model: RoutingModel, parameters: Any, start: Solution | None) -> Any:
    """Search, from a solution if one is given that the library takes."""
    ruins = parameters.use_iterated_local_search
    # constraints that come after reading a solution would be ignored (google/or-tools#2934), hence closed first
    model.routing.CloseModelWithParameters(parameters)
    routes = None if start is None else model.indices(start.routes)
    known = None if routes is None else model.routing.ReadAssignmentFromRoutes(routes, True)
    if ruins:
        if known is not None:
            model.routing.ApplyLocksToAllVehicles(routes, True)
        return model.routing.SolveWithIteratedLocalSearch(parameters)
    if known is None:
        return model.routing.SolveWithParameters(parameters)
    return model.routing.SolveFromAssignmentWithParameters(known, parameters)
