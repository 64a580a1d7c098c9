"""What follows from an order of stops: times, loads and cost of one route, for checks of a change in constant time.

Notes
-----
Latest arrivals are those of Savelsbergh 1992 (forward time slack): whoever comes no later makes nothing behind late.
"""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import search_rule as rule
from engine.routing.ruin.terrain import (
    ABOARD,
    AT,
    BACK,
    DELIVERY,
    DEPARTS,
    DRIVEN,
    END,
    ENDLESS,
    ENDS,
    KIND,
    LATEST,
    LEAVES,
    LEAVES_BY,
    LOAD,
    LONGEST_M,
    LONGEST_S,
    NODE,
    OPENS,
    PER_METRE,
    PER_SECOND,
    PLACE,
    PROFILE,
    RATE,
    REST,
    SERVICE,
    SIZE,
    START,
    TIMED,
    USE,
    WINDOWS,
    WORKED,
    Plan,
    Terrain,
    Whole,
)

__all__ = ["begin_at", "drive", "drive_by", "drive_on", "has_single_windows", "trial_cost"]

_NEVER = -(2**60)


@rule
def begin_at(nodes: Whole, node: int, moment: int) -> int:
    """Return when service begins for who comes at `moment`; -1 if that is too late."""
    count = nodes[node, WINDOWS]
    if count == 0:
        return moment
    for window in range(count):
        if moment <= nodes[node, OPENS + 2 * window + 1]:
            return int(max(moment, nodes[node, OPENS + 2 * window]))
    return -1


@rule
def _latest_for(nodes: Whole, node: int, moment: int) -> int:
    """Return the latest arrival with which service begins no later than `moment`."""
    count = nodes[node, WINDOWS]
    if count == 0:
        return moment
    for window in range(count - 1, -1, -1):
        if moment >= nodes[node, OPENS + 2 * window]:
            return int(min(moment, nodes[node, OPENS + 2 * window + 1]))
    return _NEVER


@rule
def drive(terrain: Terrain, plan: Plan, vehicle: int) -> bool:
    """Work out one route; return whether it keeps times, and the limits of way and duration."""
    size, points, legs = plan.routes[SIZE, vehicle], plan.points[vehicle], plan.legs[vehicle]
    nodes, vans, way_s, way_m, arc = _ways(terrain, vehicle)
    points[0, AT], points[size + 1, AT] = vans[START], vans[END]
    for index in range(1, size + 1):
        points[index, AT] = nodes[points[index, NODE], PLACE]
        plan.spot[points[index, NODE]] = index
    moment, driven, in_time = vans[LEAVES], 0, True
    points[0, DEPARTS] = moment
    for index in range(size + 1):
        here, there = points[index, AT], points[index + 1, AT]
        legs[index] = arc[here, there]
        driven += way_m[here, there]
        moment += way_s[here, there]
        if index < size:
            node = points[index + 1, NODE]
            begins = begin_at(nodes, node, moment)
            if begins < 0:
                in_time, begins = False, moment
            moment = begins + nodes[node, SERVICE]
            points[index + 1, DEPARTS] = moment
    in_time = in_time and moment <= vans[BACK] and driven <= vans[LONGEST_M]
    plan.routes[DRIVEN, vehicle] = driven
    points[size + 1, LATEST] = vans[BACK]
    for index in range(size, 0, -1):
        node = points[index, NODE]
        reached = points[index + 1, LATEST] - way_s[points[index, AT], points[index + 1, AT]] - nodes[node, SERVICE]
        points[index, LATEST] = _latest_for(nodes, node, reached)
    _load(terrain.jobs, points, size)
    prices = terrain.prices[vehicle]
    cost = prices[USE] + prices[PER_METRE] * driven if size > 0 else 0.0
    if vans[TIMED]:
        _clock(terrain, points, size, way_s)
    if vans[TIMED] and size > 0:
        lasts = _duration(terrain, plan, vehicle, moment)
        cost += prices[PER_SECOND] * lasts
        in_time = in_time and lasts <= vans[LONGEST_S]
    plan.cost[vehicle] = cost
    return in_time


