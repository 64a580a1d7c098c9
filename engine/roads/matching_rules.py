"""The compiled rules of map matching: candidates, ways between them, the likeliest chain (Viterbi, 1967)."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule
from engine.roads.snapping import DEGREE, METRES_PER_UNIT, Grid, Shape, piece_seen
from models.geo import distance_m

__all__ = ["Ground", "MatchingLimits", "follow_traces"]

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

_MOST = 8  # candidates of a fix
_UNLIKELY = -1e18
_HOPELESS = 60.0  # of log-likelihood behind the best: such a candidate is no origin
_BACK_M = 35.0  # that noise moves a vehicle back along its arc
_LONGEST = 2000  # arcs of one way
_FORTH_SHARE = 1.6  # of the straight line that a way may be long, beside the slack


class MatchingLimits(NamedTuple):
    """What is likely."""

    sigma_m: float
    beta_m: float
    radius_m: float
    slack_m: float
    top_mps: float
    turn_mps: float


class Ground(NamedTuple):
    """The arcs and turns of a network, for one kind of vehicle."""

    segment_arcs: Ints
    segment_m: NDArray[np.float32]
    arc_ms: Ints
    arc_dm: Ints
    first_turn: Ints
    """A + 1: the turns from each arc."""
    turn_to: Ints
    turn_m: NDArray[np.float32]
    """What a turn counts, as metres of way; infinite where it can't be made."""


class _Candidates(NamedTuple):
    """Arcs near F fixes."""

    held: Ints
    """How many each fix has."""
    arc: Ints
    along_m: Floats
    away_m: Floats


class _Search(NamedTuple):
    """Scratch of searches. What an arc holds is of search `stamp[arc]`."""

    stamp: Ints
    reach_m: Floats
    """To the end of each arc."""
    before: Ints
    is_done: Ints
    heap_key: Floats
    heap_arc: Ints
    number: Ints
    """Number of the search, and the arc from which it found the last candidate."""


@road_rule
def follow_traces(
    grid: Grid,
    shape: Shape,
    ground: Ground,
    limits: MatchingLimits,
    starts: NDArray[np.int64],
    lat: Floats,
    lon: Floats,
    times_s: Floats,
) -> tuple[Any, ...]:
    """Return the columns of `MatchedTraces`."""
    size, arcs = lat.size, ground.arc_ms.size
    found = _Candidates(
        np.zeros(size, np.int32), np.empty((size, _MOST), np.int32), np.empty((size, _MOST)), np.empty((size, _MOST))
    )
    for fix in range(size):
        _look_around(grid, shape, ground, limits.radius_m, lat[fix], lon[fix], fix, found)
    search = _Search(
        np.zeros(arcs, np.int32), np.empty(arcs), np.empty(arcs, np.int32), np.zeros(arcs, np.int32),
        np.empty(4096), np.empty(4096, np.int32), np.zeros(2, np.int32),
    )  # fmt: skip
    chosen, links = np.full(size, -1, np.int32), np.zeros(size, np.bool_)
    for trace in range(starts.size - 1):
        _likeliest(ground, limits, found, search, starts[trace], starts[trace + 1], lat, lon, times_s, chosen, links)
    arc, along_m, away_m = np.full(size, -1, np.int32), np.zeros(size), np.full(size, np.inf)
    for fix in range(size):
        if chosen[fix] >= 0:
            arc[fix] = found.arc[fix, chosen[fix]]
            along_m[fix], away_m[fix] = found.along_m[fix, chosen[fix]], found.away_m[fix, chosen[fix]]
    path_start, path_arcs = _paths(ground, limits, search, lat, lon, arc, along_m, links)
    return arc, along_m, away_m, path_start, path_arcs


