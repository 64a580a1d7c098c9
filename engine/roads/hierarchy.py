"""A customizable contraction hierarchy over directed weights that hold time and length at once.

Nodes are contracted in an order that depends on the map alone; what is left of each is its *up* edges (to nodes
contracted later) and its *down* edges (from them). Weights are put on afterwards, in one pass over triangles
(`customize`). What a triangle is made of is looked up when nodes are contracted: to find it anew each time took longer
than the sums. Method: Dibbelt, Strasser and Wagner (2016), Customizable contraction hierarchies; up and down edges are
kept apart because turns are one-way, which leaves a quarter of the work: Buchhold, Wagner, Zeitz and Zündorf (2020),
Customizable contraction hierarchies with turn costs.

A weight is one int64: milliseconds in the upper half, decimetres in the lower. Sums keep both, the smaller one is the
faster way and, of two equally fast, the shorter. So a matrix holds times and lengths of the same ways, for the price of
one.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule

__all__ = ["CLOSED", "Hierarchy", "Metric", "Shares", "contract", "customize", "pack", "recustomize"]

CLOSED = np.int64(1) << np.int64(61)
"""Weight of what can't be driven; twice of it still fits."""

Ints = NDArray[np.int32]
Weights = NDArray[np.int64]


class Hierarchy(NamedTuple):
    """N nodes by rank, U up edges, D down edges, T original edges. A tuple, because compiled code takes it as it is."""

    rank: Ints
    """Of each node of the graph."""
    parent: Ints
    """N: the next above in the elimination tree, -1 at the top; all that a node's edges lead to is above it."""
    up_start: Ints
    up_head: Ints
    """Where up edges lead to, ascending for each node."""
    down_start: Ints
    down_tail: Ints
    """Where down edges come from, ascending for each node."""
    up_below_start: Ints
    up_below: Ints
    """For each node, the down edges to lower nodes over which its up edges may go …"""
    up_below_first: Ints
    up_below_last: Ints
    """… and from where to where on the lower node's up edges lead to what is above the node."""
    down_below_start: Ints
    down_below: Ints
    down_below_first: Ints
    down_below_last: Ints
    """The same for its down edges, which may come over up edges from lower nodes."""
    up_given_start: Ints
    up_given: Ints
    """For each node, the original edges that its up edges hold …"""
    up_given_head: Ints
    """… and where they lead to."""
    down_given_start: Ints
    down_given: Ints
    down_given_tail: Ints
    edge_slot: Ints
    """T: the up edge that holds an original edge, or ~ of the down edge (negative)."""
    up_tail: Ints
    down_head: Ints

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as the file of a road network holds them."""
        return {f"hierarchy_{name}": array for name, array in self._asdict().items()}


class Metric(NamedTuple):
    """A hierarchy's weights for one state of the roads."""

    up: Weights
    down: Weights
    edges: Weights
    """T: of the original edges."""


class Shares(NamedTuple):
    """Nodes in ascending order: of each thread, and those that come after all of them (`engine.roads.shares`)."""

    side_by_side: Sequence[Ints]
    after: Ints


def pack(milliseconds: NDArray[np.int64], decimetres: NDArray[np.int64]) -> Weights:
    """Return weights of times and lengths."""
    return (milliseconds << np.int64(32)) + decimetres


