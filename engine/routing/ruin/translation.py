"""A problem in the terms of ruin and recreate, and plans there and back."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from engine.routing.embedding import embed
from engine.routing.kinds import kinds
from engine.routing.problem import Problem, Stop, Visit
from engine.routing.ruin.terrain import (
    COLLECTION,
    DELIVERY,
    END,
    ENDLESS,
    NODE,
    OPENS,
    PAIR,
    PLACE,
    RATE,
    SERVICE,
    SIZE,
    START,
    WINDOWS,
    Plan,
    Terrain,
)
from engine.routing.search import Routes, dearest

__all__ = ["lacks", "read_routes", "terrain_of", "visits_of", "write_routes"]

_NEAR = 100  # jobs that count as near one
_BESIDE = 30  # nodes on either side that a stop is tried beside
_WAIT = 0.2  # what a second of waiting counts for, of one on the way


def lacks(problem: Problem) -> list[str]:
    """Return the features of a problem that this search knows nothing of, in words for a log."""
    vehicles = problem.vehicles
    missing = {
        "breaks": any(vehicle.breaks for vehicle in vehicles),
        "relations": bool(problem.relations),
        "balance": problem.balance != 0,
        "fuel by load": any(vehicle.per_metre_load for vehicle in vehicles),
        "reloads": any(vehicle.reload is not None for vehicle in vehicles),
        "goods on board": any(job.on_board is not None for job in problem.jobs),
        "committed visits": any(vehicle.pinned for vehicle in vehicles),
    }
    return [feature for feature, is_met in missing.items() if is_met]


def terrain_of(problem: Problem) -> Terrain:
    """Return a problem that `lacks` has nothing to say about as arrays."""
    jobs, vehicles = problem.jobs, problem.vehicles
    stops = [stop for job in jobs for stop in (job.pickup, job.delivery)]
    nowhere = problem.travel[0].size
    profiles = sorted({vehicle.profile for vehicle in vehicles})
    places = _side_by_side(problem)
    number_of = np.append(np.argsort(places), nowhere)
    seconds, metres = _matrices(problem, profiles, places)
    rates = list(dict.fromkeys((one.profile, one.per_metre, one.per_second) for one in vehicles))
    arc = np.stack(
        [
            (per_metre * metres[profiles.index(profile)] + per_second * seconds[profiles.index(profile)])
            for profile, per_metre, per_second in rates
        ]
    ).astype(np.float32)
    left_out = dearest(problem)
    group = np.array(kinds(problem), np.int64)
    first_of = [int(np.argmax(group == number)) for number in range(int(group.max()) + 1)]
    vans = [
        (
            int(group[number]),
            int(number_of[nowhere if one.start is None else one.start]),
            int(number_of[nowhere if one.end is None else one.end]),
            *one.shift,
            ENDLESS if one.max_distance_m is None else one.max_distance_m,
            ENDLESS if one.max_duration_s is None else one.max_duration_s,
            ENDLESS if one.max_stops is None else one.max_stops,
            profiles.index(one.profile),
            rates.index((one.profile, one.per_metre, one.per_second)),
            one.max_duration_s is not None or one.per_second > 0,
        )
        for number, one in enumerate(vehicles)
    ]
    kind = np.array([_kind(job.pickup, job.delivery) for job in jobs], np.int64)
    nodes = _nodes(stops)
    nodes[:, PLACE] = np.where(nodes[:, PLACE] >= 0, number_of[nodes[:, PLACE]], -1)
    beside = _beside(nodes, arc[0], seconds[0])
    return Terrain(
        nodes=nodes,
        jobs=np.column_stack([kind, problem.loads()]),
        price=np.array([left_out if job.penalty is None else job.penalty for job in jobs]),
        keys=_keys(nodes, problem.loads(), arc[0], vans[0][START]),
        near=_near(nodes[:, PLACE], arc[0]),
        beside=beside,
        reach=_reach(nodes, beside, arc.min(axis=0)),
        alone=_alone(nodes, arc, {(vans[n][START], vans[n][END], vans[n][RATE], vehicles[n].fixed) for n in first_of}),
        vans=np.column_stack([np.array(vans, np.int64), problem.capacities()]),
        prices=np.array([(one.fixed, one.per_metre, one.per_second) for one in vehicles], np.float64),
        may=np.array([[problem.may_serve(number, job) for job in range(len(jobs))] for number in first_of]),
        ways=np.concatenate([seconds, metres]),
        arc=arc,
    )


def write_routes(routes: Routes, plan: Plan) -> None:
    """Write routes into a plan, whose times and loads are not worked out by that."""
    for vehicle, route in enumerate(routes):
        plan.routes[SIZE, vehicle] = len(route)
        plan.points[vehicle, 1 : len(route) + 1, NODE] = [2 * job + (not pickup) for job, pickup in route]
        plan.where[[job for job, _ in route]] = vehicle


def read_routes(plan: Plan) -> Routes:
    """Return the routes of a plan."""
    sizes = plan.routes[SIZE].tolist()
    return tuple(visits_of(points[1 : size + 1, NODE]) for points, size in zip(plan.points, sizes, strict=True))


def visits_of(nodes: NDArray[np.int64]) -> tuple[Visit, ...]:
    """Return nodes as visits."""
    return tuple(Visit(node // 2, node % 2 == 0) for node in nodes.tolist())


def _kind(pickup: Stop | None, delivery: Stop | None) -> int:
    if pickup is None:
        return DELIVERY
    return COLLECTION if delivery is None else PAIR


def _nodes(stops: list[Stop | None]) -> NDArray[np.int64]:
    most = max(1, max(0 if stop is None else len(stop.windows) for stop in stops))
    nodes = np.zeros((len(stops), OPENS + 2 * most), np.int64)
    nodes[:, OPENS + 1 :: 2] = ENDLESS
    for node, stop in enumerate(stops):
        if stop is None:
            nodes[node, PLACE] = -1
            continue
        times = [moment for window in stop.windows for moment in window]
        nodes[node, : OPENS + len(times)] = [stop.place, stop.service_s, len(stop.windows), *times]
    return nodes


def _side_by_side(problem: Problem) -> NDArray[np.int64]:
    """Return all places so that neighbours come soon after each other.

    A search looks at neighbours, and what is side by side in memory is read at once: with 1,000 stops it takes a fifth
    more steps a second.
    """
    every = np.arange(problem.travel[0].size, dtype=np.int64)
    order: NDArray[np.int64] = KDTree(embed(problem.travel[0], every), leafsize=2).indices.astype(np.int64)
    return order


def _matrices(
    problem: Problem, profiles: list[int], places: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return times and distances, K × P × P, with one more place to which and from which there is no way to go."""
    size = (len(profiles), places.size + 1, places.size + 1)
    seconds, metres = np.zeros(size, np.int32), np.zeros(size, np.int32)
    for number, profile in enumerate(profiles):
        seconds[number, :-1, :-1] = problem.travel[profile].seconds(places, places)
        metres[number, :-1, :-1] = problem.travel[profile].metres(places, places)
    return seconds, metres


