"""Ruin and recreate with simulated annealing: strings of neighbouring routes are taken out and put back.

Long routes differ by more than a string. So now and then two of them exchange all that comes behind a leg of each.

Notes
-----
Christiaens and Vanden Berghe 2020: Slack induction by string removals for vehicle routing problems. Transportation
Science 54(2). The sizes below are theirs, but for exchanges, which they have none of.
"""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import search_rule as rule
from engine.routing.ruin.drive import drive
from engine.routing.ruin.recreate import chance, find_place, insert, shorten
from engine.routing.ruin.tails import exchange, find_exchange
from engine.routing.ruin.terrain import (
    ABSENT,
    COUNT,
    DELIVERY,
    DRIVEN,
    FIRST,
    IS_TOUCHED,
    KIND,
    MISSING,
    NODE,
    OLD_DRIVEN,
    OLD_SIZE,
    SECOND,
    SIZE,
    TAKEN,
    TOUCHED,
    TOUCHES,
    Plan,
    Terrain,
    Whole,
    Work,
)

__all__ = ["anneal", "complete"]

_REMOVED = 10  # nodes, on average
_STRING = 10  # longest string
_SPLIT = 0.5  # share of strings that keep some of their middle
_LONGER = 0.01  # chance that one node more of it is kept
_EXCHANGED = 0.3  # share of steps before which two routes may exchange what comes behind
_LESS = 1e-6

Costs = NDArray[np.float32]


@rule
def complete(terrain: Terrain, plan: Plan, work: Work) -> float:
    """Work every route out, give each job without a place the best there is; return the cost of all."""
    total = 0.0
    for vehicle in range(len(plan.cost)):
        drive(terrain, plan, vehicle)
    count = 0
    for job in range(len(plan.where)):
        if plan.where[job] < 0:
            work.jobs[TAKEN, count] = job
            count += 1
    _order(terrain, plan, work, count)
    for index in range(count):
        job = work.jobs[TAKEN, index]
        vehicle = find_place(terrain, plan, job, work, np.inf, True)
        if vehicle >= 0:
            insert(terrain, plan, vehicle, job, work.counts[FIRST], work.counts[SECOND])
    work.counts[ABSENT] = 0
    for job in range(len(plan.where)):
        if plan.where[job] < 0:
            work.jobs[MISSING, work.counts[ABSENT]] = job
            work.counts[ABSENT] += 1
            total += terrain.price[job]
    return float(total + plan.cost.sum())


@rule
def anneal(
    terrain: Terrain, plan: Plan, best: Plan, work: Work, costs: NDArray[np.float64], warmth: float, steps: int
) -> None:
    """Take so many steps from a plan; the routes of `best` are those of the best one seen.

    Parameters
    ----------
    costs
        Of the plan and of the best one, 2; changed in place.
    warmth
        Temperature: about how much dearer a plan may become in a step.
    """
    for _ in range(steps):
        if chance(plan.random) < _EXCHANGED:
            _exchange(terrain, plan, work, costs, -warmth * np.log(max(1e-300, chance(plan.random))))
            _note_best(plan, best, costs)
        work.counts[COUNT], work.counts[TOUCHES] = 0, 0
        most = -warmth * np.log(max(1e-300, chance(plan.random)))
        change = _step(terrain, plan, work, most)
        if change < most:
            costs[0] += change
            _note_missing(plan, work)
            _note_best(plan, best, costs)
        else:
            _take_back(plan, work)
        for index in range(work.counts[TOUCHES]):
            work.vans[IS_TOUCHED, work.vans[TOUCHED, index]] = False


@rule
def _exchange(terrain: Terrain, plan: Plan, work: Work, costs: NDArray[np.float64], most: float) -> None:
    """Let two routes exchange what comes behind a leg of each, if that costs less than `most`."""
    first, leg, second, beyond = find_exchange(terrain, plan, most)
    if first < 0:
        return
    work.counts[COUNT], work.counts[TOUCHES] = 0, 0
    _touch(plan, work, first)
    _touch(plan, work, second)
    change = -plan.cost[first] - plan.cost[second]
    is_sound = exchange(terrain, plan, work, first, leg, second, beyond)
    change += plan.cost[first] + plan.cost[second]
    if is_sound and change < most:
        costs[0] += change
    else:
        _take_back(plan, work)
    work.vans[IS_TOUCHED, first] = work.vans[IS_TOUCHED, second] = False


