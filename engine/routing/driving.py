"""What a route under way costs as it is driven: waiting, lateness, limits, and the breaks of its driver.

Compiled, and pure. The vehicle leaves at once. Breaks are taken in their order where they make the fewest seconds of
lateness, and of those places where the route is over soonest: for each number of breaks taken one keeps the best
moment at each stop, which is exact as long as nobody need be late.

A node is one visit: twice the number of its job, plus one for the delivery.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule

__all__ = ["BROKEN", "Fleet", "comes", "cost_of", "drive"]

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]

BROKEN = 1e7
"""Cost of each gram, millilitre, metre, second or stop beyond a limit, and of a break that finds no place within its
hours: more than any detour saves."""

_LATE, _SHIFT, _MOVE = 0, 1, 2  # columns of the weights
_USE, _METRE, _SECOND, _METRE_LOAD = 0, 1, 2, 3  # columns of the rates
_LONGEST_M, _LONGEST_S, _MOST_STOPS = 0, 1, 2  # columns of the limits
_NEVER = 2**60


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
    rests: Whole
    """How many breaks a vehicle's driver takes, in this order, V."""
    rest_s: Whole
    """How long they are, V × B."""
    rest_opens_s: Whole
    """Times in which they may begin, in order, V × B × W; a break that has fewer repeats its last."""
    rest_closes_s: Whole
    seconds: NDArray[np.int32]
    """K × P × P."""
    metres: NDArray[np.int32]
    weights: Reals
    """Of a second too late, of a second that a stop is shifted, of a job that changes its vehicle."""


def drive(fleet: Fleet, vehicle: int, nodes: Whole) -> tuple[float, Whole]:
    """Return the cost of a route, broken promises and shifts included, and when service begins at each stop."""
    times = np.zeros(len(nodes), np.int64)
    return float(cost_of(fleet, vehicle, nodes, len(nodes), times)), times