@road_rule
def _look_around(
    grid: Grid, shape: Shape, ground: Ground, radius_m: float, lat: float, lon: float, fix: int, found: _Candidates
) -> None:
    """Put down the nearest arcs of a fix, both directions of a road where both are driven."""
    if not (np.isfinite(lat) and np.isfinite(lon)):
        return
    south, west, height, width, rows, columns = grid.corner
    y0, x0 = lat * DEGREE, lon * DEGREE
    squeeze = np.cos(np.radians(lat))
    high, wide = radius_m / METRES_PER_UNIT, radius_m / METRES_PER_UNIT / squeeze
    low_row, high_row = int(np.floor((y0 - high - south) / height)), int(np.floor((y0 + high - south) / height))
    low_column, high_column = int(np.floor((x0 - wide - west) / width)), int(np.floor((x0 + wide - west) / width))
    for row in range(max(0, low_row), min(rows - 1, high_row) + 1):
        for column in range(max(0, low_column), min(columns - 1, high_column) + 1):
            cell = row * columns + column
            for place in range(grid.cell_start[cell], grid.cell_start[cell + 1]):
                piece = grid.cell_pieces[place]
                share, away, _ = piece_seen(shape, piece, y0, x0, squeeze)
                if away > radius_m:
                    continue
                segment = grid.piece_segment[piece]
                along = shape.along_m[piece] + share * (shape.along_m[piece + 1] - shape.along_m[piece])
                for direction in range(2):
                    arc = ground.segment_arcs[segment, direction]
                    if arc >= 0 and ground.arc_ms[arc] > 0:
                        at = along if direction == 0 else ground.segment_m[segment] - along
                        _propose(found, fix, arc, at, away)


@road_rule
def _propose(found: _Candidates, fix: int, arc: int, along_m: float, away_m: float) -> None:
    """Take an arc among the candidates of a fix, or move it nearer; the farthest one gives way."""
    slot, farthest = -1, -1
    for place in range(found.held[fix]):
        if found.arc[fix, place] == arc:
            slot = place
        if farthest < 0 or found.away_m[fix, place] > found.away_m[fix, farthest]:
            farthest = place
    if slot >= 0:
        if found.away_m[fix, slot] <= away_m:
            return
    elif found.held[fix] < _MOST:
        slot = found.held[fix]
        found.held[fix] += 1
    elif found.away_m[fix, farthest] > away_m:
        slot = farthest
    else:
        return
    found.arc[fix, slot], found.along_m[fix, slot], found.away_m[fix, slot] = arc, along_m, away_m


@road_rule
def _likeliest(
    ground: Ground,
    limits: MatchingLimits,
    found: _Candidates,
    search: _Search,
    begin: int,
    end: int,
    lat: Floats,
    lon: Floats,
    times_s: Floats,
    chosen: Ints,
    links: NDArray[np.bool_],
) -> None:
    """Choose a candidate for each fix of a trace; `links` tells where a way leads on to the next fix that has any."""
    score, came = np.empty((end - begin, _MOST)), np.full((end - begin, _MOST), -1, np.int32)
    way_m = np.empty(_MOST)
    first = last = -1  # of the chain that is being followed
    for fix in range(begin, end):
        if found.held[fix] == 0:
            continue
        is_linked = False
        if last >= 0:
            straight_m = distance_m(lat[last], lon[last], lat[fix], lon[fix])
            most_m = max(100.0, limits.top_mps * (times_s[fix] - times_s[last]))
            if straight_m <= most_m:
                is_linked = _step(
                    ground, limits, found, search, last, fix, straight_m, most_m,
                    score[last - begin], score[fix - begin], came[fix - begin], way_m,
                )  # fmt: skip
        if not is_linked:
            if last >= 0:
                _trace_back(found, score, came, begin, first, last, chosen, links)
            first = fix
            for place in range(found.held[fix]):
                score[fix - begin, place] = _nearness(found.away_m[fix, place], limits.sigma_m)
                came[fix - begin, place] = -1
        last = fix
    if last >= 0:
        _trace_back(found, score, came, begin, first, last, chosen, links)


