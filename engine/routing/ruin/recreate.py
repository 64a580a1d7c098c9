"""Where a job costs least in a plan: the legs of the routes near it, each checked in constant time."""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import search_rule as rule
from engine.routing.ruin.drive import begin_at, drive, drive_by, drive_on, has_single_windows, trial_cost
from engine.routing.ruin.terrain import (
    ABOARD,
    AT,
    DELIVERY,
    DEPARTS,
    DRIVEN,
    ENDLESS,
    FIRST,
    GROUP,
    KIND,
    LATEST,
    LEAVES_BY,
    LOAD,
    LONGEST_M,
    LONGEST_S,
    MOST_STOPS,
    NODE,
    OPENS,
    PAIR,
    PER_METRE,
    PER_SECOND,
    PLACE,
    PROFILE,
    RATE,
    ROOM,
    SECOND,
    SERVICE,
    SIZE,
    STAMP,
    TIMED,
    TOKEN,
    USE,
    WINDOWS,
    WORKED,
    Plan,
    Short,
    Terrain,
    Whole,
    Work,
)

__all__ = ["chance", "find_place", "insert", "shorten"]

_LOOKED_AT = 60  # jobs near a job, whose routes are looked at
_BLINK = 0.01  # share of places that are overlooked, so that the same order does not give the same plan


