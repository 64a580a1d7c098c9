"""Which roads a vehicle drove, from its fixes: a hidden Markov model over the arcs near each fix.

Newson and Krumm (2009), Hidden Markov map matching through noise and sparseness: a fix is likely near its arc, and a
step is likely whose way on the roads is about as long as the straight line. Turns count as some metres of way, so that
noise does not lead into side streets. Steps that no way explains end a chain, and the next fix begins another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.roads.hierarchy import CLOSED
from engine.roads.matching_rules import Ground, MatchingLimits, follow_traces
from engine.roads.network import RoadNetwork
from engine.roads.snapping import Shape
from engine.roads.twins import as_originals

__all__ = ["MatchedTraces", "RoadMatcher"]

LIMITS = MatchingLimits(
    sigma_m=10.0,
    beta_m=10.0,
    radius_m=60.0,
    slack_m=250.0,
    top_mps=60.0,
    turn_mps=6.0,
)
"""Noise of a fix; by how much a way differs from the straight line; how far a road may be; how much longer than the
straight line ways are looked for; how fast nobody drives; metres of way that a
second of turning counts."""


@dataclass(frozen=True, slots=True)
class MatchedTraces:
    """Where F fixes were on the roads, and the P arcs between them."""

    arc: NDArray[np.int32]
    """F: -1 where no road is near."""
    along_m: NDArray[np.float64]
    """F: from the beginning of the arc."""
    distance_m: NDArray[np.float64]
    """F: from the fix to the road."""
    path_start: NDArray[np.int32]
    """F + 1: the arcs from fix i to the next are `path_start[i]` to `path_start[i + 1]`; none where a chain ends."""
    path_arcs: NDArray[np.int32]
    """P: arc of the fix, those between, arc of the next fix."""

    def part(self, begin: int, end: int) -> "MatchedTraces":
        """Return those of a range of fixes."""
        rows, paths = slice(begin, end), slice(int(self.path_start[begin]), int(self.path_start[end]))
        starts = self.path_start[begin : end + 1] - self.path_start[begin]
        return MatchedTraces(self.arc[rows], self.along_m[rows], self.distance_m[rows], starts, self.path_arcs[paths])


class RoadMatcher:
    """Matches fixes of one kind of vehicle to a network. Safe to share between threads.

    Parameters
    ----------
    network
        The roads.
    profile
        Which of them count.
    limits
        What is likely.
    """

    def __init__(self, network: RoadNetwork, profile: str = "car", limits: MatchingLimits = LIMITS) -> None:
        arrays, weights = network.arrays, network.free_flow(profile)
        self._grid, self._limits = network.grid, limits
        self._shape = Shape(arrays["point_lat"], arrays["point_lon"], arrays["point_m"])
        # bans that span a way are left out: what was driven is to be found
        edges, turn_to = weights.metric.edges, as_originals(arrays, arrays["turn_to"])
        turn_s = ((edges >> 32) - weights.arc_ms[turn_to]) / 1000
        self._ground = Ground(
            segment_arcs=arrays["segment_arcs"],
            segment_m=arrays["segment_m"],
            arc_ms=weights.arc_ms,
            arc_dm=arrays["arc_dm"],
            first_turn=np.searchsorted(arrays["turn_from"], np.arange(network.arc_count + 1)).astype(np.int32),
            turn_to=turn_to,
            turn_m=np.where(edges < CLOSED, turn_s * limits.turn_mps, np.inf).astype(np.float32),
        )

    def match(
        self, latitudes: ArrayLike, longitudes: ArrayLike, times_s: ArrayLike, starts: ArrayLike | None = None
    ) -> MatchedTraces:
        """Return where fixes were.

        Parameters
        ----------
        latitudes, longitudes
            F degrees WGS 84.
        times_s
            F seconds, ascending within a trace.
        starts
            T + 1 places at which traces begin, and F; one trace if left out.
        """
        lat, lon = np.ascontiguousarray(latitudes, np.float64), np.ascontiguousarray(longitudes, np.float64)
        seconds = np.ascontiguousarray(times_s, np.float64)
        begins = np.array([0, lat.size] if starts is None else starts, np.int64)
        return MatchedTraces(
            *follow_traces(self._grid, self._shape, self._ground, self._limits, begins, lat, lon, seconds)
        )
