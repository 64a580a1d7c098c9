"""Refuses problems that make no sense, with the paths of the fields at fault."""

import math
from collections.abc import Iterator, Sequence

from engine.routing.problem import RELOAD, Break, Job, Problem, Stop, Vehicle, Visit, Window
from engine.routing.travel import DenseTravel, SlicedTravel
from models.errors import InvalidInput

__all__ = ["check_problem"]

Fault = tuple[str, str]

_MOST_TOLD = 100


def check_problem(problem: Problem) -> Problem:
    """Return a problem that makes sense.

    Raises
    ------
    InvalidInput
        If there are no jobs or vehicles, ids come twice, sizes are negative or no numbers, windows end before they
        begin or overlap, matrices are not square or not alike, or a number points nowhere; with the paths of at most
        100 faults.
    """
    faults = [fault for fault, _ in zip(_faults(problem), range(_MOST_TOLD), strict=False)]
    if faults:
        raise InvalidInput(f"{faults[0][0]}: {faults[0][1]}", faults)
    return problem


def _faults(problem: Problem) -> Iterator[Fault]:
    if not problem.jobs:
        yield "jobs", "there are none"
    if not problem.vehicles:
        yield "vehicles", "there are none"
    if not problem.travel:
        yield "travel", "there is none"
        return
    yield from _travel_faults(problem)
    yield from _repeated("jobs", [job.id for job in problem.jobs])
    yield from _repeated("vehicles", [vehicle.id for vehicle in problem.vehicles])
    for number, job in enumerate(problem.jobs):
        yield from _job_faults(problem, f"jobs.{number}", job)
    for number, vehicle in enumerate(problem.vehicles):
        yield from _vehicle_faults(problem, f"vehicles.{number}", vehicle)
    for number, relation in enumerate(problem.relations):
        yield from _number_faults(f"relations.{number}.jobs", relation.jobs, len(problem.jobs), "job")
        if len(set(relation.jobs)) != len(relation.jobs):
            yield f"relations.{number}.jobs", "names a job twice"
    if not _is_cost(problem.balance):
        yield "balance", "must be a number of at least 0"


def _travel_faults(problem: Problem) -> Iterator[Fault]:
    places = problem.travel[0].size
    for number, travel in enumerate(problem.travel):
        if travel.size != places:
            yield f"travel.{number}", f"has {travel.size} places where the first has {places}"
        if isinstance(travel, DenseTravel):
            yield from _matrix_faults(f"travel.{number}", travel, places)
        elif isinstance(travel, SlicedTravel):
            if len(travel.begins) != len(travel.slices) or list(travel.begins) != sorted(set(travel.begins)):
                yield f"travel.{number}.begins", "must be one for each slice, in order"
            for place, one in enumerate(travel.slices):
                yield from _matrix_faults(f"travel.{number}.slices.{place}", one, places)


def _matrix_faults(path: str, travel: DenseTravel, places: int) -> Iterator[Fault]:
    for name in ("durations", "distances"):
        matrix = getattr(travel, name)
        if matrix.shape != (places, places):
            yield f"{path}.{name}", f"has the shape {matrix.shape}, not {(places, places)}"
        elif matrix.dtype.kind not in "iu":
            yield f"{path}.{name}", "must hold whole numbers"
        elif matrix.size and matrix.min() < 0:
            yield f"{path}.{name}", "has negative entries"


