"""The routing library of OR-Tools: cheapest insertion first, then guided local search until the time is up."""

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from engine.routing.problem import Problem, Solution

__all__ = ["improve"]

_HORIZON_S = 14 * 86_400  # longer than any shift


def improve(
    problem: Problem,
    seconds: float,
    start: Solution | None = None,
    report: Callable[[Solution], None] | None = None,
) -> Solution | None:
    """Return the best solution found in `seconds`, no worse than `start`; None if the time was too short for any.

    `report` is told of each better one meanwhile. It holds the interpreter, so it needs a process of its own.
    Every errand may be left out at its penalty, so that a problem that is too much still has a solution.
    """
    model = _Model(problem)
    if report is not None:
        model.tell(report)
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    parameters.time_limit.FromTimedelta(datetime.timedelta(seconds=seconds))
    found = model.solve(parameters, start)
    return start if found is None else found


class _Model:
    """A problem as OR-Tools sees it: a node for every visit, and two for each van's ends."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._visits: list[tuple[int, bool]] = []
        places: list[int | None] = []
        for number, errand in enumerate(problem.errands):
            if errand.pickup is not None:
                self._visits.append((number, True))
                places.append(errand.pickup)
            self._visits.append((number, False))
            places.append(errand.dropoff)
        self._nodes = {visit: node for node, visit in enumerate(self._visits)}
        starts = list(range(len(places), len(places) + len(problem.vans)))
        ends = list(range(starts[-1] + 1, starts[-1] + 1 + len(problem.vans)))
        places += [van.start for van in problem.vans] + [van.end for van in problem.vans]
        self._places = places
        self._manager = pywrapcp.RoutingIndexManager(len(places), len(problem.vans), starts, ends)
        self._routing = pywrapcp.RoutingModel(self._manager)
        self._add_costs()
        self._add_time()
        self._add_loads()
        self._add_limits()
        self._add_errands()

    def solve(self, parameters: Any, start: Solution | None) -> Solution | None:
        """Search, from a solution if one is given."""
        if start is None:
            return self._read(self._routing.SolveWithParameters(parameters))
        self._routing.CloseModelWithParameters(parameters)
        routes = [[self._manager.NodeToIndex(self._nodes[visit]) for visit in route] for route in start.routes]
        known = self._routing.ReadAssignmentFromRoutes(routes, True)
        if known is None:
            return self._read(self._routing.SolveWithParameters(parameters))
        return self._read(self._routing.SolveFromAssignmentWithParameters(known, parameters))

    def tell(self, report: Callable[[Solution], None]) -> None:
        """Report each better solution while the search goes on."""
        best = [float("inf")]

        def found() -> None:
            if (objective := self._routing.CostVar().Min()) < best[0]:
                best[0] = objective
                report(self._solution(lambda variable: int(variable.Value()), objective))

        self._routing.AddAtSolutionCallback(found)

    def _matrix(self, values: NDArray[np.int64], extra: Sequence[int] | None = None) -> list[list[int]]:
        """Return a matrix over nodes from one over places; ends that are nowhere cost nothing, `extra` is the row's."""
        known = np.array([place is not None for place in self._places])
        index = np.array([place if place is not None else 0 for place in self._places])
        matrix = np.where(known[:, None] & known[None, :], values[index[:, None], index[None, :]], 0)
        if extra is not None:
            matrix = matrix + np.array(extra)[:, None]
        rows: list[list[int]] = matrix.tolist()
        return rows

    def _by_van(self, values: NDArray[np.int64], extra: Sequence[int] | None = None) -> list[int]:
        """Return a transit callback for each van."""
        made = {
            profile: self._routing.RegisterTransitMatrix(self._matrix(values[profile], extra))
            for profile in {van.profile for van in self._problem.vans}
        }
        return [made[van.profile] for van in self._problem.vans]

    def _add_costs(self) -> None:
        for van, callback in enumerate(self._by_van(self._problem.cost)):
            self._routing.SetArcCostEvaluatorOfVehicle(callback, van)

    def _add_time(self) -> None:
        service = [0] * len(self._places)
        for node, (number, is_pickup) in enumerate(self._visits):
            service[node] = 0 if is_pickup else self._problem.errands[number].service_s
        callbacks = self._by_van(self._problem.duration_s, service)
        self._routing.AddDimensionWithVehicleTransits(callbacks, _HORIZON_S, _HORIZON_S, False, "time")
        time = self._routing.GetDimensionOrDie("time")
        for node, (number, is_pickup) in enumerate(self._visits):
            if is_pickup:
                continue
            errand, index = self._problem.errands[number], self._manager.NodeToIndex(node)
            if errand.closes_s < errand.opens_s:  # its window was over before the plan begins
                self._routing.solver().Add(self._routing.ActiveVar(index) == 0)
                continue
            time.CumulVar(index).SetRange(errand.opens_s, min(errand.closes_s, _HORIZON_S))
        for number, van in enumerate(self._problem.vans):
            time.CumulVar(self._routing.Start(number)).SetRange(van.leaves_s, van.back_s)
            time.CumulVar(self._routing.End(number)).SetRange(van.leaves_s, van.back_s)
            if van.max_duration_s is not None:
                time.SetSpanUpperBoundForVehicle(van.max_duration_s, number)
            self._routing.AddVariableMinimizedByFinalizer(time.CumulVar(self._routing.End(number)))

    def _add_loads(self) -> None:
        """Let what is fetched come on board and what is brought leave; the load at the start is whatever that needs."""
        for name in ("weight_g", "volume_l"):
            limits = [getattr(van, name) for van in self._problem.vans]
            if all(limit is None for limit in limits):
                continue
            total = sum(getattr(errand, name) for errand in self._problem.errands)
            changes = [0] * len(self._places)
            for node, (number, is_pickup) in enumerate(self._visits):
                amount = getattr(self._problem.errands[number], name)
                changes[node] = amount if is_pickup else -amount
            callback = self._routing.RegisterUnaryTransitVector(changes)
            capacities = [total if limit is None else limit for limit in limits]
            self._routing.AddDimensionWithVehicleCapacity(callback, 0, capacities, False, name)

    def _add_limits(self) -> None:
        vans = self._problem.vans
        if any(van.max_distance_m is not None for van in vans):
            most = int(self._problem.distance_m.max()) * (len(self._places) + 1)
            limits = [most if van.max_distance_m is None else van.max_distance_m for van in vans]
            callbacks = self._by_van(self._problem.distance_m)
            self._routing.AddDimensionWithVehicleTransitAndCapacity(callbacks, 0, limits, True, "distance")
        if any(van.max_stops is not None for van in vans):
            # the way out of the start counts none
            ones = [1] * len(self._visits) + [0] * (2 * len(vans))
            callback = self._routing.RegisterUnaryTransitVector(ones)
            limits = [len(self._visits) if van.max_stops is None else van.max_stops for van in vans]
            self._routing.AddDimensionWithVehicleCapacity(callback, 0, limits, True, "stops")

    def _add_errands(self) -> None:
        solver, time = self._routing.solver(), self._routing.GetDimensionOrDie("time")
        for number, errand in enumerate(self._problem.errands):
            dropoff = self._manager.NodeToIndex(self._nodes[number, False])
            self._routing.AddDisjunction([dropoff], errand.penalty)
            if errand.pickup is None:
                continue
            pickup = self._manager.NodeToIndex(self._nodes[number, True])
            self._routing.AddDisjunction([pickup], 0)
            self._routing.AddPickupAndDelivery(pickup, dropoff)
            solver.Add(self._routing.VehicleVar(pickup) == self._routing.VehicleVar(dropoff))
            solver.Add(time.CumulVar(pickup) <= time.CumulVar(dropoff))

    def _read(self, assignment: Any) -> Solution | None:
        return None if assignment is None else self._solution(assignment.Value, assignment.ObjectiveValue())

    def _solution(self, value: Callable[[Any], int], objective: int) -> Solution:
        routes = []
        for van in range(len(self._problem.vans)):
            index, route = value(self._routing.NextVar(self._routing.Start(van))), []
            while not self._routing.IsEnd(index):
                route.append(self._visits[self._manager.IndexToNode(index)])
                index = value(self._routing.NextVar(index))
            routes.append(tuple(route))
        served = {number for route in routes for number, _ in route}
        unserved = tuple(number for number in range(len(self._problem.errands)) if number not in served)
        left_out = sum(self._problem.errands[number].penalty for number in unserved)
        return Solution(tuple(routes), int(objective) - left_out, unserved)
