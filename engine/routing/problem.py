"""A routing problem without tenants: where, what, by which vehicle, at what cost. Neutral of any solver."""

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.routing.travel import Travel

__all__ = [
    "ENDLESS",
    "RELOAD",
    "Break",
    "InOrder",
    "Job",
    "Part",
    "Problem",
    "Relation",
    "SameVehicle",
    "Solution",
    "Stop",
    "Vehicle",
    "Visit",
    "Window",
    "whole_window",
]

Window = tuple[int, int]
"""First and last second, both included."""

ENDLESS = 14 * 86_400
"""End of a shift that does not bind, seconds: longer than any."""

RELOAD = -1
"""Number that stands for a job where the vehicle fills up again."""


class Visit(NamedTuple):
    """One entry of a route."""

    job: int
    """Number of the job, or `RELOAD`."""
    pickup: bool = False
    """Whether it is the job's pickup."""


def whole_window(opens: datetime.datetime, closes: datetime.datetime, zero: datetime.datetime) -> Window:
    """Return the whole seconds after `zero` from which on, and up to which, both moments are kept."""
    first, last = math.ceil((opens - zero).total_seconds()), math.floor((closes - zero).total_seconds())
    return first, max(first, last)


@dataclass(frozen=True, slots=True)
class Stop:
    """Where and when something is handed over."""

    place: int
    windows: tuple[Window, ...] = ()
    """When service may begin, seconds after the problem's zero, in order and apart; none means at any time."""
    service_s: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """Something to move: collected and brought to the route's end, delivered from its begin, or from stop to stop."""

    id: str
    pickup: Stop | None
    """None: on board since the route's begin or the last reload."""
    delivery: Stop | None
    """None: stays on board until the next reload or the route's end."""
    load: tuple[int, ...] = ()
    """One per dimension of capacity; empty: nothing that takes room."""
    penalty: float | None = None
    """Cost of leaving it out, in units of the objective; None: it has to be served."""
    skills: frozenset[str] = frozenset()
    """What its vehicle has to offer."""
    allowed: frozenset[int] | None = None
    """Numbers of the vehicles that may take it; None means all."""
    forbidden: frozenset[int] = frozenset()
    """Numbers of vehicles that may not."""
    on_board: int | None = None
    """The vehicle that carries its goods already; then it is a delivery only, which no other vehicle may serve."""


@dataclass(frozen=True, slots=True)
class Break:
    """A pause of the driver: before leaving, on the way, while waiting, or after the end; never during service."""

    windows: tuple[Window, ...]
    """When it may begin, in order and apart."""
    length_s: int


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle with the time that it has. None does not bind."""

    id: str
    profile: int = 0
    """Which of the problem's travels holds for it."""
    start: int | None = None
    """Number of the place where it begins; None begins at its first stop."""
    end: int | None = None
    """Number of the place where it ends; None ends at its last stop."""
    capacity: tuple[int, ...] = ()
    """One per dimension; empty does not bind."""
    shift: Window = (0, ENDLESS)
    """Earliest leave and latest return, seconds after the problem's zero."""
    skills: frozenset[str] = frozenset()
    breaks: tuple[Break, ...] = ()
    """In the order in which they are taken."""
    max_distance_m: int | None = None
    max_duration_s: int | None = None
    """From leaving, as late as costs no time at the end, to coming back."""
    max_stops: int | None = None
    """Visits without reloads."""
    fixed: float = 0.0
    """Cost of being used at all."""
    per_metre: float = 1.0
    per_second: float = 0.0
    """Of the route's duration, waiting, service and breaks included."""
    per_metre_load: float = 0.0
    """Of a metre with one unit of the first dimension on board: fuel that grows with the load."""
    pinned: tuple[Visit, ...] = ()
    """Committed first visits: they stay first and in this order."""
    reload: int | None = None
    """Place where it may fill up again."""
    max_reloads: int = 0


@dataclass(frozen=True, slots=True)
class SameVehicle:
    """Jobs for one vehicle, as far as they are served."""

    jobs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InOrder:
    """Jobs for one vehicle, each after all visits of the one before, as far as they are served."""

    jobs: tuple[int, ...]
    """Other stops may stand between."""


Relation = SameVehicle | InOrder


