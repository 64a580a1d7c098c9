"""Solves a routing problem from a file on this machine, without stores and without a cluster."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.routing.explain import explain
from engine.routing.formats.instance import Instance, Known
from engine.routing.portfolio import Effort, Portfolio
from engine.routing.problem import Solution
from engine.routing.processes import ProcessRunner
from engine.routing.search import Engine
from engine.routing.verifier import verify

__all__ = ["Answer", "solve_instance"]


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
    engines: Sequence[Engine] = ("pyvrp", "or-tools"),
    known: Known | None = None,
    report: Callable[[Solution], None] | None = None,
) -> Answer:
    """Search for so many seconds, on so many cores; interrupted from the keyboard, keep the best so far.

    `report` is told of each better plan meanwhile.
    """
    begun, best = time.monotonic(), None

    def better(solution: Solution) -> None:
        nonlocal best
        best = solution
        if report is not None:
            report(solution)

    with ProcessRunner(workers) as runner:
        portfolio = Portfolio(
            instance.problem, runner, Effort(seconds=seconds, seed=seed), engines=engines, report=better
        )
        with contextlib.suppress(KeyboardInterrupt):  # the best so far will do
            best = portfolio.solve()
        spent_s = time.monotonic() - begun
    return Answer(instance, best, spent_s, known, tuple(sorted(portfolio.used)))


def _plain(cost: float) -> float | int:
    """Return a cost as its set writes it: whole where it is."""
    return int(cost) if cost == int(cost) else round(cost, 2)