def _keys(
    nodes: NDArray[np.int64], loads: NDArray[np.int64], arc: NDArray[np.float32], start: int
) -> NDArray[np.float64]:
    """Return by what jobs are put in order: what is large, far, near, or has little time, early or late."""
    first, last = _ends(nodes)
    far = arc[start, first[:, PLACE]] + arc[last[:, PLACE], start]
    rows = [-far, -far, far]
    if loads.any():
        share = (loads / np.maximum(1, loads.max(axis=0))).max(axis=1)
        rows += [-share] * 4
    if nodes[:, WINDOWS].any():
        until = last[np.arange(len(last)), OPENS + 2 * np.maximum(1, last[:, WINDOWS]) - 1]
        rows += [until - first[:, OPENS], first[:, OPENS], -until] * 2
    return np.array(rows, np.float64)


def _ends(nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last stop of each job, the same where it has but one."""
    fetched, brought = nodes[::2], nodes[1::2]
    first = np.where(fetched[:, [PLACE]] >= 0, fetched, brought)
    return first, np.where(brought[:, [PLACE]] >= 0, brought, fetched)


def _alone(
    nodes: NDArray[np.int64], arc: NDArray[np.float32], vans: set[tuple[int, int, int, float]]
) -> NDArray[np.float64]:
    """Return what a route with nothing but each job costs at least, for vans of a start, an end, a rate and a price."""
    first, last = (stops[:, PLACE] for stops in _ends(nodes))
    between = np.where(first == last, 0.0, arc[:, first, last])
    costs = [arc[rate, start, first] + between[rate] + arc[rate, last, end] + use for start, end, rate, use in vans]
    least: NDArray[np.float64] = np.array(costs, np.float64).min(axis=0)
    return least


def _near(place: NDArray[np.int64], arc: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the jobs whose stops are nearest to those of each, nearest first."""
    jobs = len(place) // 2
    apart = np.zeros((jobs, jobs), np.float32)
    for side in (0, 1):
        known = place[side::2] >= 0
        at = np.where(known, place[side::2], place[1 - side :: 2])
        apart += arc[np.ix_(at, at)] + arc[np.ix_(at, at)].T
    np.fill_diagonal(apart, np.inf)
    count = min(_NEAR, jobs - 1)
    if count <= 0:
        return np.zeros((jobs, 0), np.int32)
    nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(apart, nearest, 1), axis=1, kind="stable")
    return np.take_along_axis(nearest, order, 1).astype(np.int32)