def contract(order: NDArray[np.int64], tail: Ints, head: Ints) -> Hierarchy:
    """Return the hierarchy of a graph.

    Parameters
    ----------
    order
        Nodes in the order in which they are contracted.
    tail, head
        Edges; none leads from a node to itself.
    """
    n = order.size
    rank = np.empty(n, np.int32)
    rank[order] = np.arange(n, dtype=np.int32)
    low, high, is_up = _split(rank[tail], rank[head])
    up_start, up_head = _rows(n, low[is_up], high[is_up])
    down_start, down_tail = _rows(n, low[~is_up], high[~is_up])
    up_start, up_head, down_start, down_tail = _contract(n, up_start, up_head, down_start, down_tail)
    by_high = np.argsort(high, kind="stable")
    up_tail = np.repeat(np.arange(n, dtype=np.int32), np.diff(up_start))
    down_head = np.repeat(np.arange(n, dtype=np.int32), np.diff(down_start))
    slots = np.where(is_up, _find(up_start, up_head, low, high), ~_find(down_start, down_tail, low, high))
    by_up, by_down = np.argsort(up_head, kind="stable"), np.argsort(down_tail, kind="stable")
    by_low = np.argsort(low, kind="stable")
    ups, downs = by_low[is_up[by_low]], by_low[~is_up[by_low]]
    return Hierarchy(
        rank=rank,
        parent=_parents(n, low[by_high], high[by_high]),
        up_start=up_start,
        up_head=up_head,
        down_start=down_start,
        down_tail=down_tail,
        **_named("up_below", _below(up_start, up_head, _starts(n, down_tail), by_down, down_head)),
        **_named("down_below", _below(down_start, down_tail, _starts(n, up_head), by_up, up_tail)),
        up_given_start=_starts(n, low[ups]),
        up_given=ups.astype(np.int32),
        up_given_head=high[ups],
        down_given_start=_starts(n, low[downs]),
        down_given=downs.astype(np.int32),
        down_given_tail=high[downs],
        edge_slot=slots.astype(np.int32),
        up_tail=up_tail,
        down_head=down_head,
    )


def customize(hierarchy: Hierarchy, edges: Weights, threads: tuple[Shares, Executor] | None = None) -> Metric:
    """Return the metric that weights of the original edges make.

    Parameters
    ----------
    edges
        T.
    threads
        A pool, and what its threads do side by side; one thread does all where it is left out.
    """
    h = hierarchy
    metric = Metric(np.empty(h.up_head.size, np.int64), np.empty(h.down_tail.size, np.int64), edges)
    if threads is None:
        _customize(h, metric, np.arange(h.parent.size, dtype=np.int32), np.empty(h.parent.size, np.int64))
        return metric
    shares, pool = threads
    scratches = np.empty((len(shares.side_by_side), h.parent.size), np.int64)
    list(pool.map(lambda nodes, scratch: _customize(h, metric, nodes, scratch), shares.side_by_side, scratches))
    _customize(h, metric, shares.after, scratches[0])
    return metric


def recustomize(hierarchy: Hierarchy, metric: Metric, edges: Weights) -> Metric:
    """Return the metric of other weights, most of which `metric` has: only what depends on the rest is redone."""
    h = hierarchy
    slots = h.edge_slot[edges != metric.edges]
    is_dirty = np.zeros(h.parent.size, np.bool_)
    is_dirty[h.up_tail[slots[slots >= 0]]] = True
    is_dirty[h.down_head[~slots[slots < 0]]] = True
    made = Metric(metric.up.copy(), metric.down.copy(), edges)
    _customize_dirty(h, made, is_dirty)
    return made


def _named(name: str, columns: Sequence[Ints]) -> dict[str, Ints]:
    return dict(zip((f"{name}_start", name, f"{name}_first", f"{name}_last"), columns, strict=True))


