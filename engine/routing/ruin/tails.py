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

_WHOLE = 0.5  # share of what an idle vehicle is offered that is a whole route
_OVERLOOKED = 0.1  # share of exchanges that are overlooked, so that the best is not always the same


@rule
def find_exchange(terrain: Terrain, plan: Plan, most: float) -> tuple[int, int, int, int]:
    """Return a route, a leg of it, another route and its leg, behind which both exchange best; -1 if it costs `most`.

    The single stop of a job drawn by chance comes next to one that it is best put beside. Both vehicles go at the same
    speed and price; where they differ otherwise, as by their depots, one that is not in use may take what is behind,
    or all.
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
        if second < 0 or second == first or not _is_driven_alike(terrain, first, second):
            continue
        leg, beyond = here - 1, plan.spot[other]
        if turn >= count // 2:  # the job comes before it
            leg, beyond = here, beyond - 1
        is_alike = terrain.vans[first, GROUP] == terrain.vans[second, GROUP]
        if is_alike and terrain.reach[job, turn] - plan.legs[first, leg] - plan.legs[second, beyond] >= least:
            continue
        change = _change(terrain, plan, first, leg, second, beyond)
        if change >= least or chance(plan.random) < _OVERLOOKED:
            continue
        if _fits(terrain, plan, first, leg, second, beyond) and _fits(terrain, plan, second, beyond, first, leg):
            found, least = (first, leg, second, beyond), change
    if len(terrain.may) > 1:
        second = min(len(terrain.vans) - 1, int(chance(plan.random) * len(terrain.vans)))
        leg = 0 if chance(plan.random) < _WHOLE else here - 1
        is_other = terrain.vans[first, GROUP] != terrain.vans[second, GROUP]
        if is_other and plan.routes[SIZE, second] == 0 and _is_driven_alike(terrain, first, second):
            change = _change(terrain, plan, first, leg, second, 0)
            if change < least and _fits(terrain, plan, second, 0, first, leg):
                found = (first, leg, second, 0)
    return found


@rule
def _is_driven_alike(terrain: Terrain, first: int, second: int) -> bool:
    """Tell whether ways take and cost two vehicles the same."""
    one, two = terrain.vans[first], terrain.vans[second]
    return bool(one[RATE] == two[RATE] and one[PROFILE] == two[PROFILE])


@rule
def _change(terrain: Terrain, plan: Plan, first: int, leg: int, second: int, beyond: int) -> float:
    """Return what an exchange costs by the ways and by vehicles in use; `inf` if somebody would be late."""
    one, two = plan.points[first], plan.points[second]
    size, other = plan.routes[SIZE, first], plan.routes[SIZE, second]
    arc, way_s = terrain.arc[terrain.vans[first, RATE]], terrain.ways[terrain.vans[first, PROFILE]]
    change = -plan.legs[first, leg]
    if other > 0:
        change -= plan.legs[second, beyond]
    else:
        change += terrain.prices[second, USE]
    if leg + other > beyond:  # else the first has no stop any more
        index = beyond + 1
        there = two[index, AT] if beyond < other else one[size + 1, AT]
        latest = two[index, LATEST] if beyond < other else one[size + 1, LATEST]
        change += arc[one[leg, AT], there]
        if one[leg, DEPARTS] + way_s[one[leg, AT], there] > latest:
            return np.inf
    else:
        change -= terrain.prices[first, USE]
    if beyond + size > leg:
        there = one[leg + 1, AT] if leg < size else two[other + 1, AT]
        latest = one[leg + 1, LATEST] if leg < size else two[other + 1, LATEST]
        change += arc[two[beyond, AT], there]
        if two[beyond, DEPARTS] + way_s[two[beyond, AT], there] > latest:
            return np.inf
    else:
        change -= terrain.prices[second, USE]
    return float(change + _ends(terrain, plan, first, leg, second, beyond))


@rule
def _ends(terrain: Terrain, plan: Plan, first: int, leg: int, second: int, beyond: int) -> float:
    """Return what it costs that what is behind both legs ends where the other vehicle does."""
    size, other = plan.routes[SIZE, first], plan.routes[SIZE, second]
    one, two = plan.points[first, size + 1, AT], plan.points[second, other + 1, AT]
    if one == two:
        return 0.0
    arc, change = terrain.arc[terrain.vans[first, RATE]], 0.0
    if beyond < other:
        last = plan.points[second, other, AT]
        change += arc[last, one] - arc[last, two]
    if leg < size:
        last = plan.points[first, size, AT]
        change += arc[last, two] - arc[last, one]
    return float(change)


@rule
def _fits(terrain: Terrain, plan: Plan, head: int, leg: int, tail: int, beyond: int) -> bool:
    """Tell whether one vehicle may go on behind a leg as another does behind one of its; pairs are not torn apart."""
    size, last = leg + plan.routes[SIZE, tail] - beyond, plan.routes[SIZE, tail]
    group = terrain.vans[head, GROUP]
    if size > min(terrain.vans[head, MOST_STOPS], plan.points.shape[1] - 2):
        return False
    for index in range(1, leg + 1):
        if terrain.jobs[plan.points[head, index, NODE] // 2, KIND] == PAIR:
            return False
    for index in range(beyond + 1, last + 1):
        job = plan.points[tail, index, NODE] // 2
        if terrain.jobs[job, KIND] == PAIR or not terrain.may[group, job]:
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