def _beside(nodes: NDArray[np.int64], arc: NDArray[np.float32], seconds: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the nodes that single stops are best put behind, and those before: near, with little waiting between."""
    places, jobs = nodes[:, PLACE], len(nodes) // 2
    known = np.flatnonzero(places >= 0)
    count = min(_BESIDE, len(known) - 1)
    single = np.array([job for job in range(jobs) if (places[2 * job : 2 * job + 2] < 0).any()], np.int64)
    beside = np.full((jobs, 2 * count), -1, np.int32)
    if not len(single) or count <= 0:
        return beside
    stops = 2 * single + (places[2 * single] < 0)
    opens, closes = nodes[:, OPENS], nodes[np.arange(len(nodes)), OPENS + 2 * np.maximum(1, nodes[:, WINDOWS]) - 1]
    rate = float(arc[:-1, :-1].mean()) / max(1.0, float(seconds[:-1, :-1].mean()))
    for side in (0, 1):
        first, then = (known, stops) if side == 0 else (stops, known)
        ways = np.ix_(places[first], places[then])
        leaves = nodes[first, SERVICE][:, None] + seconds[ways]
        wait = np.maximum(0, opens[then] - (closes[first][:, None] + leaves))
        apart = arc[ways] + _WAIT * rate * wait
        apart[opens[first][:, None] + leaves > closes[then]] = np.inf
        apart = apart.T if side == 0 else apart
        apart[np.arange(len(stops)), np.searchsorted(known, stops)] = np.inf
        nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(apart, nearest, 1), axis=1, kind="stable")
        nearest = np.take_along_axis(nearest, order, 1)
        found = np.where(np.isfinite(np.take_along_axis(apart, nearest, 1)), known[nearest], -1)
        beside[single, side * count : (side + 1) * count] = found
    return beside


def _reach(nodes: NDArray[np.int64], beside: NDArray[np.int32], arc: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the way from each node beside a job costs, and to it."""
    side = beside.shape[1] // 2
    stops = _ends(nodes)[0][:, PLACE, None]
    others = nodes[beside, PLACE]
    return np.hstack([arc[others[:, :side], stops], arc[stops, others[:, side:]]])
