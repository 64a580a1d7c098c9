"""The plan of a portfolio: what is searched when, by the size of the problem. Pure.

Measured on two cores within a minute: up to some hundred stops, searches of the whole from several beginnings, joined
by set partitioning, beat anything done to parts; above that, parts of neighbouring routes gain more than they lose,
since a search does several times as many steps a second on a part; and a first plan of thousands of stops is best made
in parts too. Which engine searches decides how large a part may be.
"""

from dataclasses import dataclass
from typing import Literal

from engine.routing.search import Engine

__all__ = ["Phase", "Sizes", "part_seconds", "phases", "sizes"]


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of the plan."""

    kind: Literal["whole", "clusters", "rounds"]
    """Search the whole problem; make a first plan in clusters; or cut the plan into parts, round after round."""
    until: float
    """Share of the effort after which it ends."""
    afresh: int = 0
    """Of the cores, how many begin anew rather than from the best plan."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many stops an engine is given at a time."""

    whole: int
    """Up to which the whole is searched, and nothing else."""
    first: int
    """Up to which the first plan is made of the whole."""
    cluster: int
    """Of a part of the first plan."""
    part: int
    """Of a part of a round."""
    routes: int
    """Fewest routes of a part, however long they are: what a search gains lies between routes."""
    part_s: tuple[float, float]
    """Seconds that a part is searched in one round: of a short effort, and the most of a long one."""
    rounds: int
    """Of one part in an effort, where its seconds are within the limits."""


_SIZES: dict[Engine, Sizes] = {
    "pyvrp": Sizes(300, 1200, 400, 250, 12, (2.0, 6.0), 40),
    "ruin-recreate": Sizes(300, 300, 500, 500, 4, (1.0, 30.0), 10),
    "or-tools": Sizes(100, 100, 100, 100, 4, (1.0, 3.0), 40),
}


def sizes(engine: Engine) -> Sizes:
    """Return how many stops an engine is given at a time."""
    return _SIZES[engine]


def part_seconds(engine: Engine, seconds: float) -> float:
    """Return how long a part is searched in one round, of an effort of so many seconds."""
    shortest, longest = _SIZES[engine].part_s
    return min(longest, max(shortest, seconds / _SIZES[engine].rounds))


def phases(stops: int, engine: Engine, *, started: bool, cores: int) -> tuple[Phase, ...]:
    """Return the plan for a problem.

    Parameters
    ----------
    started
        Whether there is a plan to begin from.
    cores
        How many searches run at once.
    """
    limits = sizes(engine)
    if stops <= limits.whole:
        anew = 0 if started else cores
        return (
            Phase("whole", 0.7, anew),
            Phase("whole", 0.97),
        )
    if started:
        return (Phase("rounds", 1.0),)
    if stops <= limits.first:
        return (Phase("whole", 0.15, cores), Phase("rounds", 1.0))
    return (Phase("clusters", 0.2), Phase("rounds", 1.0))
