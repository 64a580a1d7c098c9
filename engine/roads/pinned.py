"""Ways of many who move, each to or from a place that stays: what was found last time is gone on with.

The way of one who moves to a place that stays is the least, over the edges up from where it is, of edge and way of
what is above (Strasser and Zeitz, 2021: A fast and tight heuristic for A* in road networks, "lazy RPHAST"). All that
lies above a node is one chain of the elimination tree, and chains of places near one another are the same but for their
lower ends. So a row keeps the ways of all nodes on the chain of where its owner was last, and a question works out
those of the nodes that are new: a few dozen edges instead of some ten thousand twice. Answers are those of
`RoadNetwork.snapped_ways` to the bit.
"""

import itertools
import threading
import weakref
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule
from engine.roads.hierarchy import CLOSED, Ints, Weights
from engine.roads.network import RoadNetwork
from engine.roads.queries import OUT_OF_REACH, Seeds, climb_all
from engine.roads.snapping import Snaps
from engine.roads.weights import RoadWeights

__all__ = ["Journeys", "PinnedWays"]

_MOST_BYTES = 64 * 2**20  # of ways to places that stay, and as many from such: 24,000 rows each for a city like Porto
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Journeys:
    """Who of N asks: those who will ask again from somewhere near, with the same other end."""

    rows: NDArray[np.int64]
    """Where what is known of each one's way is kept, small numbers; negative where nothing is to be."""
    is_to_pinned: bool
    """Whether the end of the ways stays and the beginning moves; else the other way round."""

    def part(self, ways: NDArray[np.int64]) -> "Journeys":
        """Return those of some ways."""
        return Journeys(self.rows[ways], self.is_to_pinned)


