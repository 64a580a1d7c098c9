"""Where a stop costs least in routes under way: every position of every route tried, each with its exact times.

Compiled, and pure. A route is tried as a whole: what waiting swallows, whom a detour makes late and which limits it
breaks follow from driving it, so nothing is estimated. The 11,500 pairs of positions that a collection and its delivery
have among 50 vans of 20 stops take some milliseconds.

A node is one visit: twice the number of its job, plus one for the delivery.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule

__all__ = ["BROKEN", "Fleet", "drive", "insert_best", "relocate"]

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]

BROKEN = 1e7
"""Cost of each gram, millilitre, metre, second or stop beyond a limit: more than any detour saves."""

_LATE, _SHIFT, _MOVE = 0, 1, 2  # columns of the weights
_USE, _METRE, _SECOND, _METRE_LOAD = 0, 1, 2, 3  # columns of the rates
_LONGEST_M, _LONGEST_S, _MOST_STOPS = 0, 1, 2  # columns of the limits
_NOTHING = 1e-6  # a gain that may be no more than rounding


class Fleet(NamedTuple):
    """J jobs and V vehicles between P places, as columns."""

    place: Whole
    """Place of each node, 2J; -1 where the job has no such stop."""
    service_s: Whole
    """2J."""
    opens_s: Whole
    """Times in which service may begin, in order, 2J × W."""
    closes_s: Whole
    windows: Whole
    """How many of them a node has, 2J."""
    expected_s: Whole
    """When somebody is expected at a node, 2J; -1 where nobody is."""
    load: Whole
    """J × D."""
    base: Whole
    """The vehicle of each job so far, J; -1 where it is new."""
    may: NDArray[np.bool_]
    """Which vehicle may take which job, V × J."""
    start: Whole
    """Place, V; -1 begins at its first stop."""
    end: Whole
    leaves_s: Whole
    back_s: Whole
    capacity: Whole
    """V × D."""
    limits: Whole
    """Most metres, seconds and stops, V × 3."""
    rates: Reals
    """Cost of being used, of a metre, of a second, of a metre with a unit of the first dimension on board, V × 4."""
    profile: Whole
    seconds: NDArray[np.int32]
    """K × P × P."""
    metres: NDArray[np.int32]
    weights: Reals
    """Of a second too late, of a second that a stop is shifted, of a job that changes its vehicle."""


def drive(fleet: Fleet, vehicle: int, nodes: Whole) -> tuple[float, Whole]:
    """Return the cost of a route, broken promises and shifts included, and when service begins at each stop."""
    times = np.zeros(len(nodes), np.int64)
    return float(_cost(fleet, vehicle, nodes, len(nodes), times)), times


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
def _cost(fleet: Fleet, vehicle: int, nodes: Whole, size: int, times: Whole) -> float:
    """Drive a route; `times` gets when service begins at each of its stops. `inf` if no vehicle could drive it."""
    if size == 0:
        return 0.0
    on_board = np.zeros(fleet.load.shape[1], np.int64)
    cost = _begin(fleet, vehicle, nodes, size, on_board)
    excess = _overload(fleet, vehicle, on_board)
    way_s, way_m = fleet.seconds[fleet.profile[vehicle]], fleet.metres[fleet.profile[vehicle]]
    moment, here, driven = fleet.leaves_s[vehicle], fleet.start[vehicle], 0
    for index in range(size):
        node = nodes[index]
        there = fleet.place[node]
        if here >= 0:
            moment += way_s[here, there]
            driven += way_m[here, there]
            cost += fleet.rates[vehicle, _METRE_LOAD] * way_m[here, there] * on_board[0]
        here = there
        moment, late_s = _serve(fleet, node, moment)
        times[index] = moment
        cost += fleet.weights[_LATE] * late_s
        if fleet.expected_s[node] >= 0:
            cost += fleet.weights[_SHIFT] * abs(moment - fleet.expected_s[node])
        moment += fleet.service_s[node]
        sign = 1 if node % 2 == 0 else -1
        for dimension in range(on_board.size):
            on_board[dimension] += sign * fleet.load[node // 2, dimension]
        excess += _overload(fleet, vehicle, on_board)
    if fleet.end[vehicle] >= 0:
        moment += way_s[here, fleet.end[vehicle]]
        driven += way_m[here, fleet.end[vehicle]]
        cost += fleet.rates[vehicle, _METRE_LOAD] * way_m[here, fleet.end[vehicle]] * on_board[0]
    lasted = moment - fleet.leaves_s[vehicle]
    cost += fleet.rates[vehicle, _METRE] * driven + fleet.rates[vehicle, _SECOND] * lasted
    cost += fleet.weights[_LATE] * max(0, moment - fleet.back_s[vehicle])
    excess += max(0, driven - fleet.limits[vehicle, _LONGEST_M]) + max(0, lasted - fleet.limits[vehicle, _LONGEST_S])
    excess += max(0, size - fleet.limits[vehicle, _MOST_STOPS])
    return cost + BROKEN * excess


@rule
def _begin(fleet: Fleet, vehicle: int, nodes: Whole, size: int, on_board: Whole) -> float:
    """Load what is not fetched on the way, and return what it costs to use the vehicle for these jobs at all."""
    cost = fleet.rates[vehicle, _USE]
    for index in range(size):
        node = nodes[index]
        job, is_delivery = node // 2, node % 2 == 1
        if not fleet.may[vehicle, job]:
            return np.inf
        if is_delivery and fleet.place[node - 1] < 0:
            for dimension in range(on_board.size):
                on_board[dimension] += fleet.load[job, dimension]
        elif is_delivery and not _comes(nodes, 0, index, node - 1):
            return np.inf
        is_last = is_delivery or fleet.place[node + 1] < 0
        if is_last and fleet.base[job] >= 0 and fleet.base[job] != vehicle:
            cost += fleet.weights[_MOVE]
    return cost


@rule
def _comes(nodes: Whole, first: int, last: int, node: int) -> bool:
    """Tell whether a node is among some visits of a route."""
    for index in range(first, last):  # noqa: SIM110  # numba compiles no generator expression
        if nodes[index] == node:
            return True
    return False


@rule
def _overload(fleet: Fleet, vehicle: int, on_board: Whole) -> float:
    excess = 0.0
    for dimension in range(on_board.size):
        excess += max(0, on_board[dimension] - fleet.capacity[vehicle, dimension])
    return excess


@rule
def _serve(fleet: Fleet, node: int, moment: int) -> tuple[int, int]:
    """Return when service begins for who comes at `moment`, and by how many seconds that is too late."""
    count = fleet.windows[node]
    for window in range(count):
        if moment <= fleet.closes_s[node, window]:
            return max(moment, fleet.opens_s[node, window]), 0
    return moment, moment - fleet.closes_s[node, count - 1] if count > 0 else 0


@rule
def _insert(fleet: Fleet, vehicle: int, nodes: Whole, size: int, fixed: int, job: int, best: Whole) -> float:
    """Try all places of a job in a route; `best` gets the cheapest route. Return the cost added."""
    if not fleet.may[vehicle, job]:
        return np.inf
    is_fetched, is_brought = fleet.place[2 * job] >= 0, fleet.place[2 * job + 1] >= 0
    total = size + int(is_fetched) + int(is_brought)
    times, tried = np.zeros(total, np.int64), np.zeros(total, np.int64)
    before, least = _cost(fleet, vehicle, nodes, size, times), np.inf
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
            cost = _cost(fleet, vehicle, tried, total, times)
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
    return index >= fixed and not _comes(nodes, 0, index, 2 * job) and not _comes(nodes, 0, index, 2 * job + 1)


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
    freed = _cost(fleet, vehicle, routes[vehicle], size, times) - _cost(fleet, vehicle, short, count, times)
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
