"""States of the roads: what each arc takes for a vehicle at a time, and the hierarchy's metric of it."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule
from engine.roads.hierarchy import CLOSED, Hierarchy, Ints, Metric, Shares, Weights, customize, recustomize
from engine.roads.turns import FORBIDDEN
from engine.roads.twins import with_twins

__all__ = ["Differences", "RoadWeights", "reweigh", "weigh"]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RoadWeights:
    """One state of the roads for one kind of vehicle. Equal to itself alone."""

    profile: str
    arc_ms: NDArray[np.int32]
    """A: how long each arc takes; 0 is closed."""
    metric: Metric
    is_open: NDArray[np.bool_] | None = None
    """Segments at which ways may begin and end; None where those of free roads may."""

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Return what is different in each state: `arc_ms`, and the arrays of the metric."""
        return self.arc_ms, *self.metric

    def differences(self, before: "RoadWeights") -> "Differences":
        """Return what it takes to make this state of one that is much like it."""
        parts = []
        for mine, theirs in zip(self.arrays(), before.arrays(), strict=True):
            places = np.flatnonzero(mine != theirs).astype(np.int32)
            parts.append((places, mine[places]))
        return Differences(tuple(parts), self.is_open)


@dataclass(frozen=True, slots=True)
class Differences:
    """Where a state of the roads is another than the one that it was made of: a thousandth of it, for one street."""

    parts: tuple[tuple[NDArray[np.int32], NDArray[Any]], ...]
    """Places and values of each array."""
    is_open: NDArray[np.bool_] | None

    @property
    def nbytes(self) -> int:
        """Return what it takes to keep them."""
        own = 0 if self.is_open is None else self.is_open.nbytes
        return own + sum(places.nbytes + values.nbytes for places, values in self.parts)

    def on(self, before: RoadWeights) -> RoadWeights:
        """Return the state, given what it was made of."""
        arrays = []
        for (places, values), theirs in zip(self.parts, before.arrays(), strict=True):
            made = theirs.copy()
            made[places] = values
            arrays.append(made)
        return RoadWeights(before.profile, arrays[0], Metric(*arrays[1:]), self.is_open)


def weigh(
    hierarchy: Hierarchy,
    arrays: dict[str, NDArray[Any]],
    profile: str,
    number: int,
    arc_ms: NDArray[np.int32],
    threads: tuple[Shares, Executor] | None = None,
) -> RoadWeights:
    """Return the state of the roads in which arcs take `arc_ms` (0 is closed).

    Parameters
    ----------
    hierarchy, arrays
        Of the network.
    profile, number
        Name and place of the kind of vehicle.
    arc_ms
        A; replaces the free-flow times of the profile.
    threads
        What each of a pool's threads does of it; one alone does all where it is left out.
    """
    arc_ms = with_twins(arrays, np.ascontiguousarray(arc_ms, np.int32))
    edges = _edge_weights(arrays["turn_from"], arrays["turn_to"], arrays["turn_cs"][number], arc_ms, arrays["arc_dm"])
    return RoadWeights(profile, arc_ms, customize(hierarchy, edges, threads))


def reweigh(
    hierarchy: Hierarchy, arrays: dict[str, NDArray[Any]], before: RoadWeights, number: int, arc_ms: NDArray[np.int32]
) -> RoadWeights:
    """Return what `weigh` returns, faster where few arcs differ from `before`."""
    arc_ms = with_twins(arrays, np.ascontiguousarray(arc_ms, np.int32))
    edges = _edge_weights(arrays["turn_from"], arrays["turn_to"], arrays["turn_cs"][number], arc_ms, arrays["arc_dm"])
    return RoadWeights(before.profile, arc_ms, recustomize(hierarchy, before.metric, edges), before.is_open)


@road_rule
def _edge_weights(turn_from: Ints, turn_to: Ints, turn_cs: NDArray[np.uint16], arc_ms: Ints, arc_dm: Ints) -> Weights:
    """Return what each turn with the arc behind it costs."""
    edges = np.empty(turn_from.size, np.int64)
    for turn in range(turn_from.size):
        to = turn_to[turn]
        if turn_cs[turn] == FORBIDDEN or arc_ms[to] == 0 or arc_ms[turn_from[turn]] == 0:
            edges[turn] = CLOSED
        else:
            edges[turn] = ((np.int64(arc_ms[to]) + np.int64(turn_cs[turn]) * 10) << 32) + arc_dm[to]
    return edges