@dataclass(frozen=True, slots=True)
class Solution:
    """An order of visits for each vehicle."""

    routes: tuple[tuple[Visit, ...], ...]
    """One per vehicle, in the order of the problem's; an empty one is not used."""
    cost: float
    """Objective without the penalties, as `engine.routing.verifier` computes it."""
    unserved: tuple[int, ...] = ()
    """Numbers of the jobs that no vehicle takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """J jobs and V vehicles between P places, of K profiles."""

    jobs: Sequence[Job]
    vehicles: Sequence[Vehicle]
    travel: Sequence[Travel]
    """One per profile, all of P places."""
    relations: Sequence[Relation] = ()
    balance: float = 0.0
    """Cost of a second of the longest route's duration."""
    dimensions: int = field(init=False, default=0)
    """How many dimensions loads have."""
    _aboard: Mapping[int, tuple[int, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        sizes = [len(job.load) for job in self.jobs] + [len(vehicle.capacity) for vehicle in self.vehicles]
        aboard: dict[int, tuple[int, ...]] = {}
        for number, job in enumerate(self.jobs):
            if job.on_board is not None:
                aboard[job.on_board] = (*aboard.get(job.on_board, ()), number)
        object.__setattr__(self, "dimensions", max(sizes, default=0))
        object.__setattr__(self, "_aboard", aboard)

    def aboard(self, vehicle: int) -> tuple[int, ...]:
        """Return the numbers of the jobs whose goods a vehicle carries already."""
        return self._aboard.get(vehicle, ())

    def loads(self) -> NDArray[np.int64]:
        """Return the load of each job, J × D."""
        loads = np.zeros((len(self.jobs), self.dimensions), np.int64)
        for number, job in enumerate(self.jobs):
            loads[number, : len(job.load)] = job.load
        return loads

    def capacities(self) -> NDArray[np.int64]:
        """Return the capacity of each vehicle, V × D: the sum of all loads where it does not bind."""
        capacities = np.tile(self.loads().sum(axis=0), (len(self.vehicles), 1))
        for number, vehicle in enumerate(self.vehicles):
            capacities[number, : len(vehicle.capacity)] = vehicle.capacity
        return capacities

    def stop(self, visit: Visit) -> Stop | None:
        """Return where a visit is made; None if its job has no such stop. Not for reloads."""
        job = self.jobs[visit.job]
        return job.pickup if visit.pickup else job.delivery

    def may_serve(self, vehicle: int, job: int) -> bool:
        """Return whether skills, rules and goods on board let a vehicle take a job at all."""
        wanted = self.jobs[job]
        return (
            wanted.skills <= self.vehicles[vehicle].skills
            and (wanted.allowed is None or vehicle in wanted.allowed)
            and vehicle not in wanted.forbidden
            and wanted.on_board in (None, vehicle)
        )

    def part(self, jobs: Sequence[int], vehicles: Sequence[int]) -> "Part":
        """Return the problem of some jobs and vehicles, with no more of the travel than it needs.

        Relations hold among the jobs that are in it.

        Raises
        ------
        ValueError
            If a vehicle's pinned job is not among `jobs`, or the vehicle that has a job's goods on board not among
            `vehicles`.
        """
        places: dict[int, int] = {}
        job_of = {old: new for new, old in enumerate(jobs)}
        vehicle_of = {old: new for new, old in enumerate(vehicles)}
        made_jobs = [_moved_job(self.jobs[old], places, vehicle_of) for old in jobs]
        profiles = sorted({self.vehicles[old].profile for old in vehicles})
        made_vehicles = [_moved_vehicle(self.vehicles[old], places, job_of, profiles) for old in vehicles]
        kept = np.fromiter(places, np.int64, len(places))
        relations = [
            dataclasses.replace(relation, jobs=inside)
            for relation in self.relations
            if len(inside := tuple(job_of[job] for job in relation.jobs if job in job_of)) > 1
        ]
        travel = [self.travel[profile].part(kept) for profile in profiles]
        problem = Problem(made_jobs, made_vehicles, travel, relations, self.balance)
        return Part(problem, tuple(jobs), tuple(vehicles))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A problem cut out of another."""

    problem: Problem
    jobs: tuple[int, ...]
    """Number in the whole of each of its jobs."""
    vehicles: tuple[int, ...]
    """Number in the whole of each of its vehicles."""

    def routes_here(self, routes: Sequence[Sequence[Visit]]) -> tuple[tuple[Visit, ...], ...]:
        """Return the routes of its vehicles in its own numbers, from those of all vehicles of the whole."""
        job_of = {old: new for new, old in enumerate(self.jobs)} | {RELOAD: RELOAD}
        return tuple(tuple(Visit(job_of[job], pickup) for job, pickup in routes[old]) for old in self.vehicles)

    def routes_there(self, routes: Sequence[Sequence[Visit]]) -> dict[int, tuple[Visit, ...]]:
        """Return its routes by the number of the vehicle, in the numbers of the whole."""
        job_of = dict(enumerate(self.jobs)) | {RELOAD: RELOAD}
        return {
            old: tuple(Visit(job_of[job], pickup) for job, pickup in route)
            for old, route in zip(self.vehicles, routes, strict=True)
        }


def _moved_job(job: Job, places: dict[int, int], vehicle_of: Mapping[int, int]) -> Job:
    if job.on_board is not None and job.on_board not in vehicle_of:
        message = f"the vehicle that has {job.id} on board is not in the part"
        raise ValueError(message)
    return dataclasses.replace(
        job,
        pickup=_moved_stop(job.pickup, places),
        delivery=_moved_stop(job.delivery, places),
        allowed=None if job.allowed is None else _among(job.allowed, vehicle_of),
        forbidden=_among(job.forbidden, vehicle_of),
        on_board=None if job.on_board is None else vehicle_of[job.on_board],
    )


def _among(vehicles: frozenset[int], vehicle_of: Mapping[int, int]) -> frozenset[int]:
    return frozenset(vehicle_of[old] for old in vehicles if old in vehicle_of) if vehicles else vehicles


def _moved_stop(stop: Stop | None, places: dict[int, int]) -> Stop | None:
    return None if stop is None else Stop(places.setdefault(stop.place, len(places)), stop.windows, stop.service_s)


def _moved_vehicle(
    vehicle: Vehicle, places: dict[int, int], job_of: Mapping[int, int], profiles: Sequence[int]
) -> Vehicle:
    if lost := [visit.job for visit in vehicle.pinned if visit.job != RELOAD and visit.job not in job_of]:
        message = f"job {lost[0]} is pinned to {vehicle.id} and not in the part"
        raise ValueError(message)

    def moved(place: int | None) -> int | None:
        return None if place is None else places.setdefault(place, len(places))

    return dataclasses.replace(
        vehicle,
        profile=profiles.index(vehicle.profile),
        start=moved(vehicle.start),
        end=moved(vehicle.end),
        reload=moved(vehicle.reload),
        pinned=tuple(Visit(job_of.get(job, RELOAD), pickup) for job, pickup in vehicle.pinned),
    )
