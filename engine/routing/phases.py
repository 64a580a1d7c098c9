"""The plan of a portfolio: what is searched when, by the size of the problem. Pure.

Measured on two cores within a minute: up to some hundred stops, searches of the whole from several beginnings, joined
by set partitioning, beat anything done to parts; above that, parts of neighbouring routes gain more than they lose,
since a search does several times as many steps a second on a part; and a first plan of thousands of stops is best made
in parts too. Which engine searches decides how large a part may be. Yet a cut decides early which stops go together,
and rounds hardly undo that: where annealing has the time for it, it has the whole for most of it, from hotter. Of a
minute that is up to some 600 stops, and twice as many where a cut decides most: with several depots, or where routes
are long and windows wide.

Annealing shows no plan of use before it has cooled, which takes half of the time or more. So the first moments go to
parts that are cooled down at once: who looks, or ends the job early, has a plan that is good to a few percent. Of
thousands of stops that would take too much from the rest: Antwerp1 came to 1.4 % of the best known with it, to 1.0 %
without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.routing.search import Engine

__all__ = ["WHOLE", "Phase", "Sizes", "part_seconds", "phases", "sizes", "warmth"]


_MILD = 1.0  # temperature at which parts are annealed at first, in costs of an average stop


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of the plan."""

    kind: Literal["whole", "clusters", "rounds"]
    """Search the whole problem; make a first plan in clusters; or cut the plan into parts, round after round."""
    until: float
    """Share of the effort after which it ends."""
    afresh: int = 0
    """Of the cores, how many begin anew rather than from the best plan."""
    turn: int = 0
    """Whose turn it is among those who take turns."""
    warmth: float = _MILD
    """Temperature at which annealing begins, in costs of an average stop."""
    cools: bool = False
    """Whether annealing cools down all the way in it: for a plan to be shown meanwhile, not to go on from."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many stops an engine is given at a time."""

    whole: int
    """Up to which the whole is searched, and nothing else."""
    first: int
    """Up to which the first plan is made of the whole."""
    annealed: tuple[int, int]
    """Up to which the whole is annealed for most of the time, and the same of what is hard to cut; 0: never."""
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


WHOLE = 300
"""Stops up to which those that cover a problem search the whole of it, and nothing else."""

_LEAD = 0.8  # share of the effort in which the first of several members searches, before another polishes
_HOT, _WARM, _COLD = 3.0, 1.5, 0.01  # where the whole is annealed, where it is large for that, and at the end
_ANNEALED = 0.7, 0.9  # share of the effort in which a whole is annealed, where it is; and one that is hard to cut
_SOON = 0.06  # share of the effort for a plan that is cooled down at once, where annealing would show none for long
_SIZES: dict[Engine, Sizes] = {
    "pyvrp": Sizes(WHOLE, 1200, (0, 0), 400, 250, 12, (2.0, 6.0), 40),
    "ruin-recreate": Sizes(WHOLE, WHOLE, (600, 1200), 500, 500, 4, (1.0, 30.0), 10),
    "or-tools": Sizes(100, 100, (0, 0), 100, 100, 4, (0.5, 3.0), 80),
}


def sizes(engine: Engine) -> Sizes:
    """Return how many stops an engine is given at a time."""
    return _SIZES[engine]


def part_seconds(engine: Engine, seconds: float) -> float:
    """Return how long a part is searched in one round, of an effort of so many seconds."""
    shortest, longest = _SIZES[engine].part_s
    return min(longest, max(shortest, seconds / _SIZES[engine].rounds))


def warmth(plan: Sequence[Phase]) -> tuple[float, float]:
    """Return the temperature at which annealing begins and ends in a plan, in costs of an average stop."""
    return max((phase.warmth for phase in plan), default=_MILD), _COLD


def phases(
    stops: int, members: Sequence[Engine], *, started: bool, cores: int, is_hard_to_cut: bool = False
) -> tuple[Phase, ...]:
    """Return the plan for a problem.

    Parameters
    ----------
    members
        Who takes turns with it, the best at its beginning first.
    started
        Whether there is a plan to begin from.
    cores
        How many searches run at once.
    is_hard_to_cut
        As `engine.routing.clusters.is_hard_to_cut` says.
    """
    limits = sizes(members[0])
    if stops <= limits.whole:
        return (
            Phase("whole", 0.85, 0 if started else cores),
            Phase("whole", 0.97),
        )
    rounds = [Phase("rounds", 1.0)]
    if len(members) > 1:
        rounds = [Phase("rounds", _LEAD), Phase("rounds", 1.0, turn=1)]
    if started:
        return tuple(rounds)
    soon = [Phase("clusters", _SOON, cools=True)] if stops <= limits.annealed[True] else []
    if stops <= limits.annealed[is_hard_to_cut]:
        until = _ANNEALED[is_hard_to_cut]
        whole = Phase("whole", until, cores, warmth=_HOT if stops <= limits.annealed[False] else _WARM)
        return (*soon, whole, *(phase for phase in rounds if phase.until > until))
    if stops <= limits.first:
        return (Phase("whole", 0.15, cores), *rounds)
    return (*soon, Phase("clusters", 0.2), *rounds)