class PinnedWays:
    """Ways between places that stay and places that move. Safe to share between threads.

    Parameters
    ----------
    network
        Of the region.
    most_bytes
        Of what is kept, in each direction.
    """

    def __init__(self, network: RoadNetwork, most_bytes: int = _MOST_BYTES) -> None:
        self._network = network
        depth = _depths(network.hierarchy.parent)
        height = int(depth.max(initial=0)) + 1
        size = max(1, most_bytes // (height * 8))
        self._depth = depth
        self._to, self._from = _Rows.empty(size, height), _Rows.empty(size, height)
        self._moving, self._ends, self._starts = _Places(size), _Places(size), _Places(size)
        self._marks: weakref.WeakKeyDictionary[RoadWeights, int] = weakref.WeakKeyDictionary()
        self._numbers = itertools.count(1)
        self._busy = threading.Lock()

    def ways(
        self,
        start: tuple[NDArray[np.float64], NDArray[np.float64]],
        end: tuple[NDArray[np.float64], NDArray[np.float64]],
        weights: RoadWeights,
        journeys: Journeys | None = None,
    ) -> tuple[Snaps, Snaps, NDArray[np.int64]]:
        """Return where N ways begin and end on the roads, and their packed weights.

        Parameters
        ----------
        start, end
            Latitudes and longitudes, degrees.
        weights
            State of the roads.
        journeys
            Who asks; each row once. Of others, and while another thread asks, all is found anew.
        """
        if journeys is None or not self._busy.acquire(blocking=False):
            return self._anew(start, end, weights)
        try:
            return self._kept(start, end, weights, journeys)
        finally:
            self._busy.release()

    def _anew(
        self,
        start: tuple[NDArray[np.float64], NDArray[np.float64]],
        end: tuple[NDArray[np.float64], NDArray[np.float64]],
        weights: RoadWeights,
    ) -> tuple[Snaps, Snaps, NDArray[np.int64]]:
        begin, finish = self._network.snap(*start, weights=weights), self._network.snap(*end, weights=weights)
        return begin, finish, self._network.snapped_ways(begin, finish, weights)

    def _kept(
        self,
        start: tuple[NDArray[np.float64], NDArray[np.float64]],
        end: tuple[NDArray[np.float64], NDArray[np.float64]],
        weights: RoadWeights,
        journeys: Journeys,
    ) -> tuple[Snaps, Snaps, NDArray[np.int64]]:
        mark = self._marks.setdefault(weights, next(self._numbers))
        rows = np.where(journeys.rows < self._moving.size, journeys.rows, _NOBODY)
        starts, ends = (self._moving, self._ends) if journeys.is_to_pinned else (self._starts, self._moving)
        begin = starts.snapped(self._network, rows, *start, weights, mark)
        finish = ends.snapped(self._network, rows, *end, weights, mark)
        packed = np.empty(rows.size, np.int64)
        is_followed = (rows >= 0) & (begin.segment != finish.segment)
        followed, others = np.flatnonzero(is_followed), np.flatnonzero(~is_followed)
        if others.size:
            packed[others] = self._network.snapped_ways(begin.part(others), finish.part(others), weights)
        if followed.size:
            ends_of = self._network.ends(weights)
            leaving, arriving = ends_of.leaving(begin.part(followed)), ends_of.arriving(finish.part(followed))
            packed[followed] = self._followed(rows[followed], leaving, arriving, weights, mark, journeys.is_to_pinned)
        return begin, finish, packed

    def _followed(
        self,
        rows: NDArray[np.int64],
        leaving: Seeds,
        arriving: Seeds,
        weights: RoadWeights,
        mark: int,
        is_to_pinned: bool,
    ) -> NDArray[np.int64]:
        """Return the packed weights of ways of those whose rows are told."""
        hierarchy, metric = self._network.hierarchy, weights.metric
        up = _Edges(hierarchy.up_start, hierarchy.up_head, metric.up)
        down = _Edges(hierarchy.down_start, hierarchy.down_tail, metric.down)
        kept, pinned = (self._to, self._ends) if is_to_pinned else (self._from, self._starts)
        is_new = (kept.mark[rows] != mark) | (kept.version[rows] != pinned.version[rows])
        kept.mark[rows], kept.version[rows] = mark, pinned.version[rows]
        tree = (hierarchy.parent, self._depth)
        if is_to_pinned:
            return np.asarray(_follow(*tree, up, down, leaving, arriving, rows, is_new, kept.tuple()))
        return np.asarray(_follow(*tree, down, up, arriving, leaving, rows, is_new, kept.tuple()))


class _Places:
    """Places of many, each with where it meets the road: one that has not moved is not looked for again."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._lat, self._lon, self._mark = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, np.int64)
        self.version = np.zeros(size, np.int64)
        """Other for each other place of a row."""
        self._snaps = Snaps(
            np.full(size, -1, np.int32),
            np.zeros(size),
            np.full(size, np.inf),
            np.zeros(size),
            np.zeros(size),
            np.zeros(size, np.int8),
        )

    def snapped(
        self,
        network: RoadNetwork,
        rows: NDArray[np.int64],
        lat: NDArray[np.float64],
        lon: NDArray[np.float64],
        weights: RoadWeights,
        mark: int,
    ) -> Snaps:
        """Return where the places of rows meet the road, which negative rows do as well."""
        is_known = (rows >= 0) & (self._mark[rows] == mark) & (self._lat[rows] == lat) & (self._lon[rows] == lon)
        found = self._snaps.part(rows)
        missing = np.flatnonzero(~is_known)
        if not missing.size:
            return found
        fresh = network.snap(lat[missing], lon[missing], weights=weights)
        kept = np.flatnonzero(rows[missing] >= 0)
        at = rows[missing][kept]
        for field in fields(Snaps):
            getattr(found, field.name)[missing] = getattr(fresh, field.name)
            getattr(self._snaps, field.name)[at] = getattr(fresh, field.name)[kept]
        self._lat[at], self._lon[at], self._mark[at] = lat[missing][kept], lon[missing][kept], mark
        self.version[at] += 1
        return found


class _Edges(NamedTuple):
    """Edges of one direction of a hierarchy."""

    start: Ints
    other: Ints
    weights: Weights


class _Kept(NamedTuple):
    """What compiled code sees of `_Rows`."""

    node: Ints
    fork: Ints
    values: Weights


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is known of R ways in one direction."""

    mark: NDArray[np.int64]
    """Of the state of the roads; 0 where nothing is known."""
    version: NDArray[np.int64]
    """Of the place that stays."""
    node: Ints
    """The node whose chain's ways are kept."""
    fork: Ints
    """The lowest node of that chain which lies on those of the place that stays, too; beyond all if there is none."""
    values: Weights
    """R × height: ways of the nodes of the chain, by depth from the top."""

    @classmethod
    def empty(cls, size: int, height: int) -> "_Rows":
        """Return rows of which nothing is known; what nobody uses takes no memory."""
        return cls(
            mark=np.zeros(size, np.int64),
            version=np.zeros(size, np.int64),
            node=np.zeros(size, np.int32),
            fork=np.zeros(size, np.int32),
            values=np.empty((size, height), np.int64),
        )

    def tuple(self) -> _Kept:
        """Return what compiled code takes."""
        return _Kept(self.node, self.fork, self.values)


@road_rule
def _depths(parent: Ints) -> Ints:
    """Return how many nodes lie above each."""
    depth = np.zeros(parent.size, np.int32)
    for node in range(parent.size - 1, -1, -1):
        if parent[node] >= 0:
            depth[node] = depth[parent[node]] + 1
    return depth


@road_rule
def _follow(
    parent: Ints,
    depth: Ints,
    edges: _Edges,
    back_edges: _Edges,
    moving: Seeds,
    pinned: Seeds,
    rows: NDArray[np.int64],
    is_new: NDArray[np.bool_],
    kept: _Kept,
) -> Weights:
    """Return the weights between each one that moves and its place that stays.

    `edges` are those up from who moves: up edges on the way to a place, down edges on the way from one.
    """
    size = parent.size
    back, chain, spare = (
        np.full(size, CLOSED, np.int64),
        np.empty(size, np.int32),
        np.empty(kept.values.shape[1], np.int64),
    )
    out = np.full(rows.size, CLOSED, np.int64)
    for number in range(rows.size):
        row, first, last = rows[number], moving.starts[number], moving.starts[number + 1]
        if first == last or pinned.starts[number] == pinned.starts[number + 1]:
            kept.node[row], kept.fork[row] = -1, size  # nothing is known any more
            continue
        values, count = kept.values[row], 0
        node = moving.ranks[first]
        above = _fork(parent, node, -1 if is_new[number] else kept.node[row])
        if above < 0 or above >= kept.fork[row]:
            count = _pinned_chain(parent, back_edges, pinned, number, back, chain)
            kept.fork[row] = _lowest_fork(parent, node, pinned, number)
        _work_out(parent, depth, edges, node, above, back, values, values)
        kept.node[row] = node
        out[number] = min(out[number], _after(values[depth[node]], moving.weights[first]))
        for seed in range(first + 1, last):
            other = moving.ranks[seed]
            above = _fork(parent, other, node)
            if count == 0 and (above < 0 or above >= kept.fork[row]):
                count = _pinned_chain(parent, back_edges, pinned, number, back, chain)
            _work_out(parent, depth, edges, other, above, back, values, spare)
            at = values if other == above else spare
            out[number] = min(out[number], _after(at[depth[other]], moving.weights[seed]))
        for place in range(count):
            back[np.uint32(chain[place])] = CLOSED
    return out


@road_rule
def _pinned_chain(parent: Ints, edges: _Edges, pinned: Seeds, number: int, back: Weights, chain: Ints) -> int:
    return climb_all(parent, edges.start, edges.other, edges.weights, pinned, number, back, chain)


@road_rule
def _after(value: np.int64, weight: np.int64) -> np.int64:
    return value + weight if value < CLOSED else CLOSED


@road_rule
def _fork(parent: Ints, one: int, other: int) -> int:
    """Return the lowest node above, or equal to, both of two; -1 if there is none."""
    while one != other and one >= 0 and other >= 0:
        if one < other:
            one = parent[one]
        else:
            other = parent[other]
    return one if one == other else -1


@road_rule
def _lowest_fork(parent: Ints, node: int, pinned: Seeds, number: int) -> int:
    """Return the lowest node above `node` that lies above a place that stays; beyond all if there is none."""
    lowest = parent.size
    for seed in range(pinned.starts[number], pinned.starts[number + 1]):
        fork = _fork(parent, node, pinned.ranks[seed])
        if fork >= 0:
            lowest = min(lowest, fork)
    return lowest


@road_rule
def _work_out(
    parent: Ints,
    depth: Ints,
    edges: _Edges,
    node: int,
    above: int,
    back: Weights,
    values: Weights,
    into: Weights,
) -> None:
    """Put down the ways of a node and those above it that lie below `above`, from the top down.

    Those from `above` on are in `values`; `back` holds the ways between the place that stays and what lies above it.
    """
    known = depth[above] if above >= 0 else -1
    size = depth[node] - known
    path = np.empty(size, np.int32)
    for place in range(size):
        path[place] = node
        node = parent[node]
    for place in range(size - 1, -1, -1):
        here = np.uint32(path[place])
        least = back[here]
        for edge in range(edges.start[here], edges.start[here + np.uint32(1)]):
            at = depth[np.uint32(edges.other[np.uint32(edge)])]
            value = values[at] if at <= known else into[at]
            least = min(least, value + edges.weights[np.uint32(edge)])
        into[depth[here]] = least if least < OUT_OF_REACH else CLOSED