def _repeated(path: str, names: Sequence[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield f"{path}.{number}.id", f"{name} comes twice"
        seen.add(name)


def _job_faults(problem: Problem, path: str, job: Job) -> Iterator[Fault]:
    if job.pickup is None and job.delivery is None:
        yield path, "has neither a pickup nor a delivery"
    for name, stop in (("pickup", job.pickup), ("delivery", job.delivery)):
        if stop is not None:
            yield from _stop_faults(problem, f"{path}.{name}", stop)
    if len(job.load) not in (0, problem.dimensions):
        yield f"{path}.load", f"has {len(job.load)} dimensions where others have {problem.dimensions}"
    yield from _size_faults(f"{path}.load", job.load)
    if job.penalty is not None and not _is_cost(job.penalty):
        yield f"{path}.penalty", "must be a number of at least 0"
    vehicles = len(problem.vehicles)
    yield from _number_faults(f"{path}.allowed", sorted(job.allowed or ()), vehicles, "vehicle")
    yield from _number_faults(f"{path}.forbidden", sorted(job.forbidden), vehicles, "vehicle")
    if job.on_board is not None:
        yield from _number_faults(f"{path}.on_board", [job.on_board], vehicles, "vehicle")
        if job.pickup is not None or job.delivery is None:
            yield f"{path}.on_board", "what is on board already has a delivery and no pickup"


def _stop_faults(problem: Problem, path: str, stop: Stop) -> Iterator[Fault]:
    yield from _number_faults(f"{path}.place", [stop.place], problem.travel[0].size, "place")
    yield from _window_faults(f"{path}.windows", stop.windows)
    if not _is_size(stop.service_s):
        yield f"{path}.service_s", "must be a whole number of at least 0"


def _vehicle_faults(problem: Problem, path: str, vehicle: Vehicle) -> Iterator[Fault]:
    yield from _number_faults(f"{path}.profile", [vehicle.profile], len(problem.travel), "profile")
    for name in ("start", "end", "reload"):
        place = getattr(vehicle, name)
        if place is not None:
            yield from _number_faults(f"{path}.{name}", [place], problem.travel[0].size, "place")
    if len(vehicle.capacity) not in (0, problem.dimensions):
        yield f"{path}.capacity", f"has {len(vehicle.capacity)} dimensions where others have {problem.dimensions}"
    yield from _size_faults(f"{path}.capacity", vehicle.capacity)
    yield from _window_faults(f"{path}.shift", (vehicle.shift,))
    for number, pause in enumerate(vehicle.breaks):
        yield from _break_faults(f"{path}.breaks.{number}", pause)
    for name in ("max_distance_m", "max_duration_s", "max_stops", "max_reloads"):
        limit = getattr(vehicle, name)
        if limit is not None and not _is_size(limit):
            yield f"{path}.{name}", "must be a whole number of at least 0"
    for name in ("fixed", "per_metre", "per_second", "per_metre_load"):
        if not _is_cost(getattr(vehicle, name)):
            yield f"{path}.{name}", "must be a number of at least 0"
    yield from _pinned_faults(problem, path, vehicle)


def _break_faults(path: str, pause: Break) -> Iterator[Fault]:
    if not pause.windows:
        yield f"{path}.windows", "there are none"
    yield from _window_faults(f"{path}.windows", pause.windows)
    if not _is_size(pause.length_s):
        yield f"{path}.length_s", "must be a whole number of at least 0"


def _pinned_faults(problem: Problem, path: str, vehicle: Vehicle) -> Iterator[Fault]:
    seen: set[Visit] = set()
    for number, visit in enumerate(vehicle.pinned):
        here = f"{path}.pinned.{number}"
        if visit.job == RELOAD:
            if vehicle.reload is None:
                yield here, "the vehicle has no place to reload"
        elif not 0 <= visit.job < len(problem.jobs):
            yield here, f"there is no job {visit.job}"
        elif problem.stop(visit) is None:
            yield here, f"{problem.jobs[visit.job].id} has no such stop"
        elif visit in seen:
            yield here, f"{problem.jobs[visit.job].id} is pinned twice"
        seen.add(visit)


def _window_faults(path: str, windows: Sequence[Window]) -> Iterator[Fault]:
    last = -math.inf
    for number, (opens, closes) in enumerate(windows):
        if not opens <= closes:
            yield f"{path}.{number}", "ends before it begins"
        elif opens <= last:
            yield f"{path}.{number}", "begins before the one before it has ended"
        last = closes


def _number_faults(path: str, numbers: Sequence[int], count: int, what: str) -> Iterator[Fault]:
    for number in numbers:
        if not 0 <= number < count:
            yield path, f"there is no {what} {number}"


def _size_faults(path: str, sizes: Sequence[float]) -> Iterator[Fault]:
    for number, size in enumerate(sizes):
        if not _is_size(size):
            yield f"{path}.{number}", "must be a whole number of at least 0"


def _is_size(size: float) -> bool:
    return size >= 0 and math.isfinite(size) and size == int(size)


def _is_cost(cost: float) -> bool:
    return cost >= 0 and math.isfinite(cost)
