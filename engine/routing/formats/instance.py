"""A problem as it was read from a file, with the names and units that the file's own world uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.routing.problem import Problem, Solution, Visit
from engine.routing.verifier import verify
from models.errors import InvalidInput

__all__ = ["FAR", "Instance", "Known"]

FAR = 2**40
"""End of a shift where a set knows no time."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an instance."""

    cost: float
    vehicles: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A problem with the conventions of its set."""

    name: str
    problem: Problem
    visits: Mapping[int, Visit]
    """By the number that the file gives to a customer, or a stop."""
    units: tuple[float, ...] = (1.0,)
    """What costs are divided by when they are published; several where a set is published in several."""
    points: NDArray[np.float64] | None = None
    """Of the problem's places, where lengths are published from doubles, not from the problem's whole numbers."""
    picture: NDArray[np.float64] | None = None
    """P × 2: where the places are drawn, east and north, if that is known."""
    vehicles_first: bool = False
    """Whether fewer vehicles are better at any length: then vehicles have a fixed cost, which is not published."""

    def cost(self, solution: Solution, known: Known | None = None) -> float:
        """Return the cost of a solution as the set publishes it, in the unit of the best that is known."""
        if self.points is not None:
            return round(sum(self._length(vehicle, route) for vehicle, route in enumerate(solution.routes)), 2)
        cost = solution.cost
        if self.vehicles_first:
            fixed = self.problem.vehicles[0].fixed
            cost -= fixed * sum(1 for route in solution.routes if route)
        published = [cost / unit for unit in self.units]
        if known is None or known.cost <= 0:
            return published[0]
        return min(published, key=lambda one: abs(np.log(max(one, 1e-9) / known.cost)))

    def gap(self, solution: Solution, known: Known) -> float:
        """Return how much worse a solution is than the best known, as a share of it.

        Where fewer vehicles come first and their number differs, it is the share of vehicles.
        """
        used = sum(1 for route in solution.routes if route)
        if self.vehicles_first and known.vehicles is not None and used != known.vehicles:
            return used / known.vehicles - 1
        return self.cost(solution, known) / known.cost - 1

    def solution(self, routes: Sequence[Sequence[int]]) -> Solution:
        """Return the solution that routes in the file's numbers make, the first for the first vehicle.

        Raises
        ------
        InvalidInput
            If there is no such customer, or there are more routes than vehicles.
        """
        if len(routes) > len(self.problem.vehicles):
            detail = f"has {len(routes)} routes where there are {len(self.problem.vehicles)} vehicles"
            raise InvalidInput(f"the solution {detail}", [("routes", detail)])
        if strange := [one for route in routes for one in route if one not in self.visits]:
            raise InvalidInput(f"there is no customer {strange[0]}", [("routes", f"there is no customer {strange[0]}")])
        made = [tuple(self.visits[one] for one in route) for route in routes]
        made += [()] * (len(self.problem.vehicles) - len(made))
        served = {visit.job for route in made for visit in route}
        unserved = tuple(job for job in range(len(self.problem.jobs)) if job not in served)
        cost = verify(self.problem, Solution(tuple(made), 0.0, unserved)).cost
        return Solution(tuple(made), cost, unserved)

    def _length(self, vehicle: int, route: Sequence[Visit]) -> float:
        """Return the length of a route in doubles."""
        if not route or self.points is None:
            return 0.0
        van = self.problem.vehicles[vehicle]
        stops = [stop.place for visit in route if (stop := self.problem.stop(visit)) is not None]
        ends = [[end] if end is not None else [] for end in (van.start, van.end)]
        path = self.points[[*ends[0], *stops, *ends[1]]]
        return float(np.sqrt(((path[1:] - path[:-1]) ** 2).sum(axis=1)).sum())
