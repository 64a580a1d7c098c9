"""Which solvers take turns with a problem."""

from collections.abc import Collection

from engine.routing.kinds import are_alike
from engine.routing.problem import Problem
from engine.routing.ruin.translation import lacks
from engine.routing.search import Engine
from engine.routing.solvers.pyvrp_model import uncovered

__all__ = ["members_for"]


def members_for(problem: Problem, allowed: Collection[Engine], *, is_large: bool) -> tuple[Engine, ...]:
    """Return the solvers that take turns with a problem, who leads first: those that cover it, OR-Tools if none does.

    Measured on two cores within a minute: with vehicles that carry and cost the same, ruin and recreate comes farther
    on hundreds of stops than PyVRP, which then finds what it left; also from several depots, by a percent. Up to that,
    each gets stuck where the other does not, so one core searches with each. On hundreds of stops with vehicles that
    differ in size or price, PyVRP is ahead by percents.

    Parameters
    ----------
    allowed
        Solvers that may be used; OR-Tools takes what none of these covers, whether it is among them or not.
    is_large
        Whether the problem, or the whole that it is a part of, is searched in parts.
    """
    covers = "pyvrp" in allowed and not uncovered(problem)
    anneals = "ruin-recreate" in allowed and not lacks(problem)
    if not (covers and anneals):
        return ("pyvrp",) if covers else ("ruin-recreate",) if anneals else ("or-tools",)
    if not is_large:
        return ("pyvrp", "ruin-recreate")
    return ("ruin-recreate", "pyvrp") if are_alike(problem.vehicles) else ("pyvrp",)