@road_rule
def _nearness(away_m: float, sigma_m: float) -> float:
    return -0.5 * (away_m / sigma_m) ** 2


@road_rule
def _step(
    ground: Ground,
    limits: MatchingLimits,
    found: _Candidates,
    search: _Search,
    last: int,
    fix: int,
    straight_m: float,
    most_m: float,
    before: Floats,
    score: Floats,
    came: Ints,
    way_m: Floats,
) -> bool:
    """Score the candidates of a fix by the best way from those of the last one; tell whether there is any."""
    best_before = _UNLIKELY
    for place in range(found.held[last]):
        best_before = max(best_before, before[place])
    score[:] = _UNLIKELY
    is_linked = False
    for origin in range(found.held[last]):
        if before[origin] < best_before - _HOPELESS:
            continue
        limit_m = min(most_m, _FORTH_SHARE * straight_m + limits.slack_m)
        _measure(ground, found, search, last, origin, fix, limit_m, limits.slack_m, way_m)
        for place in range(found.held[fix]):
            if way_m[place] < np.inf:
                likely = before[origin] - abs(way_m[place] - straight_m) / limits.beta_m
                if likely > score[place]:
                    score[place], came[place] = likely, origin
                    is_linked = True
    for place in range(found.held[fix]):
        score[place] += _nearness(found.away_m[fix, place], limits.sigma_m)
    return is_linked


@road_rule
def _measure(
    ground: Ground,
    found: _Candidates,
    search: _Search,
    last: int,
    origin: int,
    fix: int,
    limit_m: float,
    slack_m: float,
    way_m: Floats,
) -> None:
    """Put down how long the ways from one candidate to those of the next fix are; infinite beyond the limit."""
    own, along_m = found.arc[last, origin], found.along_m[last, origin]
    missing = 0
    for place in range(found.held[fix]):
        way_m[place] = np.inf
        if found.arc[fix, place] == own and found.along_m[fix, place] >= along_m - _BACK_M:
            way_m[place] = abs(found.along_m[fix, place] - along_m)
        else:
            missing += 1
    if missing > 0:
        _spread(ground, search, own, ground.arc_dm[own] / 10.0 - along_m, limit_m, slack_m, found, fix, way_m, missing)


@road_rule
def _spread(
    ground: Ground,
    search: _Search,
    own: int,
    rest_m: float,
    limit_m: float,
    slack_m: float,
    found: _Candidates,
    fix: int,
    way_m: Floats,
    missing: int,
) -> None:
    """Dijkstra from the end of an arc, until all that is missing is found or too far."""
    search.number[0] += 1
    stamp, size = search.number[0], 0
    size = _push(search, size, rest_m, own)
    search.stamp[own], search.reach_m[own], search.before[own], search.is_done[own] = stamp, rest_m, -1, 0
    while size > 0 and missing > 0:
        reach, arc = search.heap_key[0], search.heap_arc[0]
        size = _pop(search, size)
        if search.is_done[arc] == stamp or reach > search.reach_m[arc]:
            continue
        search.is_done[arc] = stamp
        if reach > limit_m:
            return
        for turn in range(ground.first_turn[arc], ground.first_turn[arc + 1]):
            turned, onward = reach + ground.turn_m[turn], ground.turn_to[turn]
            if turned > limit_m:
                continue
            for place in range(found.held[fix]):
                if found.arc[fix, place] == onward and way_m[place] == np.inf:
                    way_m[place] = turned + found.along_m[fix, place]
                    missing -= 1
                    search.number[1] = arc
                    limit_m = min(limit_m, way_m[place] + slack_m)
            there = turned + ground.arc_dm[onward] / 10.0
            if search.stamp[onward] != stamp or there < search.reach_m[onward]:
                if search.stamp[onward] == stamp and search.is_done[onward] == stamp:
                    continue
                search.stamp[onward], search.reach_m[onward], search.before[onward] = stamp, there, arc
                search.is_done[onward] = 0
                if size < search.heap_key.size:
                    size = _push(search, size, there, onward)


