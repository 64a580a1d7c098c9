"""Which nodes of a hierarchy threads may take side by side: subtrees of its elimination tree.

What a node's weights are made of lies in its own subtree (Dibbelt, Strasser and Wagner, "Customizable Contraction
Hierarchies", 2016), so subtrees that hold none of one another are worked at together, and the rest after them.
"""

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule
from engine.roads.hierarchy import Hierarchy, Ints, Shares

__all__ = ["shares_of"]

_APART = 0.05  # of the work: subtrees are cut down to pieces no larger, so that they can be shared evenly …
_A_LOOK = 2  # for a lower node's edges, in sums over one of them
_MOST_CUTS = 300  # … but nodes above the cuts, which one thread does alone, are no more


def shares_of(hierarchy: Hierarchy, count: int) -> Shares:
    """Return the nodes of a hierarchy in shares of about the same work.

    Parameters
    ----------
    count
        How many threads there are; one does all.
    """
    n = hierarchy.parent.size
    if count < 2:
        return Shares([np.arange(n, dtype=np.int32)], np.zeros(0, np.int32))
    work = _work(hierarchy)
    pieces, above = _pieces(hierarchy.parent, work)
    loads, owner = np.zeros(count), np.full(n, -1, np.int32)
    for root in sorted(pieces, key=lambda one: (-work[one], one)):
        lightest = int(loads.argmin())
        owner[root] = lightest
        loads[lightest] += work[root]
    owner[above] = count
    _hand_down(hierarchy.parent, owner)
    whose = [np.flatnonzero(owner == number).astype(np.int32) for number in range(count + 1)]
    return Shares(whose[:-1], whose[-1])


def _pieces(parent: Ints, work: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Return the roots of subtrees without one another, and the nodes above them."""
    below = np.argsort(parent, kind="stable")
    first = np.searchsorted(parent[below], np.arange(-1, parent.size + 1))
    roots = below[: first[1]].tolist()
    waiting = [(-work[root], root) for root in roots]
    heapq.heapify(waiting)
    above: list[int] = []
    while waiting and -waiting[0][0] > _APART * work[roots].sum() and len(above) < _MOST_CUTS:
        node = heapq.heappop(waiting)[1]
        above.append(node)
        for child in below[first[node + 1] : first[node + 2]].tolist():
            heapq.heappush(waiting, (-work[child], child))
    return [node for _, node in waiting], above


@road_rule
def _work(h: Hierarchy) -> NDArray[np.float64]:
    """Return about how much is to be done for each node and all that lies below it."""
    work = np.zeros(h.parent.size)
    for node in range(work.size):
        for place in range(h.up_below_start[node], h.up_below_start[node + 1]):
            work[node] += _A_LOOK + h.up_below_last[place] - h.up_below_first[place]
        for place in range(h.down_below_start[node], h.down_below_start[node + 1]):
            work[node] += _A_LOOK + h.down_below_last[place] - h.down_below_first[place]
        if h.parent[node] >= 0:
            work[h.parent[node]] += work[node]  # children come first
    return work


@road_rule
def _hand_down(parent: Ints, owner: Any) -> None:
    """Give every node without an owner that of its parent."""
    for node in range(parent.size - 1, -1, -1):
        if owner[node] < 0:
            owner[node] = owner[parent[node]]
