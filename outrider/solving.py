"""Solves a routing problem from a file on this machine, without stores and without a cluster."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.routing.explain import explain
from engine.routing.formats.instance import Instance, Known
from engine.routing.portfolio import Effort, Portfolio
from engine.routing.problem import Problem, Solution
from engine.routing.processes import ProcessRunner
from engine.routing.search import ENGINES, Engine, Routes
from engine.routing.verifier import verify

__all__ = ["Answer", "solve_instance"]

_FOR_VEHICLES = 0.5  # of the time, where few vehicles come first
_LEAST_S = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a problem."""

    instance: Instance
    solution: Solution | None
    seconds: float
    known: Known | None
    members: tuple[str, ...]
    """Solvers that ran."""

    def figures(self) -> dict[str, Any]:
        """Return what the command prints, verified once more."""
        solution = self.solution
        figures: dict[str, Any] = {
            "instance": self.instance.name,
            "cost": None,
            "vehicles": None,
            "unserved": len(self.instance.problem.jobs),
            "feasible": False,
            "seconds": round(self.seconds, 2),
            "gap": None,
            "solver": list(self.members),
        }
        if solution is None:
            return figures
        verdict = verify(self.instance.problem, solution)
        reasons = explain(self.instance.problem, solution)
        return figures | {
            "cost": _plain(self.instance.cost(solution, self.known)),
            "vehicles": sum(1 for route in solution.routes if route),
            "unserved": len(verdict.unserved),
            "feasible": verdict.is_feasible,
            "gap": None if self.known is None else round(self.instance.gap(solution, self.known), 6),
            "reasons": {self.instance.problem.jobs[job].id: reason.detail for job, reason in reasons.items()},
        }


def solve_instance(
    instance: Instance,
    *,
    seconds: float,
    workers: int,
    seed: int,
    engines: Sequence[Engine] = ENGINES,
    known: Known | None = None,
    report: Callable[[Solution], None] | None = None,
) -> Answer:
    """Search for so many seconds, on so many cores; interrupted from the keyboard, keep the best so far.

    `report` is told of each better plan meanwhile.
    """
    begun = time.monotonic()
    with ProcessRunner(workers) as runner:
        work = _Work(instance, runner, engines, seed, report)
        with contextlib.suppress(KeyboardInterrupt):  # the best so far will do
            work.solve(seconds)
        spent_s = time.monotonic() - begun
    return Answer(instance, work.best, spent_s, known, tuple(sorted(work.used)))


@dataclass(slots=True)
class _Work:
    """A search under way."""

    instance: Instance
    runner: ProcessRunner
    engines: Sequence[Engine]
    seed: int
    report: Callable[[Solution], None] | None
    best: Solution | None = None
    used: set[str] = field(default_factory=set)

    def solve(self, seconds: float) -> None:
        """Search; where few vehicles come first, for few of them, and then for a short way with those."""
        begun = time.monotonic()
        problem = self.instance.problem
        share = _FOR_VEHICLES if self.instance.vehicles_first else 1.0
        self._search(problem, share * seconds, None, self._better)
        left_s = seconds - (time.monotonic() - begun)
        if not self.instance.vehicles_first or self.best is None or left_s < _LEAST_S:
            return
        vehicles = [number for number, route in enumerate(self.best.routes) if route]
        free = dataclasses.replace(problem, vehicles=[dataclasses.replace(one, fixed=0.0) for one in problem.vehicles])
        part = free.part(range(len(problem.jobs)), vehicles)
        start = part.routes_here(self.best.routes)

        def better(found: Solution) -> None:
            routes = part.routes_there(found.routes)
            self._better(_priced(problem, tuple(routes.get(number, ()) for number in range(len(problem.vehicles)))))

        self._search(part.problem, left_s, start, better)

    def _search(
        self, problem: Problem, seconds: float, start: Routes | None, better: Callable[[Solution], None]
    ) -> None:
        effort = Effort(seconds=seconds, seed=self.seed)
        portfolio = Portfolio(problem, self.runner, effort, engines=self.engines, report=better)
        found = portfolio.solve(start)
        self.used |= portfolio.used
        if found is not None:
            better(found)

    def _better(self, solution: Solution) -> None:
        self.best = solution
        if self.report is not None:
            self.report(solution)


def _priced(problem: Problem, routes: Routes) -> Solution:
    """Return routes as a solution, with their cost."""
    served = {visit.job for route in routes for visit in route}
    unserved = tuple(job for job in range(len(problem.jobs)) if job not in served)
    return Solution(routes, verify(problem, Solution(routes, 0.0, unserved)).cost, unserved)


def _plain(cost: float) -> float | int:
    """Return a cost as its set writes it: whole where it is."""
    return int(cost) if cost == int(cost) else round(cost, 2)
