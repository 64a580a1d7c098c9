"""Two routes that exchange all that comes behind a leg of each, which is more than strings carry over.

Notes
-----
Potvin and Rousseau 1995: An exchange heuristic for routing problems with time windows (2-opt*). JORS 46(12).
"""

import numpy as np

from engine.compiled import search_rule as rule
from engine.routing.ruin.drive import drive
from engine.routing.ruin.recreate import chance
from engine.routing.ruin.terrain import (
    ABOARD,
    AT,
    DELIVERY,
    DEPARTS,
    GROUP,
    KIND,
    LATEST,
    LOAD,
    MOST_STOPS,
    NODE,
    PAIR,
    PROFILE,
    RATE,
    ROOM,
    SIZE,
    USE,
    Plan,
    Terrain,
    Work,
)

__all__ = ["exchange", "find_exchange"]

_OVERLOOKED = 0.1  # share of exchanges that are overlooked, so that the best is not always the same


@rule
def find_exchange(terrain: Terrain, plan: Plan, most: float) -> tuple[int, int, int, int]:
    """Return a route, a leg of it, another route and its leg, behind which both exchange best; -1 if it costs `most`.

    The single stop of a job drawn by chance comes next to one that it is best put beside. Both vehicles are alike.
    """
    jobs = len(plan.where)
    job = min(jobs - 1, int(chance(plan.random) * jobs))
    first, kind = plan.where[job], terrain.jobs[job, KIND]
    found, least = (-1, -1, -1, -1), most
    if first < 0 or kind == PAIR:
        return found
    here = plan.spot[2 * job + 1 if kind == DELIVERY else 2 * job]
    count = terrain.beside.shape[1]
    for turn in range(count):
        other = terrain.beside[job, turn]
        if other < 0:
            continue
        second = plan.where[other // 2]
        if second < 0 or second == first or terrain.vans[first, GROUP] != terrain.vans[second, GROUP]:
            continue
        leg, beyond = here - 1, plan.spot[other]
        if turn >= count // 2:  # the job comes before it
            leg, beyond = here, beyond - 1
        if terrain.reach[job, turn] - plan.legs[first, leg] - plan.legs[second, beyond] >= least:
            continue
        change = _change(terrain, plan, first, leg, second, beyond)
        if change >= least or chance(plan.random) < _OVERLOOKED:
            continue
        if _fits(terrain, plan, first, leg, second, beyond) and _fits(terrain, plan, second, beyond, first, leg):
            found, least = (first, leg, second, beyond), change
    return found


@rule
def _change(terrain: Terrain, plan: Plan, first: int, leg: int, second: int, beyond: int) -> float:
    """Return what an exchange costs by the ways; `inf` if somebody would be late."""
    one, two = plan.points[first], plan.points[second]
    arc, way_s = terrain.arc[terrain.vans[first, RATE]], terrain.ways[terrain.vans[first, PROFILE]]
    before, behind = one[leg, AT], one[leg + 1, AT]
    there, next_there = two[beyond, AT], two[beyond + 1, AT]
    change = arc[before, next_there] + arc[there, behind] - plan.legs[first, leg] - plan.legs[second, beyond]
    if one[leg, DEPARTS] + way_s[before, next_there] > two[beyond + 1, LATEST]:
        return np.inf
    if two[beyond, DEPARTS] + way_s[there, behind] > one[leg + 1, LATEST]:
        return np.inf
    if leg + plan.routes[SIZE, second] == beyond:
        change -= terrain.prices[first, USE]
    if beyond + plan.routes[SIZE, first] == leg:
        change -= terrain.prices[second, USE]
    return float(change)


@rule
def _fits(terrain: Terrain, plan: Plan, head: int, leg: int, tail: int, beyond: int) -> bool:
    """Tell whether one vehicle may go on behind a leg as another does behind one of its; pairs are not torn apart."""
    size, last = leg + plan.routes[SIZE, tail] - beyond, plan.routes[SIZE, tail]
    if size > min(terrain.vans[head, MOST_STOPS], plan.points.shape[1] - 2):
        return False
    for index in range(1, leg + 1):
        if terrain.jobs[plan.points[head, index, NODE] // 2, KIND] == PAIR:
            return False
    for index in range(beyond + 1, last + 1):
        if terrain.jobs[plan.points[tail, index, NODE] // 2, KIND] == PAIR:
            return False
    for dimension in range(terrain.jobs.shape[1] - LOAD):
        if not _has_room(terrain, plan, head, leg, tail, beyond, dimension):
            return False
    return True


@rule
def _has_room(terrain: Terrain, plan: Plan, head: int, leg: int, tail: int, beyond: int, dimension: int) -> bool:
    """Tell whether it can carry that, in one dimension."""
    jobs, one, two = terrain.jobs, plan.points[head], plan.points[tail]
    load, aboard, room = LOAD + dimension, ABOARD + 3 * dimension, terrain.vans[head, ROOM + dimension]
    held = 0  # at first all that is brought
    for index in range(1, leg + 1):
        job = one[index, NODE] // 2
        held += jobs[job, load] if jobs[job, KIND] == DELIVERY else 0
    for index in range(beyond + 1, plan.routes[SIZE, tail] + 1):
        job = two[index, NODE] // 2
        held += jobs[job, load] if jobs[job, KIND] == DELIVERY else 0
    if held > room:
        return False
    for index in range(1, leg + 1):
        job = one[index, NODE] // 2
        held += -jobs[job, load] if jobs[job, KIND] == DELIVERY else jobs[job, load]
        if held > room:
            return False
    return bool(held + two[beyond, aboard + 2] - two[beyond, aboard] <= room)


@rule
def exchange(terrain: Terrain, plan: Plan, work: Work, first: int, leg: int, second: int, beyond: int) -> bool:
    """Exchange what comes behind two legs, of routes that `work` holds as they are; return whether they keep times."""
    one, two = work.points[first], work.points[second]
    size, other = plan.routes[SIZE, first], plan.routes[SIZE, second]
    for index in range(beyond + 1, other + 1):
        node = two[index, NODE]
        plan.points[first, leg + index - beyond, NODE] = node
        plan.where[node // 2] = first
    for index in range(leg + 1, size + 1):
        node = one[index, NODE]
        plan.points[second, beyond + index - leg, NODE] = node
        plan.where[node // 2] = second
    plan.routes[SIZE, first] = leg + other - beyond
    plan.routes[SIZE, second] = beyond + size - leg
    is_sound = drive(terrain, plan, first)
    in_time: bool = drive(terrain, plan, second)
    return in_time and is_sound