@rule
def _step(terrain: Terrain, plan: Plan, work: Work, most: float) -> float:
    """Take strings out and put their jobs back; return what that costs, `inf` if it can't be driven or not for `most`.

    A job that finds a place makes no plan cheaper, so one that is too dear before all have theirs is given up.
    """
    _ruin(terrain, plan, work)
    count, change, is_sound = work.counts[COUNT], 0.0, True
    for index in range(count):
        work.gone[work.jobs[TAKEN, index]] = True
        plan.where[work.jobs[TAKEN, index]] = -1
    for index in range(work.counts[TOUCHES]):
        vehicle = work.vans[TOUCHED, index]
        shorten(plan, vehicle, work.gone)
        is_sound = drive(terrain, plan, vehicle) and is_sound
        change += plan.cost[vehicle] - work.cost[vehicle]
    for index in range(count):
        work.gone[work.jobs[TAKEN, index]] = False
    for index in range(work.counts[ABSENT]):
        change -= terrain.price[work.jobs[MISSING, index]]
        work.jobs[TAKEN, count] = work.jobs[MISSING, index]
        count += 1
    work.counts[COUNT] = count
    if not is_sound:  # where ways round by another stop are shorter than straight ones
        return np.inf
    _order(terrain, plan, work, count)
    for index in range(count):
        job = work.jobs[TAKEN, index]
        vehicle = find_place(terrain, plan, job, work, most - change, False)
        if vehicle < 0:
            change += terrain.price[job]
            if change >= most:
                return np.inf
            continue
        _touch(plan, work, vehicle)
        change -= plan.cost[vehicle]
        insert(terrain, plan, vehicle, job, work.counts[FIRST], work.counts[SECOND])
        change += plan.cost[vehicle]
    return change


@rule
def _ruin(terrain: Terrain, plan: Plan, work: Work) -> None:
    """Choose a string of each of some neighbouring routes."""
    used, nodes = 0, 0
    for size in plan.routes[SIZE]:
        if size > 0:
            used += 1
            nodes += size
    if used == 0:
        return
    longest = min(float(_STRING), nodes / used)
    most = 4.0 * _REMOVED / (1.0 + longest) - 1.0
    strings = int(chance(plan.random) * most + 1.0)
    jobs = len(plan.where)
    seed = min(jobs - 1, int(chance(plan.random) * jobs))
    for place in range(-1, terrain.near.shape[1]):
        job = seed if place < 0 else terrain.near[seed, place]
        vehicle = plan.where[job]
        if vehicle < 0 or work.vans[IS_TOUCHED, vehicle]:
            continue
        _touch(plan, work, vehicle)
        length = int(chance(plan.random) * min(float(plan.routes[SIZE, vehicle]), longest) + 1.0)
        _take_string(terrain, plan, work, vehicle, job, length)
        if work.counts[TOUCHES] >= strings:
            break


@rule
def _take_string(terrain: Terrain, plan: Plan, work: Work, vehicle: int, job: int, length: int) -> None:
    """Take the jobs of a string around one of them out of a route, of a longer one all but some in its middle."""
    size, points = plan.routes[SIZE, vehicle], plan.points[vehicle]
    node = 2 * job if terrain.jobs[job, KIND] != DELIVERY else 2 * job + 1
    length, position, skipped = min(length, size), plan.spot[node] - 1, 0
    if length > 1 and length < size and chance(plan.random) < _SPLIT:
        skipped = 1
        while length + skipped < size and chance(plan.random) < _LONGER:
            skipped += 1
    whole = length + skipped
    lowest, highest = max(0, position - whole + 1), min(position, size - whole)
    first = lowest + int(chance(plan.random) * (highest - lowest + 1))
    gap = first + 1 + int(chance(plan.random) * (length - 1)) if skipped > 0 else size
    for index in range(first, first + whole):
        if gap <= index < gap + skipped:
            continue
        taken = points[index + 1, NODE] // 2
        if not work.gone[taken]:
            work.gone[taken] = True
            work.jobs[TAKEN, work.counts[COUNT]] = taken
            work.counts[COUNT] += 1