@rule
def chance(random: NDArray[np.uint64]) -> float:
    """Return the next number from 0 to 1 (xorshift64*, Vigna 2016)."""
    state = random[0]
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    random[0] = state
    return float((state * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(11)) / 9007199254740992.0


@rule
def find_place(terrain: Terrain, plan: Plan, job: int, work: Work, below: float, everywhere: bool) -> int:
    """Return the vehicle in which a job costs least, -1 if none can take it or it is dearer than leaving it out.

    A single stop is tried beside those that it goes best with, a pair in the routes that serve a job near it, and both
    in an empty vehicle of each group; in all routes if none of these will do, or `everywhere` is set. The legs of its
    stops are put into `work.counts`. Places that cost `below` or more do not count.
    """
    least, best = min(below, terrain.price[job]), -1
    is_bound = least < terrain.price[job]
    work.counts[TOKEN] += 1
    token, near = work.counts[TOKEN], 0
    if not everywhere:
        if terrain.jobs[job, KIND] == PAIR:
            near = min(_LOOKED_AT, terrain.near.shape[1])
        else:
            least, best = _beside(terrain, plan, job, least, work)
    for turn in range(3):  # the routes near it, an empty vehicle of each group, all others
        if turn == 1 and not everywhere and terrain.alone[job] >= least:
            if best >= 0 or is_bound:
                break
            continue
        work.seen[:] = False
        for place in range(near if turn == 0 else len(terrain.vans)):
            vehicle = plan.where[terrain.near[job, place]] if turn == 0 else place
            if vehicle < 0 or work.vans[STAMP, vehicle] == token:
                continue
            group = terrain.vans[vehicle, GROUP]
            if plan.routes[SIZE, vehicle] == 0:
                if work.seen[group]:  # one is as good as the next
                    continue
                work.seen[group] = True
            elif turn == 1:
                continue
            work.vans[STAMP, vehicle] = token
            added = _try(terrain, plan, vehicle, job, least, work)
            if added < least:
                least, best = added, vehicle
        if turn == 1 and (best >= 0 or is_bound) and not everywhere:
            break
    return best


@rule
def _beside(terrain: Terrain, plan: Plan, job: int, least: float, work: Work) -> tuple[float, int]:
    """Return the least cost of a single stop beside those that it is best put beside, and the vehicle; -1 if none."""
    best, token = -1, work.counts[TOKEN]
    points, legs, where, spot, routes = plan.points, plan.legs, plan.where, plan.spot, plan.routes
    nodes, jobs, beside, vans, ways, arc = (
        terrain.nodes,
        terrain.jobs,
        terrain.beside,
        terrain.vans,
        terrain.ways,
        terrain.arc,
    )
    reach = terrain.reach
    stamp, counts, random, may, scratch = work.stamp, work.counts, plan.random, terrain.may, work.scratch
    most = 1 if jobs[job, KIND] == DELIVERY else 2
    node = 2 * job + 1 if most == 1 else 2 * job
    place, service = nodes[node, PLACE], nodes[node, SERVICE]
    count = beside.shape[1]
    for turn in range(count):
        other = beside[job, turn]
        if other < 0:
            continue
        vehicle, leg = where[other // 2], spot[other]
        if vehicle < 0:
            continue
        if turn < count // 2:
            stamp[other] = token
            if reach[job, turn] - legs[vehicle, leg] >= least:
                continue
        else:
            leg -= 1
            if reach[job, turn] - legs[vehicle, leg] >= least:
                continue
            if leg > 0 and stamp[points[vehicle, leg, NODE]] == token:
                continue
        here, there, rate = points[vehicle, leg, AT], points[vehicle, leg + 1, AT], vans[vehicle, RATE]
        added = arc[rate, here, place] + arc[rate, place, there] - legs[vehicle, leg]
        if added >= least:
            continue
        way = vans[vehicle, PROFILE]
        begins = begin_at(nodes, node, points[vehicle, leg, DEPARTS] + ways[way, here, place])
        if begins < 0 or begins + service + ways[way, place, there] > points[vehicle, leg + 1, LATEST]:
            continue
        if not may[vans[vehicle, GROUP], job] or not _fits(jobs, vans, points, vehicle, job, leg, most):
            continue
        if routes[SIZE, vehicle] + 1 > min(vans[vehicle, MOST_STOPS], points.shape[1] - 2):
            continue
        if vans[vehicle, TIMED] or vans[vehicle, LONGEST_M] < ENDLESS:
            added = _single_cost(terrain, plan, vehicle, job, leg, added, scratch)
        if added < least and chance(random) >= _BLINK:
            least, best = added, vehicle
            counts[FIRST] = counts[SECOND] = leg
    return least, best


@rule
def _try(terrain: Terrain, plan: Plan, vehicle: int, job: int, least: float, work: Work) -> float:
    """Return what a job costs in a route, at its best place; `inf` unless that is below `least`."""
    stops = 2 if terrain.jobs[job, KIND] == PAIR else 1
    if not terrain.may[terrain.vans[vehicle, GROUP], job]:
        return np.inf
    if plan.routes[SIZE, vehicle] + stops > min(terrain.vans[vehicle, MOST_STOPS], plan.points.shape[1] - 2):
        return np.inf
    if stops == 2:
        return float(_pair(terrain, plan, vehicle, job, least, work))
    return float(_single(terrain, plan, vehicle, job, least, work))


@rule
def insert(terrain: Terrain, plan: Plan, vehicle: int, job: int, first: int, second: int) -> None:
    """Put a job into one leg of a route, or its pickup into one and its delivery into another."""
    size, points = plan.routes[SIZE, vehicle], plan.points[vehicle]
    is_pair = terrain.jobs[job, KIND] == PAIR
    if size > 0 and not is_pair:
        _squeeze_in(terrain, plan, vehicle, job, first + 1)
        return
    for index in range(size, 0, -1):
        shift = (1 if index > first else 0) + (1 if is_pair and index > second else 0)
        points[index + shift, NODE] = points[index, NODE]
    points[first + 1, NODE] = 2 * job if terrain.jobs[job, KIND] != DELIVERY else 2 * job + 1
    if is_pair:
        points[second + 2, NODE] = 2 * job + 1
    plan.routes[SIZE, vehicle] += 2 if is_pair else 1
    plan.where[job] = vehicle
    drive(terrain, plan, vehicle)


@rule
def _squeeze_in(terrain: Terrain, plan: Plan, vehicle: int, job: int, new: int) -> None:
    """Put a single stop at a point of a route that has some already; what is behind it moves on."""
    size, points, legs = plan.routes[SIZE, vehicle], plan.points[vehicle], plan.legs[vehicle]
    row, columns = plan.rows[vehicle], points.shape[1]
    for index in range((size + 2) * columns - 1, new * columns - 1, -1):
        row[index + columns] = row[index]
    for index in range(size + 1, new - 1, -1):
        legs[index] = legs[index - 1]
    for index in range(new + 1, size + 2):
        plan.spot[points[index, NODE]] = index
    node = 2 * job if terrain.jobs[job, KIND] != DELIVERY else 2 * job + 1
    points[new, NODE] = node
    plan.spot[node], plan.where[job] = new, vehicle
    plan.routes[SIZE, vehicle] = size + 1
    drive_by(terrain, plan, vehicle, job, new)


@rule
def shorten(plan: Plan, vehicle: int, gone: NDArray[np.bool_]) -> None:
    """Take marked jobs out of a route; it has to be worked out again."""
    points, count = plan.points[vehicle], 0
    for index in range(1, plan.routes[SIZE, vehicle] + 1):
        if not gone[points[index, NODE] // 2]:
            count += 1
            points[count, NODE] = points[index, NODE]
    plan.routes[SIZE, vehicle] = count


@rule
def _trial(terrain: Terrain, plan: Plan, vehicle: int, job: int, first: int, second: int, order: Short) -> float:
    """Return what a job adds in these legs, the route driven in full."""
    size, points, count = plan.routes[SIZE, vehicle], plan.points[vehicle], 0
    is_pair = terrain.jobs[job, KIND] == PAIR
    for index in range(size + 1):
        if index > 0:
            order[count] = points[index, NODE]
            count += 1
        if index == first:
            order[count] = 2 * job if terrain.jobs[job, KIND] != DELIVERY else 2 * job + 1
            count += 1
        if is_pair and index == second:
            order[count] = 2 * job + 1
            count += 1
    return float(trial_cost(terrain, vehicle, order, count) - plan.cost[vehicle])


@rule
def _single(terrain: Terrain, plan: Plan, vehicle: int, job: int, least: float, work: Work) -> float:
    """Return the least cost of a single stop in a route; `inf` unless it is below `least`."""
    size, points, legs = plan.routes[SIZE, vehicle], plan.points[vehicle], plan.legs[vehicle]
    nodes, vans = terrain.nodes, terrain.vans[vehicle]
    way_s, arc = terrain.ways[vans[PROFILE]], terrain.arc[vans[RATE]]
    node = 2 * job + 1 if terrain.jobs[job, KIND] == DELIVERY else 2 * job
    place, service, found = nodes[node, PLACE], nodes[node, SERVICE], -1
    windows = nodes[node, WINDOWS]
    closes = nodes[node, OPENS + 2 * windows - 1] if windows > 0 else ENDLESS
    use = terrain.prices[vehicle, USE] if size == 0 else 0.0
    most = 1 if terrain.jobs[job, KIND] == DELIVERY else 2
    for index in range(size + 1):
        departs = points[index, DEPARTS]
        if departs > closes:
            break
        here, there = points[index, AT], points[index + 1, AT]
        added = use + arc[here, place] + arc[place, there]
        if size > 0:
            added -= legs[index]
        if added >= least:
            continue
        begins = begin_at(nodes, node, departs + way_s[here, place])
        if begins < 0 or begins + service + way_s[place, there] > points[index + 1, LATEST]:
            continue
        if not _fits(terrain.jobs, terrain.vans, plan.points, vehicle, job, index, most):
            continue
        if vans[TIMED] or vans[LONGEST_M] < ENDLESS:
            added = _single_cost(terrain, plan, vehicle, job, index, added, work.scratch)
        if added < least and chance(plan.random) >= _BLINK:
            least, found = added, index
    if found < 0:
        return np.inf
    work.counts[FIRST] = work.counts[SECOND] = found
    return least


@rule
def _single_cost(terrain: Terrain, plan: Plan, vehicle: int, job: int, leg: int, added: float, scratch: Short) -> float:
    """Return what a single stop adds in a leg, so much by the ways alone; `inf` if that breaks a limit of the van."""
    nodes, vans, points = terrain.nodes, terrain.vans[vehicle], plan.points[vehicle]
    node = 2 * job + 1 if terrain.jobs[job, KIND] == DELIVERY else 2 * job
    here, place, there = points[leg, AT], nodes[node, PLACE], points[leg + 1, AT]
    driven = plan.routes[DRIVEN, vehicle] + _metres_by(terrain, vehicle, here, place, there)
    if driven > vans[LONGEST_M]:
        return np.inf
    if not vans[TIMED]:
        return added
    if not has_single_windows(nodes):
        return float(_trial(terrain, plan, vehicle, job, leg, leg, scratch))
    way = terrain.ways[vans[PROFILE], here, place]
    arrives, worked, leaves_by = points[leg, DEPARTS] + way, points[leg, WORKED] + way, points[leg, LEAVES_BY]
    departs, worked, leaves_by = _served(nodes, node, arrives, worked, leaves_by)
    lasts = drive_on(terrain, plan, vehicle, place, departs, worked, leaves_by, leg + 1)
    return float(_timed(terrain, plan, vehicle, driven, lasts))


@rule
def _served(nodes: Whole, node: int, arrives: int, worked: int, leaves_by: int) -> tuple[int, int, int]:
    """Return end of service, time at work and latest begin of a route, for who comes to a node in time."""
    if nodes[node, WINDOWS] > 0:
        leaves_by = min(leaves_by, nodes[node, OPENS + 1] - worked)
    return begin_at(nodes, node, arrives) + nodes[node, SERVICE], worked + nodes[node, SERVICE], leaves_by


@rule
def _metres_by(terrain: Terrain, vehicle: int, here: int, place: int, there: int) -> int:
    """Return how much longer the way from here to there is by a place."""
    way_m = terrain.ways[len(terrain.ways) // 2 + terrain.vans[vehicle, PROFILE]]
    return int(way_m[here, place] + way_m[place, there] - way_m[here, there])


@rule
def _timed(terrain: Terrain, plan: Plan, vehicle: int, driven: int, lasts: int) -> float:
    """Return what a route costs more than it does if it gets so long; `inf` if it must not."""
    if lasts > terrain.vans[vehicle, LONGEST_S]:
        return np.inf
    prices = terrain.prices[vehicle]
    return float(prices[USE] + prices[PER_METRE] * driven + prices[PER_SECOND] * lasts - plan.cost[vehicle])


@rule
def _fits(jobs: Whole, vans: Whole, points: Whole, vehicle: int, job: int, leg: int, most: int) -> bool:
    """Tell whether there is room for a job on a leg (`most` 0), or on all before it (1) or behind it (2) as well."""
    for dimension in range(jobs.shape[1] - LOAD):
        held = points[vehicle, leg, ABOARD + 3 * dimension + most]
        if held + jobs[job, LOAD + dimension] > vans[vehicle, ROOM + dimension]:
            return False
    return True


@rule
def _pair(terrain: Terrain, plan: Plan, vehicle: int, job: int, least: float, work: Work) -> float:
    """Return the least cost of a pair in a route; `inf` unless it is below `least`."""
    size, points, legs = plan.routes[SIZE, vehicle], plan.points[vehicle], plan.legs[vehicle]
    nodes, vans = terrain.nodes, terrain.vans[vehicle]
    way_s, arc = terrain.ways[vans[PROFILE]], terrain.arc[vans[RATE]]
    pickup, found = 2 * job, False
    source, sink, windows = nodes[pickup, PLACE], nodes[pickup + 1, PLACE], nodes[pickup, WINDOWS]
    closes = nodes[pickup, OPENS + 2 * windows - 1] if windows > 0 else ENDLESS
    use = terrain.prices[vehicle, USE] if size == 0 else 0.0
    is_single = has_single_windows(nodes)
    for first in range(size + 1):
        if points[first, DEPARTS] > closes:
            break
        here, there = points[first, AT], points[first + 1, AT]
        fetched = use + arc[here, source]
        if size > 0:
            fetched -= legs[first]
        if fetched + min(arc[source, there], arc[source, sink]) >= least or chance(plan.random) < _BLINK:
            continue
        way = way_s[here, source]
        if begin_at(nodes, pickup, points[first, DEPARTS] + way) < 0:
            continue
        departs, worked, leaves_by = points[first, DEPARTS] + way, points[first, WORKED] + way, points[first, LEAVES_BY]
        departs, worked, leaves_by = _served(nodes, pickup, departs, worked, leaves_by)
        driven = plan.routes[DRIVEN, vehicle] + _metres_by(terrain, vehicle, here, source, there)
        previous = source
        for second in range(first, size + 1):  # the delivery in this leg, which begins at the pickup if it is the first
            if not _fits(terrain.jobs, terrain.vans, plan.points, vehicle, job, second, 0):
                break
            following = points[second + 1, AT]
            added = fetched + arc[previous, sink] + arc[sink, following]
            if second > first:
                added += arc[source, there] - legs[second]
            if added < least:
                way = way_s[previous, sink]
                moment = begin_at(nodes, pickup + 1, departs + way)
                leaves = moment + nodes[pickup + 1, SERVICE] + way_s[sink, following]
                if moment >= 0 and leaves <= points[second + 1, LATEST]:
                    whole = driven + _metres_by(terrain, vehicle, previous, sink, following)
                    if whole > vans[LONGEST_M]:
                        added = np.inf
                    elif vans[TIMED] and is_single:
                        at_sink = _served(nodes, pickup + 1, departs + way, worked + way, leaves_by)
                        lasts = drive_on(terrain, plan, vehicle, sink, *at_sink, second + 1)
                        added = _timed(terrain, plan, vehicle, whole, lasts)
                    elif vans[TIMED]:
                        added = _trial(terrain, plan, vehicle, job, first, second, work.scratch)
                    if added < least:
                        least, found = added, True
                        work.counts[FIRST], work.counts[SECOND] = first, second
            way = way_s[previous, following]
            if second == size or departs + way > points[second + 1, LATEST]:
                break
            departs, worked, leaves_by = _served(
                nodes, points[second + 1, NODE], departs + way, worked + way, leaves_by
            )
            previous = following
    return least if found else np.inf
