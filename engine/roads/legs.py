"""A way on the roads with its line on the map."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polyline
from numpy.typing import NDArray

from engine.compiled import road_rule
from engine.roads.ends import Ends
from engine.roads.hierarchy import CLOSED, Hierarchy
from engine.roads.queries import way_between
from engine.roads.snapping import Snaps
from engine.roads.twins import as_originals
from engine.roads.weights import RoadWeights

__all__ = ["RoadLeg", "trace_leg"]


@dataclass(frozen=True, slots=True)
class RoadLeg:
    """The fastest way from one place to another."""

    duration_s: float
    distance_m: float
    latitudes: NDArray[np.float64]
    """Points of its line, degrees WGS 84."""
    longitudes: NDArray[np.float64]
    arcs: NDArray[np.int32]
    """Directed pieces of road, the first and the last of them in part."""
    metres: NDArray[np.float64]
    """Way from the start to each point of the line."""
    seconds: NDArray[np.float64]
    """Time from the start to each point of the line."""

    @property
    def polyline6(self) -> str:
        """Return the line as an encoded polyline of six digits."""
        encoded: str = polyline.encode(np.stack([self.latitudes, self.longitudes], axis=1).tolist(), 6)
        return encoded

    @property
    def geojson(self) -> dict[str, Any]:
        """Return the line as a GeoJSON geometry (RFC 7946: longitude first)."""
        line = np.stack([self.longitudes, self.latitudes], axis=1).round(6)
        return {"type": "LineString", "coordinates": line.tolist()}


def trace_leg(
    hierarchy: Hierarchy, arrays: dict[str, NDArray[Any]], ends: Ends, places: Snaps, weights: RoadWeights
) -> RoadLeg | None:
    """Return the fastest way between two snapped places, or None."""
    start, end = places.part(np.array([0])), places.part(np.array([1]))
    direct = int(CLOSED)
    if start.segment[0] == end.segment[0]:
        direct = int(ends.along(start, end)[0])
        sources = ends.leaving_behind(start)
    else:
        sources = ends.leaving(start)
    found = way_between(hierarchy, weights.metric, sources, ends.arriving(end)) if direct > 0 else None
    weight, ranks = found or (int(CLOSED), np.empty(0, np.int32))
    if min(weight, direct) >= CLOSED:
        return None
    arc_of = arrays["arc_of_rank"]
    if direct <= weight:
        both = arrays["segment_arcs"][start.segment[0]]
        forward = end.along_m[0] > start.along_m[0] or (end.along_m[0] == start.along_m[0] and both[0] >= 0)
        weight, arcs = direct, both[:1] if forward else both[1:]
    elif start.segment[0] == end.segment[0]:
        arcs = np.concatenate([[_arc_before(arrays, weights, start, int(arc_of[ranks[0]]))], arc_of[ranks]])
    else:
        arcs = arc_of[ranks]
    arcs = arcs.astype(np.int32)
    lines = _Lines(*(arrays[name] for name in _Lines._fields))
    entered = _entered(arcs, arrays["turn_from"], arrays["turn_to"], weights.metric.edges, arrays["arc_dm"])
    line = _line(arcs, weights.arc_ms, lines, entered, start.along_m[0], end.along_m[0])
    lat, lon, seconds, metres = line
    lat[[0, -1]], lon[[0, -1]] = (places.latitude, places.longitude)
    seconds[-1], metres[-1] = (weight >> 32) / 1000, (weight & 0xFFFFFFFF) / 10
    return RoadLeg(float(seconds[-1]), float(metres[-1]), lat, lon, as_originals(arrays, arcs), metres, seconds)


def _arc_before(arrays: dict[str, NDArray[Any]], weights: RoadWeights, start: Snaps, arc: int) -> int:
    """Return the arc of a segment from which a turn leads to `arc`."""
    own = arrays["segment_arcs"][start.segment[0]]
    turns = np.flatnonzero((arrays["turn_to"] == arc) & np.isin(arrays["turn_from"], own[own >= 0]))
    return int(arrays["turn_from"][turns[np.argmin(weights.metric.edges[turns])]])


class _Lines(NamedTuple):
    arc_segment: NDArray[np.int32]
    arc_is_forward: NDArray[np.bool_]
    segment_points: NDArray[np.int32]
    point_m: NDArray[np.float32]
    point_lat: NDArray[np.int32]
    point_lon: NDArray[np.int32]


@road_rule
def _entered(
    arcs: NDArray[np.int32],
    turn_from: NDArray[np.int32],
    turn_to: NDArray[np.int32],
    edges: NDArray[np.int64],
    arc_dm: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Return for each arc of a way the milliseconds and decimetres from the start of the first arc to its end.

    The first arc counts as nothing: its own time and length are up to where the way begins.
    """
    passed = np.zeros((arcs.size, 2))
    for number in range(1, arcs.size):
        turn = np.searchsorted(turn_from, arcs[number - 1])
        while turn_to[turn] != arcs[number]:
            turn += 1
        passed[number, 0] = passed[number - 1, 0] + (edges[turn] >> 32)
        passed[number, 1] = passed[number - 1, 1] + arc_dm[arcs[number]]
    return passed


@road_rule
def _line(
    arcs: NDArray[np.int32],
    arc_ms: NDArray[np.int32],
    lines: _Lines,
    passed: NDArray[np.float64],
    from_m: float,
    to_m: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the line of a way with seconds and metres to each point; both ends are left for the caller to fill in."""
    size = 2
    for arc in arcs:
        segment = lines.arc_segment[arc]
        size += lines.segment_points[segment + 1] - lines.segment_points[segment]
    lat, lon, seconds, metres = np.empty(size), np.empty(size), np.zeros(size), np.zeros(size)
    rest_ms = rest_m = 0.0
    count = 1
    for number in range(arcs.size):
        segment = lines.arc_segment[arcs[number]]
        first, last = lines.segment_points[segment], lines.segment_points[segment + 1] - 1
        forward = lines.arc_is_forward[arcs[number]]
        length_m = max(lines.point_m[last], 1e-3)
        if number == 0:
            rest_m = length_m - from_m if forward else from_m
            rest_ms = arc_ms[arcs[number]] * rest_m / length_m
        for step in range(last - first + 1):
            point = first + step if forward else last - step
            at_m = lines.point_m[point]
            if number == 0 and (at_m <= from_m if forward else at_m >= from_m):
                continue
            if number == arcs.size - 1 and (at_m >= to_m if forward else at_m <= to_m):
                continue
            if number > 0 and step == 0:
                continue  # the last point of the arc before
            left_m = length_m - at_m if forward else at_m
            lat[count], lon[count] = lines.point_lat[point] / 1e7, lines.point_lon[point] / 1e7
            seconds[count] = (rest_ms + passed[number, 0] - arc_ms[arcs[number]] * left_m / length_m) / 1000
            metres[count] = rest_m + passed[number, 1] / 10 - left_m
            count += 1
    count += 1
    return lat[:count].copy(), lon[:count].copy(), seconds[:count].copy(), metres[:count].copy()
