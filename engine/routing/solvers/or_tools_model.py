"""A problem in the terms of OR-Tools' routing library: nodes, dimensions and constraints.

A node for every visit and every reload, and one for every place where vehicles begin or end. Costs are scaled to whole
numbers. Where the library can say less than the problem (noted below), it is stricter, or `engine.routing.verifier`
sorts out what it returns.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp

from engine.routing.problem import ENDLESS, RELOAD, InOrder, Problem, Vehicle, Visit
from engine.routing.travel import UNREACHABLE

__all__ = ["RoutingModel"]

_FINE = 2.0**24  # the dearest arc costs about as many units, so that rounding is below a ten-millionth of it
_FINE_LOAD = 2.0**9  # more where fuel grows with the load, whose share of an arc is small
_STEPS = 1000  # into which loads and legs are cut for that
_MUST = 2**50  # for leaving out what has to be served: then there is an answer, and it says what is impossible
_MOST_COST = 2**40  # of one arc: thousands of them still fit


class RoutingModel:
    """A problem, its model, and the way between the numbers of both.

    Parameters
    ----------
    problem
        What to solve; has passed `check_problem`.
    order
        A permutation of the visits: the library breaks ties by the order of nodes and takes no seed.
    """

    def __init__(self, problem: Problem, order: Sequence[int] | None = None) -> None:
        self.problem = problem
        visits = [
            Visit(number, is_pickup)
            for number, job in enumerate(problem.jobs)
            for is_pickup, stop in ((True, job.pickup), (False, job.delivery))
            if stop is not None
        ]
        self.visits = visits if order is None else [visits[one] for one in order]
        self._reloads = [
            number
            for number, one in enumerate(problem.vehicles)
            if one.reload is not None
            for _ in range(one.max_reloads)
        ]
        self._stops = [problem.stop(visit) for visit in self.visits]
        self.count = len(self.visits) + len(self._reloads)
        places: list[int | None] = [stop.place for stop in self._stops if stop is not None]
        places += [problem.vehicles[one].reload for one in self._reloads]
        ends = list(dict.fromkeys(end for one in problem.vehicles for end in (one.start, one.end)))
        node_of = {place: self.count + number for number, place in enumerate(ends)}
        self._places = [*places, *ends]
        starts = [node_of[one.start] for one in problem.vehicles]
        self.manager = pywrapcp.RoutingIndexManager(
            len(self._places), len(problem.vehicles), starts, [node_of[one.end] for one in problem.vehicles]
        )
        self.routing = pywrapcp.RoutingModel(self.manager)
        self._solver = self.routing.solver()
        self._nodes = {visit: self.manager.NodeToIndex(node) for node, visit in enumerate(self.visits)}
        self._zero = min(one.shift[0] for one in problem.vehicles)
        self._horizon = max(one.shift[1] for one in problem.vehicles) - self._zero
        self.scale = self._scale()
        self._add_costs()
        self._add_time()
        self._add_loads()
        self._add_limits()
        self._add_rank()
        self._add_jobs()
        self._add_pins()

    def indices(self, routes: Sequence[Sequence[Visit]]) -> list[list[int]]:
        """Return routes in the library's numbers."""
        return [self._numbered(vehicle, route) for vehicle, route in enumerate(routes)]

    def routes(self, value: Callable[[Any], int]) -> tuple[tuple[Visit, ...], ...]:
        """Return the routes of an assignment, given the value of a variable."""
        routes = []
        for vehicle in range(len(self.problem.vehicles)):
            index, route = value(self.routing.NextVar(self.routing.Start(vehicle))), []
            while not self.routing.IsEnd(index):
                node = self.manager.IndexToNode(index)
                route.append(self.visits[node] if node < len(self.visits) else Visit(RELOAD))
                index = value(self.routing.NextVar(index))
            routes.append(tuple(route))
        return tuple(routes)

    def _numbered(self, vehicle: int, route: Sequence[Visit]) -> list[int]:
        refills = (
            self.manager.NodeToIndex(len(self.visits) + number)
            for number, owner in enumerate(self._reloads)
            if owner == vehicle
        )
        return [next(refills) if visit.job == RELOAD else self._nodes[visit] for visit in route]

    # Costs

    def _scale(self) -> float:
        """Return what costs are multiplied by: one where all are whole already."""
        rates = [rate for one in self.problem.vehicles for rate in (one.fixed, one.per_metre, one.per_second)]
        rates += [job.penalty for job in self.problem.jobs if job.penalty is not None] + [self.problem.balance]
        if all(rate == int(rate) for rate in rates) and not any(one.per_metre_load for one in self.problem.vehicles):
            return 1.0
        dearest = max(float(self._arc_costs(one).max()) for one in self._kinds())
        fine = _FINE * _FINE_LOAD if any(one.per_metre_load for one in self.problem.vehicles) else _FINE
        return fine / max(dearest, 1e-9)

    def _kinds(self) -> list[Vehicle]:
        """Return one vehicle of each kind that costs the same."""
        return list({(one.profile, one.per_metre, one.per_second): one for one in self.problem.vehicles}.values())

    def _arc_costs(self, vehicle: Vehicle) -> NDArray[np.float64]:
        metres, seconds = self._matrix(vehicle.profile, "metres"), self._matrix(vehicle.profile, "seconds")
        there = metres < UNREACHABLE
        return np.where(there, vehicle.per_metre * metres + vehicle.per_second * seconds, 0.0)

    def _matrix(self, profile: int, measure: str) -> NDArray[np.int64]:
        """Return times or distances between nodes; what begins or ends nowhere has no way."""
        known = np.array([place is not None for place in self._places])
        at = np.array([0 if place is None else place for place in self._places], np.int64)
        matrix = getattr(self.problem.travel[profile], measure)(at, at)
        return np.where(known[:, None] & known[None, :], matrix, 0)

    def _whole(self, cost: float) -> int:
        return min(round(cost * self.scale), _MUST)

    def _transits(self, matrix: NDArray[np.int64]) -> int:
        callback: int = self.routing.RegisterTransitMatrix(matrix.tolist())
        return callback

    def _unary(self, values: Sequence[int]) -> int:
        callback: int = self.routing.RegisterUnaryTransitVector(list(values))
        return callback

    def _add_costs(self) -> None:
        made: dict[tuple[int, float, float], int] = {}
        for one in self._kinds():
            costs = np.minimum(np.rint(self._arc_costs(one) * self.scale), _MOST_COST).astype(np.int64)
            costs[self._matrix(one.profile, "metres") >= UNREACHABLE] = _MOST_COST
            made[one.profile, one.per_metre, one.per_second] = self._transits(costs)
        for number, one in enumerate(self.problem.vehicles):
            self.routing.SetArcCostEvaluatorOfVehicle(made[one.profile, one.per_metre, one.per_second], number)
            if one.fixed:
                self.routing.SetFixedCostOfVehicle(self._whole(one.fixed), number)

    # Time

    def _needs_time(self) -> bool:
        if any(stop is not None and stop.windows for stop in self._stops):
            return True
        return any(
            one.per_second or one.breaks or one.max_duration_s is not None or one.shift[1] - one.shift[0] < ENDLESS
            for one in self.problem.vehicles
        )

    def _service(self) -> NDArray[np.int64]:
        service = np.zeros(len(self._places), np.int64)
        service[: len(self._stops)] = [0 if stop is None else stop.service_s for stop in self._stops]
        return service

    def _by_vehicle(self, measure: str, more: NDArray[np.int64]) -> list[int]:
        profiles = {one.profile for one in self.problem.vehicles}
        made = {one: self._transits(self._matrix(one, measure) + more[:, None]) for one in profiles}
        return [made[one.profile] for one in self.problem.vehicles]

    def _add_time(self) -> None:
        if not self._needs_time():
            return
        service = self._service()
        self.routing.AddDimensionWithVehicleTransits(
            self._by_vehicle("seconds", service), self._horizon, self._horizon, False, "time"
        )
        time = self.routing.GetDimensionOrDie("time")
        for node, stop in enumerate(self._stops):
            if stop is not None and stop.windows:
                self._keep_windows(time, self.manager.NodeToIndex(node), stop.windows)
        for number, one in enumerate(self.problem.vehicles):
            begins, ends = one.shift[0] - self._zero, one.shift[1] - self._zero
            time.CumulVar(self.routing.Start(number)).SetRange(begins, ends)
            time.CumulVar(self.routing.End(number)).SetRange(begins, ends)
            if one.max_duration_s is not None:
                time.SetSpanUpperBoundForVehicle(one.max_duration_s, number)
            if one.per_second:  # driving and service are in the arcs: the rest is waiting and breaks
                time.SetSlackCostCoefficientForVehicle(self._whole(one.per_second), number)
            if one.breaks:
                self._add_breaks(time, number, one, service)
            self.routing.AddVariableMaximizedByFinalizer(time.CumulVar(self.routing.Start(number)))
            self.routing.AddVariableMinimizedByFinalizer(time.CumulVar(self.routing.End(number)))

    def _keep_windows(self, time: Any, index: int, windows: Sequence[tuple[int, int]]) -> None:
        inside = [
            (max(0, opens - self._zero), min(closes - self._zero, self._horizon))
            for opens, closes in windows
            if closes >= self._zero and opens - self._zero <= self._horizon
        ]
        if not inside:  # over before anybody begins
            self._solver.Add(self.routing.ActiveVar(index) == 0)
            return
        moment = time.CumulVar(index)
        moment.SetRange(inside[0][0], inside[-1][1])
        for (_, closes), (opens, _) in itertools.pairwise(inside):
            moment.RemoveInterval(closes + 1, opens - 1)

    def _add_breaks(self, time: Any, number: int, vehicle: Vehicle, service: NDArray[np.int64]) -> None:
        intervals = []
        for place, one in enumerate(vehicle.breaks):
            windows = [(opens - self._zero, closes - self._zero) for opens, closes in one.windows]
            interval = self._solver.FixedDurationIntervalVar(
                windows[0][0], windows[-1][1], one.length_s, False, f"break {number} {place}"
            )
            for (_, closes), (opens, _) in itertools.pairwise(windows):
                interval.StartExpr().Var().RemoveInterval(closes + 1, opens - 1)
            intervals.append(interval)
        visits = [int(service[self.manager.IndexToNode(index)]) for index in range(self.routing.Size())]
        time.SetBreakIntervalsOfVehicle(intervals, number, visits)

    # Loads

    def _add_loads(self) -> None:
        loads, capacities = self.problem.loads(), self.problem.capacities()
        for dimension in range(self.problem.dimensions):
            room = capacities[:, dimension]
            if (room < loads[:, dimension].sum()).any():
                self._add_load(f"load {dimension}", loads[:, dimension], room)
        if any(one.per_metre_load for one in self.problem.vehicles):
            self._add_energy(loads[:, 0])

    def _add_load(self, name: str, load: NDArray[np.int64], room: NDArray[np.int64]) -> None:
        """Add what is on board: what is delivered is loaded at the start, what is collected unloaded at the end.

        The load at the start is left to the search; what it is at the end says that it was the right one.
        """
        most = int(room.max())
        changes = [int(load[job]) * (1 if pickup else -1) for job, pickup in self.visits]
        changes += [-most] * len(self._reloads) + [0] * (len(self._places) - self.count)
        capacities = [int(one) for one in room]
        # a reload may leave anything on board: that what follows is delivered says what it has to be
        slack = 2 * most if self._reloads else 0
        self.routing.AddDimensionWithVehicleCapacity(self._unary(changes), slack, capacities, False, name)
        held = self.routing.GetDimensionOrDie(name)
        if self._reloads:
            for node in range(len(self.visits)):
                held.SlackVar(self.manager.NodeToIndex(node)).SetValue(0)
            for vehicle in range(len(self.problem.vehicles)):
                held.SlackVar(self.routing.Start(vehicle)).SetValue(0)
        self._end_loads(name, held, load, room)

    def _end_loads(self, name: str, held: Any, load: NDArray[np.int64], room: NDArray[np.int64]) -> None:
        kept = [0 if self.problem.jobs[job].delivery is not None else int(load[job]) for job, _ in self.visits]
        collected = None
        if any(kept):
            sums = [*kept, *([-sum(kept)] * len(self._reloads)), *([0] * (len(self._places) - self.count))]
            slack = sum(kept) if self._reloads else 0
            self.routing.AddDimension(self._unary(sums), slack, sum(kept), not self._reloads, f"{name} collected")
            collected = self.routing.GetDimensionOrDie(f"{name} collected")
            for node in range(len(self.visits) if self._reloads else 0):
                collected.SlackVar(self.manager.NodeToIndex(node)).SetValue(0)
            for number in range(len(self._reloads)):
                # what was to be delivered is gone when a trip ends; pairs over two trips are not looked for
                index = self.manager.NodeToIndex(len(self.visits) + number)
                self._solver.Add(held.CumulVar(index) == collected.CumulVar(index))
        for vehicle in range(len(self.problem.vehicles)):
            end = self.routing.End(vehicle)
            if sum(int(load[job]) for job in self.problem.aboard(vehicle)) > room[vehicle]:
                # overloaded where it stands: it can do nothing
                self.routing.NextVar(self.routing.Start(vehicle)).SetValue(end)
                continue
            left = [
                (1 - self.routing.ActiveVar(self._nodes[Visit(job, False)])) * int(load[job])
                for job in self.problem.aboard(vehicle)
            ]
            ending = held.CumulVar(end) - sum(left) if left else held.CumulVar(end)
            self._solver.Add(ending == (0 if collected is None else collected.CumulVar(end)))

    def _add_energy(self, load: NDArray[np.int64]) -> None:
        """Add fuel that grows with the load, in steps of load and of way that make its rate a whole number."""
        load_step = max(1, math.ceil(int(load.sum()) / _STEPS))
        coarse = np.rint(load / load_step).astype(np.int64)
        room = np.full(len(self.problem.vehicles), max(1, int(coarse.sum())), np.int64)
        self._add_load("burden", coarse, room)
        longest = self._longest()
        way_step = max(1, longest // (len(self._places) + 1) // _STEPS)
        transits = {}
        for profile in {one.profile for one in self.problem.vehicles}:
            steps = np.rint(self._matrix(profile, "metres") / way_step).astype(np.int64)
            transits[profile] = self._transits(steps)
        callbacks = [transits[one.profile] for one in self.problem.vehicles]
        self.routing.AddDimensionWithVehicleTransits(callbacks, 0, longest, True, "way")
        for number, one in enumerate(self.problem.vehicles):
            if rate := round(one.per_metre_load * self.scale * load_step * way_step):
                self.routing.SetPathEnergyCostOfVehicle("burden", "way", rate, number)

    # Limits

    def _longest(self) -> int:
        """Return more metres than any route can have."""
        longest = 0
        for profile in {one.profile for one in self.problem.vehicles}:
            metres = self._matrix(profile, "metres")
            longest = max(longest, int(metres[metres < UNREACHABLE].max(initial=0)))
        return longest * (len(self._places) + 1)

    def _add_limits(self) -> None:
        vehicles = self.problem.vehicles
        if any(one.max_distance_m is not None for one in vehicles):
            most = self._longest()
            limits = [most if one.max_distance_m is None else one.max_distance_m for one in vehicles]
            callbacks = self._by_vehicle("metres", np.zeros(len(self._places), np.int64))
            self.routing.AddDimensionWithVehicleTransitAndCapacity(callbacks, 0, limits, True, "distance")
        if any(one.max_stops is not None for one in vehicles):
            ones = [1] * len(self.visits) + [0] * (len(self._places) - len(self.visits))
            limits = [len(self.visits) if one.max_stops is None else one.max_stops for one in vehicles]
            self.routing.AddDimensionWithVehicleCapacity(self._unary(ones), 0, limits, True, "stops")
        if self.problem.balance:
            # without waiting, which no rule of the library leaves out of the longest day otherwise
            most = self._longest_day()
            callbacks = self._by_vehicle("seconds", self._service())
            self.routing.AddDimensionWithVehicleTransits(callbacks, 0, most, True, "work")
            self.routing.GetDimensionOrDie("work").SetGlobalSpanCostCoefficient(self._whole(self.problem.balance))

    def _longest_day(self) -> int:
        most = 0
        for profile in {one.profile for one in self.problem.vehicles}:
            seconds = self._matrix(profile, "seconds")
            most = max(most, int(seconds[seconds < UNREACHABLE].max(initial=0)))
        return most * (len(self._places) + 1) + int(self._service().sum())

    # Jobs

    def _add_rank(self) -> None:
        """Add the place of a visit in its route, where an order is asked for."""
        if any(isinstance(one, InOrder) for one in self.problem.relations) or any(
            job.pickup is not None and job.delivery is not None for job in self.problem.jobs
        ):
            self.routing.AddConstantDimension(1, self.count + 1, True, "rank")

    def _add_jobs(self) -> None:
        everyone = range(len(self.problem.vehicles))
        for number, job in enumerate(self.problem.jobs):
            penalty = _MUST if job.penalty is None else self._whole(job.penalty)
            indices = [self._nodes[visit] for visit in (Visit(number, True), Visit(number)) if visit in self._nodes]
            self.routing.AddDisjunction([indices[-1]], penalty)
            if len(indices) > 1:
                self.routing.AddDisjunction([indices[0]], 0)
                self._add_pair(*indices)
            if job.skills or job.allowed is not None or job.forbidden or job.on_board is not None:
                able = [vehicle for vehicle in everyone if self.problem.may_serve(vehicle, number)]
                for index in indices:
                    self._allow(index, able)
        for number, vehicle in enumerate(self._reloads):
            index = self.manager.NodeToIndex(len(self.visits) + number)
            self.routing.AddDisjunction([index], 0)
            self._allow(index, [vehicle])
        for relation in self.problem.relations:
            self._add_relation([self._numbers(job) for job in relation.jobs], isinstance(relation, InOrder))

    def _allow(self, index: int, vehicles: Sequence[int]) -> None:
        # SetAllowedVehiclesForIndex can't be called from Python in 9.15: no list becomes its absl::Span
        self.routing.VehicleVar(index).SetValues([-1, *vehicles])

    def _numbers(self, job: int) -> list[int]:
        return [self._nodes[visit] for visit in (Visit(job, True), Visit(job)) if visit in self._nodes]

    def _add_pair(self, pickup: int, delivery: int) -> None:
        self.routing.AddPickupAndDelivery(pickup, delivery)
        self._solver.Add(self.routing.VehicleVar(pickup) == self.routing.VehicleVar(delivery))
        rank = self.routing.GetDimensionOrDie("rank")
        self._solver.Add(rank.CumulVar(pickup) <= rank.CumulVar(delivery))

    def _add_relation(self, jobs: Sequence[Sequence[int]], in_order: bool) -> None:
        # all pairs rather than neighbours: one in the middle may be left out
        for one, other in itertools.combinations(jobs, 2):
            first, second = one[-1], other[0]
            both = self.routing.ActiveVar(first) * self.routing.ActiveVar(second)
            same = self.routing.VehicleVar(first) == self.routing.VehicleVar(second)
            self._solver.Add(both <= same)
            if in_order:
                self.routing.GetDimensionOrDie("rank").AddNodePrecedence(first, second, 1)

    def _add_pins(self) -> None:
        for vehicle, one in enumerate(self.problem.vehicles):
            path = [self.routing.Start(vehicle), *self._numbered(vehicle, one.pinned)]
            for before, after in itertools.pairwise(path):
                self.routing.NextVar(before).SetValue(after)
