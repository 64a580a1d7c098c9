"""One search, with the solver that it names: what a worker does."""

from engine.routing.problem import Solution
from engine.routing.search import Found, Report, Routes, Search

__all__ = ["run_search"]

_LONGEST_S = 3600.0  # where steps are counted


def run_search(search: Search, report: Report | None = None) -> Found:
    """Do a search to its end. It holds the interpreter, so it needs a process of its own."""
    if search.engine == "pyvrp":
        from engine.routing.solvers import pyvrp  # here: only a worker needs the library

        return pyvrp.improve(search.problem, search.budget, search.start, report, optional=search.optional)
    if search.engine == "ruin-recreate":
        from engine.routing.solvers import ruin_recreate

        return ruin_recreate.improve(search.problem, search.budget, search.start, report)
    return _with_or_tools(search, report)


def _with_or_tools(search: Search, report: Report | None) -> Found:
    from engine.routing.solvers import or_tools

    start = None if search.start is None else _solution(search, search.start)
    seconds = _LONGEST_S if search.budget.seconds is None else search.budget.seconds
    found = or_tools.improve(
        search.problem,
        seconds,
        start,
        None if report is None else lambda solution: report(solution.routes),
        search.budget.seed,
        steps=search.budget.iterations,
    )
    return Found(None if found is None else found.routes)


def _solution(search: Search, routes: Routes) -> Solution:
    served = {visit.job for route in routes for visit in route}
    return Solution(routes, 0.0, tuple(job for job in range(len(search.problem.jobs)) if job not in served))
