"""Whether a solution keeps everything that its problem says, and what it costs: computed afresh, from nothing but both.

Pure, and apart from every solver, so that no solver vouches for itself.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.routing.problem import RELOAD, InOrder, Problem, Solution, Stop, Vehicle, Visit
from engine.routing.sliced_times import Pace, sliced_timetable
from engine.routing.timetable import Call, Timetable, timetable
from engine.routing.travel import UNREACHABLE, SlicedTravel

__all__ = ["Kind", "RouteCheck", "Verdict", "Violation", "check_route", "verify"]

Kind = Literal[
    "unknown_visit",
    "twice",
    "incomplete",
    "order",
    "overload",
    "late",
    "shift",
    "break",
    "skills",
    "not_allowed",
    "on_board",
    "pinned",
    "relation",
    "too_far",
    "too_long",
    "too_many_stops",
    "too_many_reloads",
    "unreachable",
    "unserved",
    "cost",
]

_SAME_COST = 1e-6
"""Of the cost: what sums of floats in another order may differ by."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that a solution breaks."""

    kind: Kind
    vehicle: int | None = None
    position: int | None = None
    """Of the visit in the route; None where it is the whole route, or no route."""
    job: int | None = None
    amount: float = 1.0
    """How much too much: seconds, metres, units of load or cost, or how many."""
    dimension: int | None = None
    """Of the load, for `overload`."""


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """One route in full."""

    vehicle: int
    violations: tuple[Violation, ...]
    cost: float
    """Without its part in the balance of routes."""
    distance_m: int
    times: Timetable | None
    """None where nothing is done."""
    loads: tuple[tuple[int, ...], ...] = ()
    """Per dimension: on board at the start, then after each visit."""

    @property
    def duration_s(self) -> int:
        """Return the time from leaving to coming back."""
        return 0 if self.times is None else self.times.duration_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    violations: tuple[Violation, ...]
    cost: float
    """Objective without penalties."""
    penalty: float
    """Of what is left out."""
    routes: tuple[RouteCheck, ...]
    unserved: tuple[int, ...]

    @property
    def is_feasible(self) -> bool:
        """Return whether nothing is broken."""
        return not self.violations


def verify(problem: Problem, solution: Solution) -> Verdict:
    """Return everything that a solution breaks, and its cost."""
    if len(solution.routes) != len(problem.vehicles):
        wrong = Violation("unknown_visit", amount=abs(len(solution.routes) - len(problem.vehicles)))
        return Verdict((wrong,), math.inf, 0.0, (), tuple(range(len(problem.jobs))))
    routes = tuple(check_route(problem, vehicle, route) for vehicle, route in enumerate(solution.routes))
    found = [violation for route in routes for violation in route.violations]
    where = _where(solution.routes, found)
    found += _relations_broken(problem, where)
    unserved = tuple(number for number in range(len(problem.jobs)) if number not in where)
    found += [Violation("unserved", job=number) for number in unserved if problem.jobs[number].penalty is None]
    if set(solution.unserved) != set(unserved) or len(solution.unserved) != len(unserved):
        wrong_s = set(solution.unserved) ^ set(unserved)
        found.append(Violation("incomplete", job=min(wrong_s, default=None), amount=len(wrong_s) or 1))
    cost = sum(route.cost for route in routes) + problem.balance * max((one.duration_s for one in routes), default=0)
    if math.isfinite(cost) and not abs(cost - solution.cost) <= _SAME_COST * max(1.0, abs(cost)):
        found.append(Violation("cost", amount=abs(cost - solution.cost)))
    penalty = sum(problem.jobs[number].penalty or 0.0 for number in unserved)
    return Verdict(tuple(found), cost, penalty, routes, unserved)


def check_route(problem: Problem, vehicle: int, visits: Sequence[Visit]) -> RouteCheck:
    """Return what one route breaks by itself, its times, loads and cost."""
    van = problem.vehicles[vehicle]
    if not visits:
        broken = [Violation("pinned", vehicle, amount=len(van.pinned))] if van.pinned else []
        return RouteCheck(vehicle, tuple(broken), 0.0, 0, None)
    route = _Route(problem, vehicle, van, visits)
    route.check_visits()
    if route.found:  # no such stops: there is nothing to drive to
        return RouteCheck(vehicle, tuple(route.found), math.inf, 0, None)
    route.check_pairs()
    route.check_pinned()
    loads = route.check_loads()
    distance_m, times, metres = route.check_drive()
    cost = van.fixed + van.per_metre * distance_m + van.per_second * times.duration_s
    if van.per_metre_load and loads:
        cost += van.per_metre_load * sum(leg_m * load for leg_m, load in zip(metres, loads[0], strict=True))
    return RouteCheck(vehicle, tuple(route.found), cost, distance_m, times, loads)


