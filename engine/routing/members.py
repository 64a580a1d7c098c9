"""Which solvers take turns with a problem."""

from collections.abc import Collection

from engine.routing.problem import Problem
from engine.routing.ruin.translation import lacks
from engine.routing.search import Engine
from engine.routing.solvers.pyvrp_model import uncovered

__all__ = ["members_for"]


def members_for(problem: Problem, allowed: Collection[Engine]) -> tuple[Engine, ...]:
    """Return the solvers that take turns with a problem, the best first: those that cover it, OR-Tools if none does.

    On pairs of pickup and delivery PyVRP and ruin and recreate are about as good as each other, and better joined; on
    the rest PyVRP is ahead.

    Parameters
    ----------
    allowed
        Solvers of others that may be used.
    """
    covers = "pyvrp" in allowed and not uncovered(problem)
    if lacks(problem):
        return ("pyvrp",) if covers else ("or-tools",)
    if not covers:
        return ("ruin-recreate",)
    has_pairs = any(job.pickup is not None and job.delivery is not None for job in problem.jobs)
    return ("pyvrp", "ruin-recreate") if has_pairs else ("pyvrp",)