@rule
def _clock(terrain: Terrain, points: Whole, size: int, way_s: Whole) -> None:
    """Work out from what the duration of a route with one more stop follows, if no stop has several windows."""
    nodes, worked, leaves_by = terrain.nodes, 0, ENDLESS
    if not has_single_windows(nodes):
        return
    points[0, WORKED], points[0, LEAVES_BY] = worked, leaves_by
    for index in range(1, size + 1):
        node = points[index, NODE]
        worked += way_s[points[index - 1, AT], points[index, AT]]
        if nodes[node, WINDOWS] > 0:
            leaves_by = min(leaves_by, nodes[node, OPENS + 1] - worked)
        worked += nodes[node, SERVICE]
        points[index, WORKED], points[index, LEAVES_BY] = worked, leaves_by
    rest, ends = 0, _NEVER
    points[size + 1, REST], points[size + 1, ENDS] = rest, ends
    for index in range(size, 0, -1):
        node = points[index, NODE]
        rest += nodes[node, SERVICE] + way_s[points[index, AT], points[index + 1, AT]]
        if nodes[node, WINDOWS] > 0:
            ends = max(ends, nodes[node, OPENS] + rest)
        points[index, REST], points[index, ENDS] = rest, ends


@rule
def _duration(terrain: Terrain, plan: Plan, vehicle: int, ends: int) -> int:
    """Return how long a route takes that ends as early as it can and begins as late as it may for that."""
    size, points = plan.routes[SIZE, vehicle], plan.points[vehicle]
    nodes, vans, way_s, _, _ = _ways(terrain, vehicle)
    reached, there = ends, points[size + 1, AT]
    if has_single_windows(nodes):
        worked = points[size, WORKED] + way_s[points[size, AT], there]
        return int(max(worked, ends - points[size, LEAVES_BY]))
    for index in range(size, 0, -1):
        node = points[index, NODE]
        reached = _latest_for(nodes, node, reached - way_s[points[index, AT], there] - nodes[node, SERVICE])
        there = points[index, AT]
    return int(ends - max(vans[LEAVES], reached - way_s[points[0, AT], there]))


@rule
def has_single_windows(nodes: Whole) -> bool:
    """Tell whether no stop has more than one window."""
    return nodes.shape[1] <= OPENS + 2


@rule
def drive_on(
    terrain: Terrain, plan: Plan, vehicle: int, place: int, departs: int, worked: int, leaves_by: int, behind: int
) -> int:
    """Return how long a route takes that comes from a place to a point of its own and goes on from there as it does.

    Parameters
    ----------
    departs, worked, leaves_by
        At the place: end of service, and as in columns of points.

    Notes
    -----
    Concatenation in constant time as in Vidal, Crainic, Gendreau and Prins 2013: A hybrid genetic algorithm with
    adaptive diversity management for a large class of vehicle routing problems with time-windows. C&OR 40(1).
    """
    points = plan.points[vehicle]
    way = terrain.ways[terrain.vans[vehicle, PROFILE], place, points[behind, AT]]
    rest = way + points[behind, REST]
    ends = max(points[behind, ENDS], departs + rest)
    return int(max(worked + rest, ends - min(leaves_by, points[behind, LATEST] - worked - way)))