@dataclass(slots=True)
class _Route:
    """A route while it is checked."""

    problem: Problem
    number: int
    vehicle: Vehicle
    visits: Sequence[Visit]
    found: list[Violation] = field(default_factory=list)

    def _broken(
        self, kind: Kind, position: int | None = None, amount: float = 1.0, dimension: int | None = None
    ) -> None:
        job = None if position is None or self.visits[position].job == RELOAD else self.visits[position].job
        self.found.append(Violation(kind, self.number, position, job, amount, dimension))

    def check_visits(self) -> None:
        """Note visits that are none."""
        for position, visit in enumerate(self.visits):
            if visit.job == RELOAD:
                if self.vehicle.reload is None:
                    self._broken("unknown_visit", position)
            elif not 0 <= visit.job < len(self.problem.jobs) or self.problem.stop(visit) is None:
                self._broken("unknown_visit", position)

    def check_pairs(self) -> None:
        """Note halves of pairs, wrong order, what comes twice, and what this vehicle may not take."""
        seen: dict[Visit, int] = {}
        for position, visit in enumerate(self.visits):
            if visit.job == RELOAD:
                continue
            if visit in seen:
                self._broken("twice", position)
                continue
            seen[visit] = position
            job = self.problem.jobs[visit.job]
            if not visit.pickup and job.pickup is not None and Visit(visit.job, True) not in seen:
                kind: Kind = "order" if Visit(visit.job, True) in self.visits else "incomplete"
                self._broken(kind, position)
            if not job.skills <= self.vehicle.skills:
                self._broken("skills", position, len(job.skills - self.vehicle.skills))
            if self.number in job.forbidden or (job.allowed is not None and self.number not in job.allowed):
                self._broken("not_allowed", position)
            if job.on_board not in (None, self.number):
                self._broken("on_board", position)
        for visit, position in seen.items():
            paired = visit.pickup and self.problem.jobs[visit.job].delivery is not None
            if paired and Visit(visit.job, False) not in seen:
                self._broken("incomplete", position)

    def check_pinned(self) -> None:
        """Note the first committed visit that is not where it was, and too many visits."""
        for position, visit in enumerate(self.vehicle.pinned):
            if position >= len(self.visits) or self.visits[position] != visit:
                self.found.append(Violation("pinned", self.number, position, visit.job if visit.job >= 0 else None))
                break
        reloads = sum(visit.job == RELOAD for visit in self.visits)
        if reloads > self.vehicle.max_reloads:
            self._broken("too_many_reloads", amount=reloads - self.vehicle.max_reloads)
        most = self.vehicle.max_stops
        if most is not None and len(self.visits) - reloads > most:
            self._broken("too_many_stops", amount=len(self.visits) - reloads - most)

    def check_loads(self) -> tuple[tuple[int, ...], ...]:
        """Note where more is on board than there is room for; return what is on board, per dimension."""
        return tuple(self._check_dimension(dimension) for dimension in range(self.problem.dimensions))

    def _check_dimension(self, dimension: int) -> tuple[int, ...]:
        jobs = self.problem.jobs
        amounts = [
            jobs[job].load[dimension] if job != RELOAD and len(jobs[job].load) > dimension else 0
            for job, _ in self.visits
        ]
        loaded = self._loaded_by_trip(amounts)
        room = self.vehicle.capacity[dimension] if len(self.vehicle.capacity) > dimension else None
        # goods that are on board take room until they are brought, whether this route brings them or not
        load = next(loaded) + sum(
            jobs[job].load[dimension] for job in self.problem.aboard(self.number) if len(jobs[job].load) > dimension
        )
        loads, collected = [load], 0
        if room is not None and load > room:
            self.found.append(Violation("overload", self.number, None, None, load - room, dimension))
        for position, ((job, pickup), amount) in enumerate(zip(self.visits, amounts, strict=True)):
            if job == RELOAD:
                load += next(loaded) - collected
                collected = 0
            elif pickup:
                load += amount
                collected += amount if jobs[job].delivery is None else 0
            else:
                load -= amount
            loads.append(load)
            if room is not None and load > room and load > loads[-2]:
                self._broken("overload", position, load - room, dimension)
        return tuple(loads)

    def _loaded_by_trip(self, amounts: Sequence[int]) -> Iterator[int]:
        """Yield what is loaded for each trip: all that it delivers and neither collects nor has on board already."""
        loaded = 0
        trips = []
        for (job, pickup), amount in zip(self.visits, amounts, strict=True):
            if job == RELOAD:
                trips.append(loaded)
                loaded = 0
            elif not pickup and self.problem.jobs[job].pickup is None and self.problem.jobs[job].on_board is None:
                loaded += amount
        yield from [*trips, loaded]

    def check_drive(self) -> tuple[int, Timetable, Sequence[int]]:
        """Note lateness and what is too long; return the distance, the times and the metres of each leg."""
        vehicle = self.vehicle
        stops = [self._stop(visit) for visit in self.visits]
        places = [stop.place for stop in stops]
        path = [places[0] if vehicle.start is None else vehicle.start, *places]
        path.append(places[-1] if vehicle.end is None else vehicle.end)
        at = np.array(path, np.int64)
        legs = self.problem.travel[vehicle.profile].legs(at[:-1], at[1:])
        seconds, metres = legs[0].tolist(), legs[1].tolist()
        if vehicle.start is None:
            seconds[0] = metres[0] = 0
        if vehicle.end is None:
            seconds[-1] = metres[-1] = 0
        for position, (leg_s, leg_m) in enumerate(zip(seconds, metres, strict=True)):
            if leg_s >= UNREACHABLE or leg_m >= UNREACHABLE:
                self._broken("unreachable", position if position < len(stops) else None)
        calls = [Call(leg_s, stop.windows, stop.service_s) for leg_s, stop in zip(seconds, stops, strict=False)]
        travel = self.problem.travel[vehicle.profile]
        if isinstance(travel, SlicedTravel):
            times = sliced_timetable(calls, self._paces(travel, at), vehicle.shift, vehicle.breaks)
        else:
            times = timetable(calls, seconds[-1], vehicle.shift, vehicle.breaks)
        self._check_times(times)
        distance_m = sum(metres)
        if vehicle.max_distance_m is not None and distance_m > vehicle.max_distance_m:
            self._broken("too_far", amount=distance_m - vehicle.max_distance_m)
        return distance_m, times, metres

    def _paces(self, travel: SlicedTravel, path: NDArray[np.int64]) -> list[Pace]:
        """Return the seconds of each leg in each slice."""
        seconds = travel.legs_by_slice(path[:-1], path[1:])
        if self.vehicle.start is None:
            seconds[:, 0] = 0
        if self.vehicle.end is None:
            seconds[:, -1] = 0
        return [Pace(travel.begins, tuple(leg)) for leg in seconds.T.tolist()]

    def _check_times(self, times: Timetable) -> None:
        vehicle = self.vehicle
        for position, late_s in times.late:
            self._broken("late", position, late_s)
        if times.missing_breaks:
            self._broken("break", amount=times.missing_breaks)
        if times.end_s > vehicle.shift[1]:
            self._broken("shift", amount=times.end_s - vehicle.shift[1])
        if vehicle.max_duration_s is not None and times.duration_s > vehicle.max_duration_s:
            self._broken("too_long", amount=times.duration_s - vehicle.max_duration_s)

    def _stop(self, visit: Visit) -> Stop:
        if visit.job != RELOAD:
            stop = self.problem.stop(visit)
        else:
            stop = None if self.vehicle.reload is None else Stop(self.vehicle.reload)
        assert stop is not None  # noqa: S101 - checked before
        return stop


def _where(routes: Sequence[Sequence[Visit]], found: list[Violation]) -> dict[int, tuple[int, int, int]]:
    """Return the vehicle of each job that is served, and its first and last position; note what two vehicles do."""
    where: dict[int, tuple[int, int, int]] = {}
    for vehicle, route in enumerate(routes):
        for position, (job, _) in enumerate(route):
            if job == RELOAD:
                continue
            known, first, _ = where.get(job, (vehicle, position, position))
            if known != vehicle:
                found.append(Violation("twice", vehicle, position, job))
                continue
            where[job] = (vehicle, first, position)
    return where


def _relations_broken(problem: Problem, where: dict[int, tuple[int, int, int]]) -> Iterator[Violation]:
    for relation in problem.relations:
        served = [(job, where[job]) for job in relation.jobs if job in where]
        for (_, (vehicle, _, last)), (job, (other, first, _)) in itertools.pairwise(served):
            if other != vehicle or (isinstance(relation, InOrder) and first < last):
                yield Violation("relation", other, first, job)