@road_rule
def _push(search: _Search, size: int, key: float, arc: int) -> int:
    """Add to the heap and return its size."""
    keys, arcs = search.heap_key, search.heap_arc
    place = size
    while place > 0 and keys[(place - 1) // 2] > key:
        keys[place], arcs[place] = keys[(place - 1) // 2], arcs[(place - 1) // 2]
        place = (place - 1) // 2
    keys[place], arcs[place] = key, arc
    return size + 1


@road_rule
def _pop(search: _Search, size: int) -> int:
    """Take the least from the heap and return its size."""
    keys, arcs = search.heap_key, search.heap_arc
    size -= 1
    key, arc = keys[size], arcs[size]
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[place], arcs[place] = keys[child], arcs[child]
        place = child
    keys[place], arcs[place] = key, arc
    return size


@road_rule
def _trace_back(
    found: _Candidates,
    score: Floats,
    came: Ints,
    begin: int,
    first: int,
    last: int,
    chosen: Ints,
    links: NDArray[np.bool_],
) -> None:
    """Choose the likeliest candidate of a chain's last fix, and back from it."""
    best = 0
    for place in range(found.held[last]):
        if score[last - begin, place] > score[last - begin, best]:
            best = place
    fix = last
    while fix >= first:
        chosen[fix] = best
        best = came[fix - begin, best]
        before = fix - 1
        while before >= first and found.held[before] == 0:
            before -= 1
        if before >= first:
            links[before] = True
        fix = before


@road_rule
def _paths(
    ground: Ground,
    limits: MatchingLimits,
    search: _Search,
    lat: Floats,
    lon: Floats,
    arc: Ints,
    along_m: Floats,
    links: NDArray[np.bool_],
) -> tuple[Ints, Ints]:
    """Return the arcs from each fix to the next of its chain."""
    path_start, path = np.zeros(arc.size + 1, np.int32), np.empty(4 * arc.size + 1024, np.int32)
    count = 0
    goal = _Candidates(np.ones(1, np.int32), np.empty((1, 1), np.int32), np.empty((1, 1)), np.empty((1, 1)))
    way_m = np.empty(1)
    for fix in range(arc.size):
        path_start[fix] = count
        if not links[fix]:
            continue
        onward = fix + 1
        while arc[onward] < 0:
            onward += 1
        if count + _LONGEST + 2 > path.size:
            path = _longer(path)
        path[count] = arc[fix]
        count += 1
        if arc[onward] == arc[fix] and along_m[onward] >= along_m[fix] - _BACK_M:
            continue
        straight_m = distance_m(lat[fix], lon[fix], lat[onward], lon[onward])
        goal.arc[0, 0], goal.along_m[0, 0], way_m[0] = arc[onward], along_m[onward], np.inf
        limit_m = _FORTH_SHARE * straight_m + limits.slack_m + 1.0
        _spread(
            ground, search, arc[fix], ground.arc_dm[arc[fix]] / 10.0 - along_m[fix], limit_m, limits.slack_m,
            goal, 0, way_m, 1,
        )  # fmt: skip
        count = _put_back(search, arc[onward], path, count)
    path_start[arc.size] = count
    return path_start, path[:count].copy()


@road_rule
def _put_back(search: _Search, goal: int, path: Ints, count: int) -> int:
    """Write the arcs of the last search's way behind its first, `goal` at the end; return how many there are."""
    steps, arc = 1, search.number[1]
    while search.before[arc] >= 0 and steps < _LONGEST:
        steps += 1
        arc = search.before[arc]
    path[count + steps - 1] = goal
    arc = search.number[1]
    for place in range(count + steps - 2, count - 1, -1):
        path[place] = arc
        arc = search.before[arc]
    return count + steps


@road_rule
def _longer(path: Ints) -> Ints:
    longer = np.empty(2 * path.size + _LONGEST, np.int32)
    longer[: path.size] = path
    return longer
