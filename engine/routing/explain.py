"""Why a job is left out: what rules out every vehicle, or what those that could take it have run out of. Pure."""

import dataclasses
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.routing.problem import Problem, Solution, Visit
from engine.routing.verifier import Violation, check_route

__all__ = ["Code", "Reason", "explain"]

Code = Literal[
    "overload",
    "late",
    "shift",
    "break",
    "skills",
    "not_allowed",
    "on_board",
    "unreachable",
    "too_far",
    "too_long",
    "too_many_stops",
    "full",
    "no_time",
    "mixed",
]

_DETAILS: dict[Code, str] = {
    "late": "no vehicle can be there before its time window closes",
    "shift": "no vehicle would be back before its shift ends",
    "break": "no vehicle could take its break",
    "skills": "no vehicle has the skills that it asks for",
    "not_allowed": "no vehicle may take it",
    "on_board": "only the vehicle that has it on board may bring it, and that one can't",
    "unreachable": "no vehicle finds a way to its place",
    "too_far": "farther than any vehicle may drive in a route",
    "too_long": "takes longer than any route may",
    "too_many_stops": "the vehicles may make no more stops",
    "full": "the vehicles that could take it have no room left",
    "no_time": "the vehicles have no time or room left within their limits",
    "mixed": "each vehicle is ruled out",
}
_TOO_MUCH = ("too heavy", "too large", "too many pieces")
_ORDER: tuple[Code, ...] = (
    "on_board",
    "not_allowed",
    "skills",
    "unreachable",
    "overload",
    "late",
    "shift",
    "too_far",
    "too_long",
    "too_many_stops",
    "break",
)
"""Which of several faults of one vehicle is told: the one that a planner can least do anything about."""


_OnBoard = Mapping[int, Sequence[Sequence[int]]]
"""What each vehicle has on board, per dimension: at the start, then after each visit."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job is not served."""

    code: Code
    detail: str


def explain(problem: Problem, solution: Solution, too_much: Sequence[str] = _TOO_MUCH) -> dict[int, Reason]:
    """Return the reason for each job that a solution leaves out.

    Parameters
    ----------
    problem, solution
        The solution need not be feasible.
    too_much
        What each dimension of load is called where there is too much of it.
    """
    groups = _alike(problem)
    on_board = {vehicle: check_route(problem, vehicle, route).loads for vehicle, route in enumerate(solution.routes)}
    return {job: _reason(problem, on_board, job, groups, too_much) for job in solution.unserved}


def _alike(problem: Problem) -> list[list[int]]:
    """Return the vehicles in groups of those that differ in nothing that matters to a single job."""
    groups: dict[Hashable, list[int]] = {}
    for number, vehicle in enumerate(problem.vehicles):
        own = number if problem.aboard(number) else -1
        groups.setdefault((dataclasses.replace(vehicle, id=""), own), []).append(number)
    return list(groups.values())


def _reason(
    problem: Problem, on_board: _OnBoard, job: int, groups: Sequence[Sequence[int]], too_much: Sequence[str]
) -> Reason:
    faults: Counter[Code] = Counter()
    able: list[int] = []
    dimensions: set[int] = set()
    for group in groups:
        # rules about single vehicles part a group
        for fits in (True, False):
            members = [one for one in group if problem.may_serve(one, job) is fits]
            if not members:
                continue
            broken = _broken(problem, members[0], job)
            if not broken:
                able += members
                continue
            code = min((_code(one) for one in broken), key=_ORDER.index)
            faults[code] += len(members)
            dimensions |= {one.dimension for one in broken if one.dimension is not None}
    if able:
        code = "full" if all(_is_full(problem, on_board[vehicle], vehicle, job) for vehicle in able) else "no_time"
        return Reason(code, _DETAILS[code])
    if len(faults) > 1:
        parts = (f"{count} × {_short(code)}" for code, count in faults.most_common())
        return Reason("mixed", f"{_DETAILS['mixed']}: {', '.join(parts)}")
    [code] = faults
    if code != "overload":
        return Reason(code, _DETAILS[code])
    named = [too_much[one] if one < len(too_much) else "too much" for one in sorted(dimensions)]
    return Reason(code, f"{' and '.join(named)} for every vehicle")


def _broken(problem: Problem, vehicle: int, job: int) -> list[Violation]:
    """Return what a vehicle breaks that does nothing but what is pinned to it, and this job."""
    wanted, van = problem.jobs[job], problem.vehicles[vehicle]
    if too_much := [
        Violation("overload", vehicle, dimension=dimension)
        for dimension, (room, amount) in enumerate(zip(van.capacity, wanted.load, strict=False))
        if amount > room and problem.may_serve(vehicle, job)
    ]:
        return too_much  # thousands of jobs are as quickly told as one
    done = set(van.pinned)
    own = [
        visit
        for visit, stop in ((Visit(job, True), wanted.pickup), (Visit(job, False), wanted.delivery))
        if stop is not None and visit not in done
    ]
    # pairs that are pinned by half come to their end after it, which is no fault of this job's
    found = check_route(problem, vehicle, [*van.pinned, *own]).violations
    return [one for one in found if one.kind in _ORDER]


def _code(violation: Violation) -> Code:
    found: Code = next(code for code in _ORDER if code == violation.kind)
    return found


def _short(code: Code) -> str:
    return _DETAILS.get(code, "too much for the vehicle")


def _is_full(problem: Problem, on_board: Sequence[Sequence[int]], vehicle: int, job: int) -> bool:
    """Return whether a vehicle has too much on board for this job to join it at any point and stay."""
    wanted = problem.jobs[job]
    return any(
        room < amount + (min(loads) if wanted.pickup else loads[0])
        for room, amount, loads in zip(problem.vehicles[vehicle].capacity, wanted.load, on_board, strict=False)
    )
