"""Which solvers take turns with a problem."""

from collections.abc import Collection

from engine.routing.problem import Problem
from engine.routing.ruin.translation import lacks
from engine.routing.search import Engine
from engine.routing.solvers.pyvrp_model import uncovered

__all__ = ["members_for"]


def members_for(problem: Problem, allowed: Collection[Engine], *, is_large: bool) -> tuple[Engine, ...]:
    """Return the solvers that take turns with a problem, who leads first: those that cover it, OR-Tools if none does.

    Measured on two cores within a minute: on hundreds of stops ruin and recreate comes farther than PyVRP, which then
    finds what it left; on few stops both at once, their routes joined, are better than two of either.

    Parameters
    ----------
    allowed
        Solvers of others that may be used.
    is_large
        Whether the problem, or the whole that it is a part of, is searched in parts.
    """
    covers = "pyvrp" in allowed and not uncovered(problem)
    if lacks(problem):
        return ("pyvrp",) if covers else ("or-tools",)
    if not covers:
        return ("ruin-recreate",)
    return ("ruin-recreate", "pyvrp") if is_large else ("pyvrp", "ruin-recreate")
