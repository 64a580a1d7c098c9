"""Which vehicles can stand in for each other, and which jobs are for some of them only."""

from collections.abc import Sequence

from engine.routing.problem import RELOAD, Problem, Vehicle

__all__ = ["Restriction", "are_alike", "kinds", "restrictions"]

Restriction = frozenset[int] | None
"""Vehicles that may serve a job; None is all of them."""


def restrictions(problem: Problem) -> list[Restriction]:
    """Return who may serve each job: by its skills and lists, the goods on board, and what is committed."""
    everyone = frozenset(range(len(problem.vehicles)))
    by_skills: dict[frozenset[str], frozenset[int]] = {}
    known: list[Restriction] = []
    for job in problem.jobs:
        if not (job.skills or job.forbidden) and job.allowed is None and job.on_board is None:
            known.append(None)
            continue
        if job.skills not in by_skills:
            able = (number for number, vehicle in enumerate(problem.vehicles) if job.skills <= vehicle.skills)
            by_skills[job.skills] = frozenset(able)
        may = by_skills[job.skills] - job.forbidden
        if job.allowed is not None:
            may &= job.allowed
        if job.on_board is not None:
            may &= {job.on_board}
        known.append(None if may == everyone else may)
    for number, vehicle in enumerate(problem.vehicles):
        for visit in vehicle.pinned:
            if visit.job != RELOAD:
                known[visit.job] = frozenset([number])
    return known


def kinds(problem: Problem) -> list[int]:
    """Return a number for each vehicle, the same for those that can stand in for each other."""
    groups = {restriction for restriction in restrictions(problem) if restriction is not None}
    ordered = sorted(groups, key=sorted)
    number_of: dict[object, int] = {}
    found = []
    for number, vehicle in enumerate(problem.vehicles):
        key = (_features(vehicle), tuple(number in group for group in ordered))
        found.append(number_of.setdefault(key, len(number_of)))
    return found


def are_alike(vehicles: Sequence[Vehicle]) -> bool:
    """Return whether vehicles carry and cost the same, wherever and whenever they begin and whatever they may serve."""
    return len({(one.profile, one.capacity, one.fixed, one.per_metre, one.per_second) for one in vehicles}) <= 1


def _features(vehicle: Vehicle) -> object:
    return (
        (vehicle.profile, vehicle.start, vehicle.end, vehicle.capacity, vehicle.shift, vehicle.skills, vehicle.breaks),
        (vehicle.max_distance_m, vehicle.max_duration_s, vehicle.max_stops, vehicle.reload, vehicle.max_reloads),
        (vehicle.fixed, vehicle.per_metre, vehicle.per_second, vehicle.per_metre_load),
        vehicle.id if vehicle.pinned else None,
    )