@rule
def _order(terrain: Terrain, plan: Plan, work: Work, count: int) -> None:
    """Put the jobs that want a place into an order drawn by chance: by one of the keys, or at random."""
    row = int(chance(plan.random) * (len(terrain.keys) + 1))
    for index in range(count):
        job = work.jobs[TAKEN, index]
        key = chance(plan.random) if row >= len(terrain.keys) else terrain.keys[row, job]
        place = index
        while place > 0 and work.keys[place - 1] > key:
            work.keys[place], work.jobs[TAKEN, place] = work.keys[place - 1], work.jobs[TAKEN, place - 1]
            place -= 1
        work.keys[place], work.jobs[TAKEN, place] = key, job


@rule
def _touch(plan: Plan, work: Work, vehicle: int) -> None:
    """Keep a route as it is before its first change in a step."""
    if work.vans[IS_TOUCHED, vehicle]:
        return
    work.vans[IS_TOUCHED, vehicle] = True
    work.vans[TOUCHED, work.counts[TOUCHES]] = vehicle
    work.counts[TOUCHES] += 1
    size = plan.routes[SIZE, vehicle]
    _copy_route(plan.rows, plan.legs, work.rows, work.legs, vehicle, size, plan.points.shape[2])
    work.vans[OLD_SIZE, vehicle], work.vans[OLD_DRIVEN, vehicle] = size, plan.routes[DRIVEN, vehicle]
    work.cost[vehicle] = plan.cost[vehicle]


@rule
def _take_back(plan: Plan, work: Work) -> None:
    """Make the routes what they were before the step."""
    for index in range(work.counts[COUNT]):
        plan.where[work.jobs[TAKEN, index]] = -1
    for index in range(work.counts[TOUCHES]):
        vehicle = work.vans[TOUCHED, index]
        size = work.vans[OLD_SIZE, vehicle]
        plan.routes[SIZE, vehicle] = size
        _copy_route(work.rows, work.legs, plan.rows, plan.legs, vehicle, size, plan.points.shape[2])
        plan.routes[DRIVEN, vehicle], plan.cost[vehicle] = work.vans[OLD_DRIVEN, vehicle], work.cost[vehicle]
        for index in range(1, size + 1):
            node = plan.points[vehicle, index, NODE]
            plan.where[node // 2], plan.spot[node] = vehicle, index


@rule
def _copy_route(
    rows: Whole, legs: Costs, to_rows: Whole, to_legs: Costs, vehicle: int, size: int, columns: int
) -> None:
    for index in range((size + 2) * columns):
        to_rows[vehicle, index] = rows[vehicle, index]
    for index in range(size + 1):
        to_legs[vehicle, index] = legs[vehicle, index]


@rule
def _note_missing(plan: Plan, work: Work) -> None:
    missing = 0
    for index in range(work.counts[COUNT]):
        if plan.where[work.jobs[TAKEN, index]] < 0:
            work.jobs[MISSING, missing] = work.jobs[TAKEN, index]
            missing += 1
    work.counts[ABSENT] = missing


@rule
def _note_best(plan: Plan, best: Plan, costs: NDArray[np.float64]) -> None:
    """Keep the routes of a plan that is the best so far."""
    if costs[0] >= costs[1] - _LESS:
        return
    costs[1] = costs[0]
    for job in range(len(plan.where)):
        best.where[job] = plan.where[job]
    for vehicle in range(len(plan.cost)):
        size = plan.routes[SIZE, vehicle]
        best.routes[SIZE, vehicle] = size
        for index in range(1, size + 1):
            best.points[vehicle, index, NODE] = plan.points[vehicle, index, NODE]
