"""Where a stop costs least in routes under way: every position of every route tried, each with its exact times.

Compiled, and pure. A route is tried as a whole: what waiting swallows, whom a detour makes late and which limits it
breaks follow from driving it, so nothing is estimated. The 11,500 pairs of positions that a collection and its delivery
have among 50 vans of 20 stops take some milliseconds.

A node is one visit: twice the number of its job, plus one for the delivery.
"""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.routing.driving import BROKEN, Fleet, comes, cost_of

__all__ = ["insert_best", "relocate"]

Whole = NDArray[np.int64]

_NOTHING = 1e-6  # a gain that may be no more than rounding


def insert_best(fleet: Fleet, vehicle: int, nodes: Whole, fixed: int, job: int) -> tuple[float, Whole]:
    """Return what a job adds at its cheapest place behind the first `fixed` stops, and the route with it.

    It adds `inf` where the vehicle can't take it without breaking a limit.
    """
    size = len(nodes) + int(fleet.place[2 * job] >= 0) + int(fleet.place[2 * job + 1] >= 0)
    best = np.zeros(size, np.int64)
    return float(_insert(fleet, vehicle, nodes, len(nodes), fixed, job, best)), best


def relocate(
    fleet: Fleet, routes: Whole, sizes: Whole, fixed: Whole, among: Whole, most: int
) -> tuple[Whole, Whole, float]:
    """Return routes after moving single jobs, within and between the routes of `among`, as long as that saves cost.

    Parameters
    ----------
    routes
        Nodes in order, V × L with room for those that join; not modified.
    sizes
        How many nodes each route has, V.
    fixed
        How many of them stay first, V.
    among
        Vehicles whose routes may change.
    most
        Jobs to look for a better place for, at most.

    Returns
    -------
    tuple
        Routes and sizes, and the cost saved.
    """
    moved, counts = routes.copy(), sizes.copy()
    saved = float(_relocate(fleet, moved, counts, fixed, among, most))
    return moved, counts, saved


@rule
def _insert(fleet: Fleet, vehicle: int, nodes: Whole, size: int, fixed: int, job: int, best: Whole) -> float:
    """Try all places of a job in a route; `best` gets the cheapest route. Return the cost added."""
    if not fleet.may[vehicle, job]:
        return np.inf
    is_fetched, is_brought = fleet.place[2 * job] >= 0, fleet.place[2 * job + 1] >= 0
    total = size + int(is_fetched) + int(is_brought)
    times, tried = np.zeros(total, np.int64), np.zeros(total, np.int64)
    before, least = cost_of(fleet, vehicle, nodes, size, times), np.inf
    for first in range(fixed, size + 1):
        last = size if is_fetched and is_brought else first
        for second in range(first, last + 1):
            at = 0
            for index in range(size + 1):
                if is_fetched and index == first:
                    tried[at] = 2 * job
                    at += 1
                if is_brought and index == second:
                    tried[at] = 2 * job + 1
                    at += 1
                if index < size:
                    tried[at] = nodes[index]
                    at += 1
            cost = cost_of(fleet, vehicle, tried, total, times)
            if cost < least:
                least = cost
                best[:total] = tried
    added = least - before
    return added if added < BROKEN / 2 else np.inf


@rule
def _relocate(fleet: Fleet, routes: Whole, sizes: Whole, fixed: Whole, among: Whole, most: int) -> float:
    """Move jobs in place until none saves anything, or `most` were looked at; return what was saved."""
    saved, tries, improves = 0.0, 0, True
    best = np.zeros(routes.shape[1], np.int64)
    while improves and tries < most:
        improves = False
        for vehicle in among:
            index = fixed[vehicle]
            while index < sizes[vehicle] and tries < most:
                job = routes[vehicle, index] // 2
                index += 1
                if not _is_free(routes, vehicle, index - 1, fixed[vehicle], job):
                    continue
                tries += 1
                gain, target, count, length = _better_place(fleet, routes, sizes, fixed, among, vehicle, job, best)
                if target < 0:
                    continue
                saved += gain
                improves = True
                _take_out(routes[vehicle], sizes[vehicle], job, routes[vehicle])
                sizes[vehicle] = count
                routes[target, :length] = best[:length]
                sizes[target] = length
    return saved


@rule
def _is_free(routes: Whole, vehicle: int, index: int, fixed: int, job: int) -> bool:
    """Tell whether a visit is the first of a job of which nothing is fixed."""
    nodes = routes[vehicle]
    return index >= fixed and not comes(nodes, 0, index, 2 * job) and not comes(nodes, 0, index, 2 * job + 1)


@rule
def _take_out(nodes: Whole, size: int, job: int, into: Whole) -> int:
    """Write a route without a job, which may be to where it is read from; return its size."""
    count = 0
    for index in range(size):
        if nodes[index] // 2 != job:
            into[count] = nodes[index]
            count += 1
    return count


@rule
def _better_place(
    fleet: Fleet, routes: Whole, sizes: Whole, fixed: Whole, among: Whole, vehicle: int, job: int, best: Whole
) -> tuple[float, int, int, int]:
    """Look for the place where a job costs least, outside its route or elsewhere in it.

    Returns what the move saves, the vehicle (-1 for none), the size of its route without the job, and the size of the
    route in `best`.
    """
    size = sizes[vehicle]
    times, short = np.zeros(size, np.int64), np.zeros(size, np.int64)
    made = np.zeros(routes.shape[1], np.int64)
    count = _take_out(routes[vehicle], size, job, short)
    freed = cost_of(fleet, vehicle, routes[vehicle], size, times) - cost_of(fleet, vehicle, short, count, times)
    gain, target, length = _NOTHING, -1, 0
    for other in among:
        nodes, taken = (short, count) if other == vehicle else (routes[other], sizes[other])
        if taken + size - count > routes.shape[1]:
            continue
        saved = freed - _insert(fleet, other, nodes, taken, fixed[other], job, made)
        if saved > gain:
            gain, target, length = saved, other, taken + size - count
            best[:length] = made[:length]
    return gain, target, count, length