@rule
def cost_of(fleet: Fleet, vehicle: int, nodes: Whole, size: int, times: Whole) -> float:
    """Drive a route; `times` gets when service begins at each of its stops. `inf` if no vehicle could drive it."""
    if size == 0:
        return 0.0
    on_board = np.zeros(fleet.load.shape[1], np.int64)
    cost = _begin(fleet, vehicle, nodes, size, on_board)
    excess = _overload(fleet, vehicle, on_board)
    way_m = fleet.metres[fleet.profile[vehicle]]
    end, late_s, missing = _clock(fleet, vehicle, nodes, size, times)
    here, driven = fleet.start[vehicle], 0
    for index in range(size):
        node = nodes[index]
        there = fleet.place[node]
        if here >= 0:
            driven += way_m[here, there]
            cost += fleet.rates[vehicle, _METRE_LOAD] * way_m[here, there] * on_board[0]
        here = there
        if fleet.expected_s[node] >= 0:
            cost += fleet.weights[_SHIFT] * abs(times[index] - fleet.expected_s[node])
        sign = 1 if node % 2 == 0 else -1
        for dimension in range(on_board.size):
            on_board[dimension] += sign * fleet.load[node // 2, dimension]
        excess += _overload(fleet, vehicle, on_board)
    if fleet.end[vehicle] >= 0:
        driven += way_m[here, fleet.end[vehicle]]
        cost += fleet.rates[vehicle, _METRE_LOAD] * way_m[here, fleet.end[vehicle]] * on_board[0]
    lasted = end - fleet.leaves_s[vehicle]
    cost += fleet.rates[vehicle, _METRE] * driven + fleet.rates[vehicle, _SECOND] * lasted
    cost += fleet.weights[_LATE] * (late_s + max(0, end - fleet.back_s[vehicle]))
    excess += max(0, driven - fleet.limits[vehicle, _LONGEST_M]) + max(0, lasted - fleet.limits[vehicle, _LONGEST_S])
    excess += max(0, size - fleet.limits[vehicle, _MOST_STOPS]) + missing
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
        elif is_delivery and not comes(nodes, 0, index, node - 1):
            return np.inf
        is_last = is_delivery or fleet.place[node + 1] < 0
        if is_last and fleet.base[job] >= 0 and fleet.base[job] != vehicle:
            cost += fleet.weights[_MOVE]
    return cost


@rule
def comes(nodes: Whole, first: int, last: int, node: int) -> bool:
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
def _travel_s(fleet: Fleet, vehicle: int, nodes: Whole, size: int, index: int) -> int:
    """Return the seconds to a stop from the one before, or home after the last."""
    here = fleet.place[nodes[index - 1]] if index > 0 else fleet.start[vehicle]
    there = fleet.place[nodes[index]] if index < size else fleet.end[vehicle]
    return fleet.seconds[fleet.profile[vehicle]][here, there] if here >= 0 and there >= 0 else 0


@rule
def _clock(fleet: Fleet, vehicle: int, nodes: Whole, size: int, times: Whole) -> tuple[int, int, int]:
    """Return when a route is over, by how much its stops are late, and how many breaks find no place."""
    if fleet.rests[vehicle] > 0:
        return _clock_with_rests(fleet, vehicle, nodes, size, times)
    way_s = fleet.seconds[fleet.profile[vehicle]]
    moment, here, late_s = fleet.leaves_s[vehicle], fleet.start[vehicle], 0
    for index in range(size):
        node = nodes[index]
        there = fleet.place[node]
        if here >= 0:
            moment += way_s[here, there]
        here = there
        times[index], late = _serve(fleet, node, moment)
        late_s += late
        moment = times[index] + fleet.service_s[node]
    if fleet.end[vehicle] >= 0:
        moment += way_s[here, fleet.end[vehicle]]
    return moment, late_s, 0


@rule
def _clock_with_rests(fleet: Fleet, vehicle: int, nodes: Whole, size: int, times: Whole) -> tuple[int, int, int]:
    """As `_clock`, for the best places of breaks; columns are the numbers of breaks taken by then."""
    count = fleet.rests[vehicle]
    moment, late_s = np.full(count + 1, _NEVER), np.zeros(count + 1, np.int64)
    begins, taken = np.zeros((size, count + 1), np.int64), np.zeros((size + 1, count + 1), np.int64)
    leaves_s, clock = fleet.leaves_s[vehicle], -_NEVER
    moment[0] = leaves_s
    for number in range(count):  # those that are over before the vehicle leaves
        clock = _rested(fleet, vehicle, number, clock)
        if clock <= leaves_s:
            moment[number + 1] = leaves_s
    for index in range(size):
        _drive_on(fleet, vehicle, _travel_s(fleet, vehicle, nodes, size, index), moment, late_s, taken[index])
        for rests in range(count + 1):
            if moment[rests] < _NEVER:
                begins[index, rests], late = _serve(fleet, nodes[index], moment[rests])
                late_s[rests] += late
                moment[rests] = begins[index, rests] + fleet.service_s[nodes[index]]
    _drive_on(fleet, vehicle, _travel_s(fleet, vehicle, nodes, size, size), moment, late_s, taken[size])
    rests, missing = _best_end(fleet, vehicle, moment, late_s)
    end, late = moment[rests], late_s[rests]
    for index in range(size - 1, -1, -1):
        rests = taken[index + 1, rests]
        times[index] = begins[index, rests]
    return end, late, missing


@rule
def _rested(fleet: Fleet, vehicle: int, number: int, clock: int) -> int:
    """Return when a break is over that begins as soon as it may from a moment on; `_NEVER` if that is too late."""
    for window in range(fleet.rest_opens_s.shape[2]):
        if clock <= fleet.rest_closes_s[vehicle, number, window]:
            return max(clock, fleet.rest_opens_s[vehicle, number, window]) + fleet.rest_s[vehicle, number]
    return _NEVER


@rule
def _drive_on(fleet: Fleet, vehicle: int, travel_s: int, moment: Whole, late_s: Whole, taken: Whole) -> None:
    """Go to the next stop in place, with any number of breaks on the way.

    `taken` gets, for each number of breaks on arrival, how many of them were taken when the vehicle left.
    """
    for before in range(moment.size - 1, -1, -1):  # what is beyond has arrived already
        taken[before] = before
        if moment[before] >= _NEVER:
            continue
        clock, resting = moment[before], 0
        moment[before] += travel_s
        for number in range(before, moment.size - 1):
            clock = _rested(fleet, vehicle, number, clock)
            if clock >= _NEVER:
                break
            resting += fleet.rest_s[vehicle, number]
            arrives = max(moment[before] + resting, clock)
            is_sooner = late_s[before] == late_s[number + 1] and arrives <= moment[number + 1]
            if moment[number + 1] >= _NEVER or late_s[before] < late_s[number + 1] or is_sooner:
                moment[number + 1], late_s[number + 1] = arrives, late_s[before]
                taken[number + 1] = before


@rule
def _best_end(fleet: Fleet, vehicle: int, moment: Whole, late_s: Whole) -> tuple[int, int]:
    """Return how many breaks are best taken on the way, and how many are then taken neither there nor after the end."""
    best, fewest, least_s = 0, _NEVER, _NEVER
    for rests in range(moment.size):
        if moment[rests] >= _NEVER:
            continue
        clock, missing = moment[rests], 0
        for number in range(rests, moment.size - 1):
            clock = _rested(fleet, vehicle, number, clock)
            missing += int(clock >= _NEVER)
        overdue_s = late_s[rests] + max(0, moment[rests] - fleet.back_s[vehicle])
        is_better = missing == fewest and overdue_s == least_s and moment[rests] < moment[best]
        if missing < fewest or (missing == fewest and overdue_s < least_s) or is_better:
            best, fewest, least_s = rests, missing, overdue_s
    return best, fewest
