"""How ways begin and end in the middle of an arc: the part that is driven, as seeds of searches."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.roads.hierarchy import CLOSED, pack
from engine.roads.queries import Seeds
from engine.roads.snapping import Snaps
from engine.roads.twins import twins_among
from engine.roads.weights import RoadWeights

__all__ = ["Ends"]


class Ends:
    """Seeds for one state of the roads. A stop may be on either side: both directions of its segment count.

    Parameters
    ----------
    rank
        Of arcs in the hierarchy.
    arrays
        Of the network.
    weights
        The state of the roads.
    number
        Place of its profile.
    """

    def __init__(
        self, rank: NDArray[np.int32], arrays: dict[str, NDArray[Any]], weights: RoadWeights, number: int
    ) -> None:
        self._rank, self._arrays, self._weights = rank, arrays, weights
        self._bit = np.uint8(1 << number)

    def leaving(self, snaps: Snaps) -> Seeds:
        """Return the seeds of ways that begin at these places: what is left of each arc."""
        points, arcs, rest = self._parts(snaps)
        return self._seeds(snaps.segment.size, points, arcs, rest)

    def arriving(self, snaps: Snaps) -> Seeds:
        """Return the seeds of ways that end at these places: less what is not driven of each arc."""
        points, arcs, rest = self._parts(snaps)
        places, twins = twins_among(self._arrays, arcs)
        if places.size:
            points = np.concatenate([points, points[places]])
            order = np.argsort(points, kind="stable")
            points = points[order]
            arcs, rest = np.concatenate([arcs, twins])[order], np.concatenate([rest, rest[places]])[order]
        return self._seeds(snaps.segment.size, points, arcs, -rest)

    def leaving_behind(self, snaps: Snaps) -> Seeds:
        """Return the seeds of ways that leave the segment first: at every arc that follows on it."""
        points, arcs, rest = self._parts(snaps)
        first = np.searchsorted(self._arrays["turn_from"], arcs)
        counts = np.searchsorted(self._arrays["turn_from"], arcs, side="right") - first
        owner = np.repeat(np.arange(arcs.size), counts)
        turns = np.repeat(first, counts) + np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
        weights = self._weights.metric.edges[turns]
        is_open = weights < CLOSED
        owner, turns, weights = owner[is_open], turns[is_open], weights[is_open]
        return self._seeds(snaps.segment.size, points[owner], self._arrays["turn_to"][turns], rest[owner] + weights)

    def along(self, start: Snaps, end: Snaps) -> NDArray[np.int64]:
        """Return the weights from places to others on the same segments, along these; `CLOSED` where that can't be."""
        best: NDArray[np.int64] = np.full(start.segment.size, CLOSED, np.int64)
        for direction in (0, 1):
            arc = self._arrays["segment_arcs"][start.segment, direction]
            usable = self._usable(arc)
            ahead = end.along_m >= start.along_m if direction == 0 else end.along_m <= start.along_m
            driven = self._rest(arc, direction, start) - self._rest(arc, direction, end)
            best = np.where(usable & ahead, np.minimum(best, driven), best)
        return best

    def _parts(self, snaps: Snaps) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """Return (point, arc, weight from the point to the arc's end) of every arc that can be taken at the points."""
        parts = []
        for direction in (0, 1):
            arc = np.where(snaps.found, self._arrays["segment_arcs"][snaps.segment, direction], -1)
            points = np.flatnonzero(self._usable(arc))
            parts.append((points, arc[points], self._rest(arc, direction, snaps)[points]))
        points, arcs, rest = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(points, kind="stable")
        return points[order], arcs[order], rest[order]

    def _usable(self, arc: NDArray[np.int32]) -> NDArray[np.bool_]:
        is_known = (arc >= 0) & (self._arrays["arc_profiles"][arc] & self._bit != 0)
        return np.asarray(is_known & (self._weights.arc_ms[arc] > 0))

    def _rest(self, arc: NDArray[np.int32], direction: int, snaps: Snaps) -> NDArray[np.int64]:
        """Return the weight from a place to the end of its arc."""
        length_m = np.maximum(self._arrays["segment_m"][snaps.segment].astype(np.float64), 1e-3)
        done = np.clip(snaps.along_m / length_m, 0.0, 1.0)
        left = 1.0 - done if direction == 0 else done
        milliseconds = np.rint(left * self._weights.arc_ms[arc]).astype(np.int64)
        decimetres = np.rint(left * self._arrays["arc_dm"][arc]).astype(np.int64)
        return pack(milliseconds, decimetres)

    def _seeds(
        self, count: int, points: NDArray[np.int64], arcs: NDArray[np.int32], weights: NDArray[np.int64]
    ) -> Seeds:
        starts = np.concatenate([[0], np.cumsum(np.bincount(points, minlength=count))]).astype(np.int32)
        return Seeds(starts, self._rank[arcs].astype(np.int32), weights)
