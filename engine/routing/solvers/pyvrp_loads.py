"""What jobs take and vehicles have room for, in the dimensions of PyVRP's loads."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.routing.kinds import Restriction, restrictions
from engine.routing.problem import Problem, Visit
from engine.routing.solvers.prefix import Prefix

__all__ = ["OPEN", "Loads"]

OPEN = 2**40
"""More than any time, load or count here, and sums of it stay within 64 bits."""


class Loads:
    """What jobs take and vehicles have room for: goods, then what only some dimensions of PyVRP's loads can say.

    After the problem's own dimensions come, where they are needed: goods loaded at the depot once more, since they are
    on board through the committed visits too; stops, where their number is limited; and one for each restriction.

    Parameters
    ----------
    problem, prefixes
        What is loaded, and what is committed.
    goods_weight, rule_weight
        Units of load that the goods of a usual job are made, and a stop too many or a restriction that is broken, so
        that PyVRP does not rather pay for them than use another vehicle, or leave a job out.
    """

    def __init__(
        self, problem: Problem, prefixes: Sequence[Prefix | None], *, goods_weight: float, rule_weight: float
    ) -> None:
        self._problem, self._prefixes = problem, prefixes
        amounts = problem.loads()
        self._one = max(1, math.ceil(rule_weight))
        self._unit = max(1, math.ceil(goods_weight / max(1.0, float(amounts.mean())))) if amounts.size else 1
        self._own = amounts * self._unit
        self._room = problem.capacities() * self._unit
        self._has_peaks = any(prefix is not None and bool((prefix.peak > prefix.kept).any()) for prefix in prefixes)
        self._counts = any(vehicle.max_stops is not None for vehicle in problem.vehicles)
        self._restriction_of = restrictions(problem)
        keepers = [
            frozenset([number])
            for number, (vehicle, prefix) in enumerate(zip(problem.vehicles, prefixes, strict=True))
            if prefix is not None and vehicle.end is not None
        ]
        kinds = [kind for kind in (*self._restriction_of, *keepers) if kind is not None]
        self._kinds = {kind: place for place, kind in enumerate(dict.fromkeys(kinds))}
        size = self._own.shape[1] * (2 if self._has_peaks else 1) + self._counts + len(self._kinds)
        self.nothing = [0] * size

    def of_pair(self, job: int) -> list[int]:
        """Return what a pair takes while it is on board."""
        return self._row(self._own[job], 0, 0, self._restriction_of[job])

    def of_single(self, visit: Visit) -> tuple[list[int], list[int]]:
        """Return what a single stop brings from the vehicle's start, and what it fetches to its end."""
        kind = self._restriction_of[visit.job]
        if visit.pickup:
            return self.nothing, self._row(self._own[visit.job], 0, 1, kind)
        was_fetched = self._problem.jobs[visit.job].pickup is not None
        return self._row(self._own[visit.job], 0 if was_fetched else 1, 1, kind), self.nothing

    def of_staying(self, job: int) -> tuple[list[int], list[int]]:
        """Return what goods on board are that stay there: brought to where the vehicle is, and fetched again."""
        goods = self._own[job]
        return self._row(goods, 1, 0, self._restriction_of[job]), self._row(goods, 0, 0, None)

    def of_keeper(self, vehicle: int) -> list[int]:
        """Return what binds a client without size to its vehicle."""
        return self._row(np.zeros(self._own.shape[1], np.int64), 0, 0, frozenset([vehicle]))

    def kept(self, vehicle: int) -> list[int]:
        """Return what is on board from the committed visits to the end."""
        prefix = self._prefixes[vehicle]
        goods = np.zeros(self._own.shape[1], np.int64) if prefix is None else prefix.kept * self._unit
        return self._row(goods, 0, 0, None)

    def capacity(self, vehicle: int) -> tuple[int, ...]:
        """Return the room of a vehicle in every dimension."""
        van, prefix = self._problem.vehicles[vehicle], self._prefixes[vehicle]
        room = self._room[vehicle].tolist()
        if self._has_peaks:
            taken = np.zeros(self._own.shape[1], np.int64) if prefix is None else prefix.peak * self._unit
            room += np.maximum(0, self._room[vehicle] - taken).tolist()
        if self._counts:
            room.append(OPEN if van.max_stops is None else max(0, van.max_stops - len(van.pinned)) * self._one)
        return (*room, *(OPEN if vehicle in kind else 0 for kind in self._kinds))

    def _row(self, goods: NDArray[np.int64], through_prefix: int, stops: int, kind: Restriction) -> list[int]:
        row: list[int] = goods.tolist()
        if self._has_peaks:
            row += (goods * through_prefix).tolist()
        if self._counts:
            row.append(stops * self._one)
        return row + [self._one if kind == other else 0 for other in self._kinds]
