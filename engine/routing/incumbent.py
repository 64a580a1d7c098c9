"""The best plan so far: nothing gets in that the verifier has not let through; only routes that changed are checked."""

from collections.abc import Mapping

from engine.routing.problem import RELOAD, Problem, Solution, Visit
from engine.routing.search import Routes, dearest
from engine.routing.verifier import RouteCheck, check_route, verify

__all__ = ["Incumbent"]

_LESS = 1e-9  # of the cost: a gain that is none


class Incumbent:
    """Holds the best plan that is known to be feasible."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._left_out = dearest(problem)
        self._checks: list[RouteCheck] = []
        self.routes: Routes | None = None
        self.unserved: frozenset[int] = frozenset()
        self.value = float("inf")
        """Objective with penalties; jobs that have to be served count more than any way there."""
        self.cost = float("inf")
        """Objective without penalties."""

    @property
    def is_complete(self) -> bool:
        """Return whether every job that has to be served is."""
        return self.routes is not None and all(self._problem.jobs[job].penalty is not None for job in self.unserved)

    @property
    def solution(self) -> Solution | None:
        """Return it for whoever asked."""
        return None if self.routes is None else Solution(self.routes, self.cost, tuple(sorted(self.unserved)))

    def route_cost(self, vehicle: int) -> float:
        """Return what a vehicle's route costs."""
        return self._checks[vehicle].cost

    def offer(self, routes: Routes) -> bool:
        """Take a whole plan if it is feasible, but for jobs left out, and better."""
        if self.routes is None:
            return self._take(dict(enumerate(routes)), routes)
        changed = {number: route for number, route in enumerate(routes) if route != self.routes[number]}
        return self.offer_part(changed)

    def offer_part(self, changed: Mapping[int, tuple[Visit, ...]]) -> bool:
        """Take other routes for some vehicles if the plan stays feasible and gets better."""
        if self.routes is None or not changed:
            return False
        return self._take(changed, tuple(changed.get(number, route) for number, route in enumerate(self.routes)))

    def _take(self, changed: Mapping[int, tuple[Visit, ...]], routes: Routes) -> bool:
        checks = {number: check_route(self._problem, number, route) for number, route in changed.items()}
        if any(check.violations for check in checks.values()):
            return False
        served = [visit for route in routes for visit in route if visit.job != RELOAD]
        if len(served) != len(set(served)):
            return False
        unserved = frozenset(range(len(self._problem.jobs))) - {visit.job for visit in served}
        known = [checks.get(number) or self._checks[number] for number in range(len(routes))]
        cost = sum(check.cost for check in known)
        cost += self._problem.balance * max((check.duration_s for check in known), default=0)
        value = cost + sum(self._price(job) for job in unserved)
        if not value < self.value - _LESS * max(1.0, abs(value)) or not self._relations_hold(routes, cost, unserved):
            return False
        self._checks, self.routes, self.unserved = known, routes, unserved
        self.cost, self.value = cost, value
        return True

    def _price(self, job: int) -> float:
        penalty = self._problem.jobs[job].penalty
        return self._left_out if penalty is None else penalty

    def _relations_hold(self, routes: Routes, cost: float, unserved: frozenset[int]) -> bool:
        if not self._problem.relations:
            return True
        verdict = verify(self._problem, Solution(routes, cost, tuple(sorted(unserved))))
        return all(violation.kind == "unserved" for violation in verdict.violations)