@rule
def drive_by(terrain: Terrain, plan: Plan, vehicle: int, job: int, new: int) -> None:
    """Work one route out again, which has the single stop of a job at one point more."""
    size, points, legs = plan.routes[SIZE, vehicle], plan.points[vehicle], plan.legs[vehicle]
    nodes, vans, way_s, way_m, arc = _ways(terrain, vehicle)
    before, here, behind = points[new - 1, AT], nodes[points[new, NODE], PLACE], points[new + 1, AT]
    points[new, AT] = here
    legs[new - 1], legs[new] = arc[before, here], arc[here, behind]
    plan.routes[DRIVEN, vehicle] += way_m[before, here] + way_m[here, behind] - way_m[before, behind]
    plan.cost[vehicle] = (
        terrain.prices[vehicle, USE] + terrain.prices[vehicle, PER_METRE] * plan.routes[DRIVEN, vehicle]
    )
    moment = points[new - 1, DEPARTS]
    for index in range(new, size + 1):
        node = points[index, NODE]
        moment += way_s[points[index - 1, AT], points[index, AT]]
        begins = begin_at(nodes, node, moment)
        moment = (moment if begins < 0 else begins) + nodes[node, SERVICE]
        if index > new and moment == points[index, DEPARTS]:
            break
        points[index, DEPARTS] = moment
    for index in range(new, 0, -1):
        node = points[index, NODE]
        reached = points[index + 1, LATEST] - way_s[points[index, AT], points[index + 1, AT]] - nodes[node, SERVICE]
        latest = _latest_for(nodes, node, reached)
        if index < new and latest == points[index, LATEST]:
            break
        points[index, LATEST] = latest
    is_brought = terrain.jobs[job, KIND] == DELIVERY
    for dimension in range(terrain.jobs.shape[1] - LOAD):
        aboard, amount = ABOARD + 3 * dimension, terrain.jobs[job, LOAD + dimension]
        points[new, aboard] = points[new - 1, aboard]
        for index in range(0 if is_brought else new, new if is_brought else size + 1):
            points[index, aboard] += amount
        _peaks(points, aboard, size)
    if vans[TIMED]:
        _clock(terrain, points, size, way_s)
        ends = points[size, DEPARTS] + way_s[points[size, AT], points[size + 1, AT]]
        plan.cost[vehicle] += terrain.prices[vehicle, PER_SECOND] * _duration(terrain, plan, vehicle, ends)


@rule
def trial_cost(terrain: Terrain, vehicle: int, order: NDArray[np.int32], size: int) -> float:
    """Return the cost of an order of stops, its duration counted; `inf` if it is late or takes too long."""
    nodes, vans, way_s, way_m, _ = _ways(terrain, vehicle)
    moment, driven, here = vans[LEAVES], 0, vans[START]
    for index in range(size):
        there = nodes[order[index], PLACE]
        moment += way_s[here, there]
        driven += way_m[here, there]
        moment = begin_at(nodes, order[index], moment)
        if moment < 0:
            return np.inf
        moment += nodes[order[index], SERVICE]
        here = there
    moment += way_s[here, vans[END]]
    driven += way_m[here, vans[END]]
    reached, there = moment, vans[END]
    for index in range(size - 1, -1, -1):
        here = nodes[order[index], PLACE]
        reached = _latest_for(nodes, order[index], reached - way_s[here, there] - nodes[order[index], SERVICE])
        there = here
    lasts = moment - max(vans[LEAVES], reached - way_s[vans[START], there])
    if moment > vans[BACK] or lasts > vans[LONGEST_S] or driven > vans[LONGEST_M]:
        return np.inf
    prices = terrain.prices[vehicle]
    return float(prices[USE] + prices[PER_METRE] * driven + prices[PER_SECOND] * lasts)


@rule
def _ways(terrain: Terrain, vehicle: int) -> tuple[Whole, Whole, Whole, Whole, Whole]:
    """Return what is looked up all the time: nodes, the vehicle, its times, ways and costs of ways."""
    vans = terrain.vans[vehicle]
    profile, profiles = vans[PROFILE], len(terrain.ways) // 2
    return terrain.nodes, vans, terrain.ways[profile], terrain.ways[profiles + profile], terrain.arc[vans[RATE]]


@rule
def _load(jobs: Whole, points: Whole, size: int) -> None:
    """Work out what is on board on every leg."""
    for dimension in range(jobs.shape[1] - LOAD):
        aboard, held = ABOARD + 3 * dimension, 0
        for index in range(1, size + 1):
            job = points[index, NODE] // 2
            if jobs[job, KIND] == DELIVERY:
                held += jobs[job, LOAD + dimension]
        points[0, aboard] = held
        for index in range(1, size + 1):
            amount = jobs[points[index, NODE] // 2, LOAD + dimension]
            held += amount if points[index, NODE] % 2 == 0 else -amount
            points[index, aboard] = held
        _peaks(points, aboard, size)


@rule
def _peaks(points: Whole, aboard: int, size: int) -> None:
    """Work out the most that is on board in one dimension up to each leg, and from it on."""
    most = points[0, aboard]
    for index in range(size + 1):
        most = max(most, points[index, aboard])
        points[index, aboard + 1] = most
    most = points[size, aboard]
    for index in range(size, -1, -1):
        most = max(most, points[index, aboard])
        points[index, aboard + 2] = most
