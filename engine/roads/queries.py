"""Questions to a customized hierarchy: a matrix, one way, the original edges of a way.

All on ranks. Where a search may begin or end is a *seed*: (rank, weight before or after it).
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule
from engine.roads.hierarchy import CLOSED, Hierarchy, Ints, Metric, Weights

__all__ = ["OUT_OF_REACH", "Seeds", "climb_all", "matrix_weights", "pair_weights", "way_between"]

OUT_OF_REACH = CLOSED // 2
"""What is reached with as much is not: a closed edge behind a seed below zero weighs less than `CLOSED`."""

_LANES = 16  # sources that are swept together: one row of them is two cache lines
_BLOCK = 128  # sources that a thread takes at a time


class Seeds(NamedTuple):
    """Where searches begin or end: point i has the seeds `starts[i]` to `starts[i + 1]`."""

    starts: NDArray[np.int32]
    ranks: NDArray[np.int32]
    weights: NDArray[np.int64]
    """What is added at the seed; may be negative at the end of a way."""

    def part(self, begin: int, end: int) -> "Seeds":
        """Return the seeds of a range of points."""
        rows = slice(int(self.starts[begin]), int(self.starts[end]))
        return Seeds(self.starts[begin : end + 1] - self.starts[begin], self.ranks[rows], self.weights[rows])


def matrix_weights(
    hierarchy: Hierarchy, metric: Metric, sources: Seeds, targets: Seeds, pool: Executor | None = None
) -> NDArray[np.int64]:
    """Return the weights of the fastest ways between all sources and targets, S × T; `CLOSED` where there is none.

    Notes
    -----
    RPHAST (Delling, Goldberg and Werneck, 2011): what lies above any target is laid out once, and swept downwards for
    `_LANES` sources at a time. Blocks of sources go to the threads of `pool`, without the interpreter's lock.
    """
    count, width = sources.starts.size - 1, targets.starts.size - 1
    out = np.full((count, width), CLOSED, np.int64)
    if count == 0 or width == 0:
        return out
    slope = _laid_out(hierarchy, metric, _above(hierarchy.parent, targets.ranks))

    def fill(begin: int) -> None:
        part = sources.part(begin, min(begin + _BLOCK, count))
        _sweep(hierarchy, metric, _Slope(*slope), part, targets, out[begin : begin + _BLOCK])

    blocks: Sequence[int] = range(0, count, _BLOCK)
    if pool is None or len(blocks) == 1:
        for begin in blocks:
            fill(begin)
    else:
        list(pool.map(fill, blocks))
    return out


def pair_weights(hierarchy: Hierarchy, metric: Metric, sources: Seeds, targets: Seeds) -> NDArray[np.int64]:
    """Return the weight of the fastest way from each source to the target of the same place, length N.

    `CLOSED` where there is none. For pairs that share neither end: two climbs of the elimination tree each.
    """
    return np.asarray(_pairs(hierarchy, metric, sources, targets))


def way_between(
    hierarchy: Hierarchy, metric: Metric, sources: Seeds, targets: Seeds
) -> tuple[int, NDArray[np.int32]] | None:
    """Return the weight of the fastest way from the first point's seeds to the other's, and the ranks along it.

    None if there is none.
    """
    weight, meeting, forth, back = _meet(hierarchy, metric, sources, targets)
    if meeting < 0:
        return None
    return int(weight), _unpacked(hierarchy, metric, meeting, forth, back)


class _Slope(NamedTuple):
    """What lies above the targets of a matrix, laid out from the top down. Numbers are places in it."""

    nodes: Ints
    """Ranks, descending."""
    place: Ints
    """Of each node of the hierarchy, -1 where it is not among them."""
    starts: Ints
    tails: Ints
    weights: Weights


@road_rule
def _above(parent: Ints, ranks: Ints) -> Ints:
    """Return everything above or among some ranks, descending."""
    seen = np.zeros(parent.size, np.bool_)
    count = 0
    for rank in ranks:
        node = rank
        while node >= 0 and not seen[node]:
            seen[node] = True
            count += 1
            node = parent[node]
    found = np.empty(count, np.int32)
    for node in range(parent.size - 1, -1, -1):
        if seen[node]:
            found[found.size - count] = node
            count -= 1
    return found


@road_rule
def _laid_out(h: Hierarchy, metric: Metric, nodes: Ints) -> tuple[Ints, Ints, Ints, Ints, Weights]:
    """Return the slope of some nodes: closed edges are left out."""
    place = np.full(h.parent.size, -1, np.int32)
    edges = 0
    for number in range(nodes.size):
        place[nodes[number]] = number
        edges += h.down_start[nodes[number] + 1] - h.down_start[nodes[number]]
    starts = np.empty(nodes.size + 1, np.int32)
    tails, weights = np.empty(edges, np.int32), np.empty(edges, np.int64)
    edges = 0
    for number in range(nodes.size):
        starts[number] = edges
        for edge in range(h.down_start[nodes[number]], h.down_start[nodes[number] + 1]):
            if metric.down[edge] < CLOSED:
                tails[edges], weights[edges] = place[h.down_tail[edge]], metric.down[edge]
                edges += 1
    starts[nodes.size] = edges
    return nodes, place, starts, tails[:edges], weights[:edges]


@road_rule
def _sweep(h: Hierarchy, metric: Metric, slope: _Slope, sources: Seeds, targets: Seeds, out: Weights) -> None:
    """Fill rows of a matrix: up from each source, then down the slope for a few sources at once."""
    lanes = np.empty((slope.nodes.size, _LANES), np.int64)
    reach = np.full(h.parent.size, CLOSED, np.int64)
    count = sources.starts.size - 1
    for first in range(0, count, _LANES):
        lanes[:] = CLOSED
        used = min(_LANES, count - first)
        for lane in range(used):
            _rise(h, metric, slope.place, sources, first + lane, reach, lanes[:, lane])
        for number in range(slope.nodes.size):
            row = lanes[number]
            for edge in range(slope.starts[number], slope.starts[number + 1]):
                tail, weight = lanes[slope.tails[edge]], slope.weights[edge]
                for lane in range(_LANES):
                    row[lane] = min(row[lane], tail[lane] + weight)
        for target in range(targets.starts.size - 1):
            for seed in range(targets.starts[target], targets.starts[target + 1]):
                row, after = lanes[slope.place[targets.ranks[seed]]], targets.weights[seed]
                for lane in range(used):
                    if row[lane] < CLOSED:
                        out[first + lane, target] = min(out[first + lane, target], row[lane] + after)


@road_rule
def _rise(
    h: Hierarchy, metric: Metric, place: Ints, sources: Seeds, source: int, reach: Weights, column: Weights
) -> None:
    """Put down what all nodes above a source are reached with; `reach` is `CLOSED` throughout before and after."""
    seeds = range(sources.starts[source], sources.starts[source + 1])
    for seed in seeds:
        reach[sources.ranks[seed]] = min(reach[sources.ranks[seed]], sources.weights[seed])
    for seed in seeds:
        node = sources.ranks[seed]
        while node >= 0:
            here = reach[node]
            if here < CLOSED:
                for edge in range(h.up_start[node], h.up_start[node + 1]):
                    head = h.up_head[edge]
                    reach[head] = min(reach[head], here + metric.up[edge])
                if place[node] >= 0:
                    column[place[node]] = min(column[place[node]], here)
            node = h.parent[node]
    for seed in seeds:
        node = sources.ranks[seed]
        while node >= 0:
            reach[node] = CLOSED
            node = h.parent[node]


@road_rule
def _chain(parent: Ints, ranks: Ints) -> Ints:
    """Return some ranks and all that is above them, ascending."""
    count = 0
    for rank in ranks:
        node = rank
        while node >= 0:
            count += 1
            node = parent[node]
    found = np.empty(count, np.int32)
    count = 0
    for rank in ranks:
        node = rank
        while node >= 0:
            found[count] = node
            count += 1
            node = parent[node]
    found.sort()
    kept = 0
    for place in range(found.size):
        if kept == 0 or found[kept - 1] != found[place]:
            found[kept] = found[place]
            kept += 1
    return found[:kept]


@road_rule
def _climb(chain: Ints, seeds: Seeds, start: Ints, other: Ints, weights: Weights) -> tuple[Weights, Ints]:
    """Return the weights from seeds to all of their chain, and by which edge each was reached (-1 at seeds)."""
    reach, by = np.full(chain.size, CLOSED, np.int64), np.full(chain.size, -1, np.int32)
    for seed in range(seeds.ranks.size):
        place = np.searchsorted(chain, seeds.ranks[seed])
        reach[place] = min(reach[place], seeds.weights[seed])
    for place in range(chain.size):
        here = reach[place]
        if here >= CLOSED:
            continue
        node, at = chain[place], place + 1
        for edge in range(start[node], start[node + 1]):
            while chain[at] < other[edge]:  # what an edge leads to is above its node, so it is in the chain
                at += 1
            if weights[edge] < CLOSED and here + weights[edge] < reach[at]:
                reach[at], by[at] = here + weights[edge], edge
    return reach, by


@road_rule
def _meet(h: Hierarchy, metric: Metric, sources: Seeds, targets: Seeds) -> tuple[np.int64, np.int32, Ints, Ints]:
    """Return weight and top of the fastest way, its up edges from the top back, and its down edges from the top on."""
    chain, other = _chain(h.parent, sources.ranks), _chain(h.parent, targets.ranks)
    reach, by = _climb(chain, sources, h.up_start, h.up_head, metric.up)
    back, back_by = _climb(other, targets, h.down_start, h.down_tail, metric.down)
    best, meeting, its_place, its_other = CLOSED, np.int32(-1), 0, 0
    at = 0
    for place in range(chain.size):
        while at < other.size and other[at] < chain[place]:
            at += 1
        if at == other.size:
            break
        whole = reach[place] + back[at]
        if other[at] == chain[place] and reach[place] < CLOSED and back[at] < CLOSED and whole < best:
            best, meeting, its_place, its_other = whole, chain[place], place, at
    forth_edges, back_edges = np.empty(chain.size, np.int32), np.empty(other.size, np.int32)
    forth_count = back_count = 0
    if meeting >= 0:
        place = its_place
        while by[place] >= 0:
            forth_edges[forth_count] = by[place]
            forth_count += 1
            place = np.searchsorted(chain, h.up_tail[by[place]])
        place = its_other
        while back_by[place] >= 0:
            back_edges[back_count] = back_by[place]
            back_count += 1
            place = np.searchsorted(other, h.down_head[back_by[place]])
    return best, meeting, forth_edges[:forth_count], back_edges[:back_count]


@road_rule
def _pairs(h: Hierarchy, metric: Metric, sources: Seeds, targets: Seeds) -> Weights:
    size = h.parent.size
    reach, back = np.full(size, CLOSED, np.int64), np.full(size, CLOSED, np.int64)
    chain, other = np.empty(size, np.int32), np.empty(size, np.int32)
    out = np.full(sources.starts.size - 1, CLOSED, np.int64)
    for pair in range(out.size):
        count = climb_all(h.parent, h.up_start, h.up_head, metric.up, sources, pair, reach, chain)
        other_count = climb_all(h.parent, h.down_start, h.down_tail, metric.down, targets, pair, back, other)
        for place in range(other_count):
            node = np.uint32(other[place])
            if reach[node] < OUT_OF_REACH and back[node] < OUT_OF_REACH:
                out[pair] = min(out[pair], reach[node] + back[node])
        for place in range(count):
            reach[np.uint32(chain[place])] = CLOSED
        for place in range(other_count):
            back[np.uint32(other[place])] = CLOSED
    return out


@road_rule
def climb_all(
    parent: Ints, start: Ints, other: Ints, weights: Weights, seeds: Seeds, point: int, reach: Weights, chain: Ints
) -> int:
    """Put down what all nodes above a point's seeds are reached with; return how many there are, in `chain` ascending.

    The chains of the seeds are followed side by side, so that each node is seen once and after all below it.
    """
    first = seeds.starts[point]
    used = seeds.starts[point + 1] - first
    heads = np.empty(used, np.int64)
    for number in range(used):
        rank = seeds.ranks[first + number]
        reach[rank] = min(reach[rank], seeds.weights[first + number])
        heads[number] = rank
    count = 0
    while used > 0:
        lowest = 0
        for head in range(1, used):
            if heads[head] < heads[lowest]:
                lowest = head
        node = np.uint32(heads[lowest])
        head = 0
        while head < used:  # those that meet here go on as one
            if head != lowest and heads[head] == heads[lowest]:
                used -= 1
                heads[head] = heads[used]
                lowest = head if lowest == used else lowest
            else:
                head += 1
        chain[count] = node
        count += 1
        here = reach[node]
        if here < CLOSED:
            for edge in range(start[node], start[node + np.uint32(1)]):
                far = np.uint32(other[np.uint32(edge)])
                reach[far] = min(reach[far], here + weights[np.uint32(edge)])
        above = parent[node]
        if above >= 0:
            heads[lowest] = above
        else:
            used -= 1
            heads[lowest] = heads[used]
    return count


@road_rule
def _slot(other: Ints, first: int, last: int, wanted: int) -> int:
    """Return the edge from `first` to before `last` that leads to, or comes from, `wanted`; -1 if there is none."""
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if other[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < last and other[low] == wanted else -1


@road_rule
def _unpacked(h: Hierarchy, metric: Metric, meeting: int, forth: Ints, back: Ints) -> Ints:
    """Return the ranks along a way: each edge is taken apart at the node below it that explains its weight."""
    stack = np.empty(forth.size + back.size + 4096, np.int64)  # edges; of down edges the complement
    size = 0
    for number in range(back.size - 1, -1, -1):
        stack[size] = ~np.int64(back[number])
        size += 1
    for number in range(forth.size):
        stack[size] = np.int64(forth[number])
        size += 1
    ranks = np.empty(1024, np.int32)
    ranks[0] = h.up_tail[forth[forth.size - 1]] if forth.size else meeting
    count = 1
    while size > 0:
        size -= 1
        edge = stack[size]
        first, second = _halves_of_up(h, metric, edge) if edge >= 0 else _halves_of_down(h, metric, ~edge)
        if first >= 0:
            stack[size], stack[size + 1] = second, ~first
            size += 2
            continue
        if count == ranks.size:
            ranks = _longer(ranks)
        ranks[count] = h.up_head[edge] if edge >= 0 else h.down_head[~edge]
        count += 1
    return ranks[:count].copy()


@road_rule
def _halves_of_up(h: Hierarchy, metric: Metric, edge: int) -> tuple[np.int64, np.int64]:
    """Return the down edge and the up edge that an up edge stands for, (-1, -1) if it is an original one."""
    tail, head = h.up_tail[edge], h.up_head[edge]
    for place in range(h.up_below_start[tail], h.up_below_start[tail + 1]):
        first = np.int64(h.up_below[place])
        if metric.down[first] < metric.up[edge]:
            second = np.int64(_slot(h.up_head, h.up_below_first[place], h.up_below_last[place], head))
            if second >= 0 and metric.down[first] + metric.up[second] == metric.up[edge]:
                return first, second
    return np.int64(-1), np.int64(-1)


@road_rule
def _halves_of_down(h: Hierarchy, metric: Metric, edge: int) -> tuple[np.int64, np.int64]:
    """Return the down edge and the up edge that a down edge stands for, (-1, -1) if it is an original one."""
    tail, head = h.down_tail[edge], h.down_head[edge]
    for place in range(h.down_below_start[head], h.down_below_start[head + 1]):
        second = np.int64(h.down_below[place])
        if metric.up[second] < metric.down[edge]:
            first = np.int64(_slot(h.down_tail, h.down_below_first[place], h.down_below_last[place], tail))
            if first >= 0 and metric.down[first] + metric.up[second] == metric.down[edge]:
                return first, second
    return np.int64(-1), np.int64(-1)


@road_rule
def _longer(ranks: Ints) -> Ints:
    longer = np.empty(ranks.size * 2, ranks.dtype)
    longer[: ranks.size] = ranks
    return longer
