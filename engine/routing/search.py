"""What a search is asked for and what it brings back: the seam between solvers, runners and the portfolio."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np

from engine.routing.problem import Problem, Vehicle, Visit
from engine.routing.travel import UNREACHABLE

__all__ = [
    "ENGINES",
    "START_S",
    "Budget",
    "Column",
    "Engine",
    "Found",
    "Report",
    "Routes",
    "Runner",
    "Search",
    "another_vehicle",
    "dearest",
    "overdue_at",
]

_DETOUR = 8  # legs that no detour is longer than
START_S = 120.0
"""How long a search may wait for its process: one with all solvers in it takes half a minute on a busy machine."""
_GRACE = 1.5  # of a search's seconds, after which its process is taken for stuck
_GRACE_S = 10.0
_LONG_WAIT_S = 86_400  # waiting is paid for too, where time is

Engine = Literal["pyvrp", "ruin-recreate", "or-tools"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

Routes = tuple[tuple[Visit, ...], ...]
"""One for each vehicle of a problem, in its order; empty: not used."""

Report = Callable[[Routes], None]
"""Told of better plans while a search goes on."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much work a search may do. With iterations alone its answer depends on the seed and nothing else."""

    seconds: float | None = None
    iterations: int | None = None
    seed: int = 1
    sample_every: int | None = None
    """Collect the routes of every so many candidates; None collects none."""
    warmth: tuple[float, float] = (1.0, 0.01)
    """Temperature when the search begins and when it ends, in costs of an average stop: for what anneals."""


class Column(NamedTuple):
    """A route that some search has driven: a column of the set-partitioning model."""

    vehicle: int
    visits: tuple[Visit, ...]
    cost: float


@dataclass(frozen=True, slots=True)
class Search:
    """One task for a worker."""

    problem: Problem
    engine: Engine
    budget: Budget
    start: Routes | None = None
    optional: bool = False
    """Whether jobs without a penalty may be left out at a very high price: then there always is a plan."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found."""

    routes: Routes | None
    """Of the best plan that its solver takes for feasible."""
    columns: tuple[Column, ...] = ()
    iterations: int = 0


class Runner(Protocol):
    """Runs searches on some number of cores: Ray tasks, or processes of this machine."""

    @property
    def cores(self) -> int:
        """Return how many searches can run at once."""
        ...

    def run(self, searches: Sequence[Search], report: Callable[[int, Routes], None]) -> Iterator[tuple[int, Found]]:
        """Yield (number of the search, what it found) as searches end.

        `report` is told of better plans of a search while it goes on. A search whose worker was lost is run again.
        """
        ...


def overdue_at(budget: Budget) -> float:
    """Return when a search that begins now counts as stuck (monotonic clock): no solver is trusted to keep time."""
    return math.inf if budget.seconds is None else time.monotonic() + _GRACE * budget.seconds + _GRACE_S


def dearest(problem: Problem) -> float:
    """Return a price that no way to serve a job is worth, for jobs that have to be served if they can be."""
    known = max((job.penalty for job in problem.jobs if job.penalty is not None), default=0.0)
    return 2 * known + max(_price(problem, vehicle, _DETOUR, _LONG_WAIT_S) for vehicle in problem.vehicles) + 1


def another_vehicle(problem: Problem) -> float:
    """Return what it costs, at the dearest, to use one vehicle more and drive it to the farthest place."""
    return max(_price(problem, vehicle, 1, 0) for vehicle in problem.vehicles)


def _price(problem: Problem, vehicle: Vehicle, legs: int, wait_s: int) -> float:
    """Return what a vehicle, some of the longest legs and a wait at each of their ends cost."""
    travel = problem.travel[vehicle.profile]
    here, everywhere = np.zeros(1, np.int64), np.arange(travel.size, dtype=np.int64)
    metres = int(min(travel.metres(here, everywhere).max(), UNREACHABLE))
    seconds = int(min(travel.seconds(here, everywhere).max(), UNREACHABLE))
    return vehicle.fixed + legs * (vehicle.per_metre * metres + vehicle.per_second * (seconds + wait_s))