def _split(tail: Ints, head: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    return np.minimum(tail, head), np.maximum(tail, head), tail < head


def _starts(n: int, rows: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int32)


def _rows(n: int, rows: Ints, columns: Ints) -> tuple[Ints, Ints]:
    keys = np.unique(rows.astype(np.int64) * n + columns)
    return _starts(n, (keys // n).astype(np.int32)), (keys % n).astype(np.int32)


def _find(start: Ints, column: Ints, row: Ints, wanted: Ints) -> NDArray[np.int64]:
    """Return the places of (row, column) pairs in sorted rows; where there is none, anything."""
    n = start.size - 1
    keys = np.repeat(np.arange(n, dtype=np.int64), np.diff(start)) * n + column
    return np.searchsorted(keys, row.astype(np.int64) * n + wanted)


@road_rule
def _contract(
    n: int, up_start: Ints, up_head: Ints, down_start: Ints, down_tail: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return all up and down edges: what is given, and what contracting nodes in order adds."""
    size = 8 * (up_head.size + down_tail.size) + 64
    ups, downs = np.empty(size, np.int32), np.empty(size, np.int32)
    up_from, down_from = np.zeros(n + 1, np.int32), np.zeros(n + 1, np.int32)
    # for each node, a list of the edges from below that meet it: the last one, and for each edge the one before
    up_last, down_last = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    up_before, down_before = np.empty(size, np.int32), np.empty(size, np.int32)
    up_owner, down_owner = np.empty(size, np.int32), np.empty(size, np.int32)
    seen = np.full(n, -1, np.int32)
    up_count = down_count = 0
    for node in range(n):
        if up_count + n > ups.size or down_count + n > downs.size:
            ups, up_before, up_owner = _grown(ups), _grown(up_before), _grown(up_owner)
            downs, down_before, down_owner = _grown(downs), _grown(down_before), _grown(down_owner)
        begin = up_count
        for edge in range(up_start[node], up_start[node + 1]):
            seen[up_head[edge]] = node
            ups[up_count] = up_head[edge]
            up_count += 1
        below = down_last[node]
        while below >= 0:
            lower = down_owner[below]
            for edge in range(up_from[lower], up_from[lower + 1]):
                head = ups[edge]
                if head > node and seen[head] != node:
                    seen[head] = node
                    ups[up_count] = head
                    up_count += 1
            below = down_before[below]
        ups[begin:up_count].sort()
        up_from[node + 1] = up_count
        for edge in range(begin, up_count):
            head = ups[edge]
            seen[head] = -1
            up_owner[edge], up_before[edge] = node, up_last[head]
            # hung in below, when the down edges are known too
        begin_down = down_count
        for edge in range(down_start[node], down_start[node + 1]):
            seen[down_tail[edge]] = node
            downs[down_count] = down_tail[edge]
            down_count += 1
        below = up_last[node]
        while below >= 0:
            lower = up_owner[below]
            for edge in range(down_from[lower], down_from[lower + 1]):
                tail = downs[edge]
                if tail > node and seen[tail] != node:
                    seen[tail] = node
                    downs[down_count] = tail
                    down_count += 1
            below = up_before[below]
        downs[begin_down:down_count].sort()
        down_from[node + 1] = down_count
        for edge in range(begin_down, down_count):
            tail = downs[edge]
            seen[tail] = -1
            down_owner[edge], down_before[edge] = node, down_last[tail]
            down_last[tail] = edge
        for edge in range(begin, up_count):
            up_last[ups[edge]] = edge
    return up_from, ups[:up_count].copy(), down_from, downs[:down_count].copy()


@road_rule
def _grown(values: Ints) -> Ints:
    larger = np.empty(values.size * 2, values.dtype)
    larger[: values.size] = values
    return larger


@road_rule
def _parents(n: int, low: Ints, high: Ints) -> Ints:
    """Return the elimination tree of the graph without directions (Liu, 1990), given edges by upper end ascending."""
    parent, above = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    for edge in range(low.size):
        node, top = low[edge], high[edge]
        while above[node] >= 0 and above[node] != top:
            above[node], node = top, above[node]
        if above[node] < 0:
            above[node] = parent[node] = top
    return parent


@road_rule
def _below(start: Ints, end: Ints, below_start: Ints, below: NDArray[np.int64], below_low: Ints) -> tuple[Any, ...]:
    """Return for each node the edges to, or from, lower nodes that have edges beyond it, and which those are."""
    starts = np.zeros(start.size, np.int32)
    halves, first, last = np.empty(below.size, np.int32), np.empty(below.size, np.int32), np.empty(below.size, np.int32)
    count = 0
    for node in range(start.size - 1):
        for place in range(below_start[node], below_start[node + 1]):
            lower = below_low[below[place]]
            edge = start[lower + 1]
            while edge > start[lower] and end[edge - 1] > node:
                edge -= 1
            if edge < start[lower + 1]:
                halves[count], first[count], last[count] = below[place], edge, start[lower + 1]
                count += 1
        starts[node + 1] = count
    return starts, halves[:count].copy(), first[:count].copy(), last[:count].copy()


@road_rule
def _customize(h: Hierarchy, metric: Metric, nodes: Ints, scratch: Weights) -> None:
    """Give the edges of nodes the least of their own weights and those of the ways over what lies below.

    `scratch` holds a weight for every node.
    """
    for node in nodes:
        _begin(metric.edges, node, scratch, h.up_start, h.up_head, h.up_given_start, h.up_given, h.up_given_head)
        _settle(
            *(metric.up, metric.down, node, scratch, h.up_start, h.up_head),
            *(h.up_below_start, h.up_below, h.up_below_first, h.up_below_last),
        )
        _begin(
            *(metric.edges, node, scratch, h.down_start, h.down_tail),
            *(h.down_given_start, h.down_given, h.down_given_tail),
        )
        _settle(
            *(metric.down, metric.up, node, scratch, h.down_start, h.down_tail),
            *(h.down_below_start, h.down_below, h.down_below_first, h.down_below_last),
        )


@road_rule
def _begin(
    edges: Weights, node: int, scratch: Weights, start: Ints, end: Ints, given_start: Ints, given: Ints, given_end: Ints
) -> None:
    """Put down the weights of the original edges that a node's up edges hold, or its down edges.

    Indices are unsigned: numba then leaves out the question whether one counts from the end, a quarter of the time.
    """
    for edge in range(start[node], start[node + 1]):
        scratch[np.uint32(end[np.uint32(edge)])] = CLOSED
    for place in range(given_start[node], given_start[node + 1]):
        far = np.uint32(given_end[np.uint32(place)])
        scratch[far] = min(scratch[far], edges[np.uint32(given[np.uint32(place)])])


@road_rule
def _settle(
    weights: Weights,
    others: Weights,
    node: int,
    scratch: Weights,
    start: Ints,
    end: Ints,
    below_start: Ints,
    below: Ints,
    below_first: Ints,
    below_last: Ints,
) -> None:
    """Settle the up edges of a node, over its down edges to lower nodes; or the other way round.

    Arrays come one by one: whole hierarchies, handed on for every node, took a third of the time.
    """
    for place in range(below_start[node], below_start[node + 1]):
        half = others[np.uint32(below[np.uint32(place)])]
        if half >= CLOSED:
            continue
        for edge in range(below_first[np.uint32(place)], below_last[np.uint32(place)]):
            far = np.uint32(end[np.uint32(edge)])
            scratch[far] = min(scratch[far], half + weights[np.uint32(edge)])
    for edge in range(start[node], start[node + 1]):
        weights[np.uint32(edge)] = min(scratch[np.uint32(end[np.uint32(edge)])], CLOSED)


@road_rule
def _customize_dirty(h: Hierarchy, metric: Metric, is_dirty: NDArray[np.bool_]) -> None:
    """Redo nodes in order; whatever an edge that has changed leads to, or comes from, is dirty as well."""
    scratch, nodes = np.empty(h.parent.size, np.int64), np.arange(h.parent.size, dtype=np.int32)
    for node in nodes:
        if not is_dirty[node]:
            continue
        ups, downs = slice(h.up_start[node], h.up_start[node + 1]), slice(h.down_start[node], h.down_start[node + 1])
        up_before, down_before = metric.up[ups].copy(), metric.down[downs].copy()
        _customize(h, metric, nodes[node : node + 1], scratch)
        is_changed = False
        for place in range(up_before.size):
            is_changed |= metric.up[ups.start + place] != up_before[place]
        for place in range(down_before.size):
            is_changed |= metric.down[downs.start + place] != down_before[place]
        if is_changed:
            is_dirty[h.up_head[ups]] = True
            is_dirty[h.down_tail[downs]] = True
