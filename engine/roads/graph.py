"""From an extract to a graph that is expanded by arcs: its nodes are directed pieces of road, its edges the turns.

A *segment* is a piece of road between two junctions, an *arc* one direction of it, a *turn* leads from an arc to one
that begins where it ends. Costs of turns and bans then are weights like any other (Winter, 2002: Modeling costs of
turns in route planning).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.roads.extract import Extract
from engine.roads.profiles import PROFILES, class_of, is_barrier, node_seconds, speeds_kmh
from engine.roads.turns import FORBIDDEN, Junctions, apply_restrictions, turn_costs
from engine.roads.twins import Turns, apply_way_bans, as_twins
from models.errors import BadSettings
from models.geo import distances_m

__all__ = ["Graph", "build_graph"]

COORDINATE = 1e7  # stored units a degree

_DIRECTIONS = 2


@dataclass(frozen=True, slots=True)
class Graph:
    """S segments, A arcs, T turns, P profiles in the order of `PROFILES`."""

    arrays: dict[str, NDArray[Any]]
    """By name as the file of a road network holds them (`engine.roads.file`)."""

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return one array."""
        return self.arrays[name]


def build_graph(extract: Extract, *, drives_left: bool = False) -> Graph:
    """Return the graph of an extract.

    Parameters
    ----------
    extract
        Ways for vehicles.
    drives_left
        Whether traffic keeps to the left: then it is the right turn that crosses it.

    Raises
    ------
    BadSettings
        If no vehicle can go anywhere in it.
    """
    segments = _cut(extract)
    arrays = _segments(extract, segments)
    arc_segment, arc_is_forward, arc_ms = _arcs(extract, segments, arrays)
    arrays |= {"arc_segment": arc_segment, "arc_is_forward": arc_is_forward, "arc_ms": arc_ms}
    arrays["arc_dm"] = np.rint(arrays["segment_m"] * np.float32(10.0)).astype(np.int32)[arc_segment]
    arrays["segment_arcs"] = np.full((segments.way.size, _DIRECTIONS), -1, np.int32)
    arrays["segment_arcs"][arc_segment, 1 - arc_is_forward] = np.arange(arc_segment.size)
    arrays |= _turns(extract, segments, arrays, drives_left)
    twin_of = arrays["twin_of"]
    arrays |= {name: as_twins(arrays[name], twin_of) for name in ("arc_segment", "arc_is_forward", "arc_ms", "arc_dm")}
    arrays["arc_profiles"] = _connected(arrays)
    # a street that is entered from one side alone may be entered on twins alone
    np.bitwise_or.at(arrays["arc_profiles"], twin_of, arrays["arc_profiles"][arc_segment.size :])
    if not arrays["arc_profiles"].any():
        raise BadSettings("the extract has roads, but none that a vehicle can come back from")
    return Graph(arrays)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where ways are cut into segments."""

    first: NDArray[np.int64]
    """Place of a segment's first point in the extract."""
    last: NDArray[np.int64]
    way: NDArray[np.int64]
    tail: NDArray[np.int64]
    """Number of the junction at a segment's first point."""
    head: NDArray[np.int64]
    junction_refs: NDArray[np.int64]
    """Node id of each junction."""


def _cut(extract: Extract) -> _Cut:
    """Cut ways where they meet, end, or something stands across."""
    unique, inverse = np.unique(extract.refs, return_inverse=True)
    uses = np.bincount(inverse)
    is_end = np.zeros(extract.refs.size, bool)
    is_end[extract.starts[:-1]] = is_end[extract.starts[1:] - 1] = True
    is_junction = uses > 1
    is_junction[inverse[is_end]] = True
    blocked = [
        ref for ref, tags in extract.node_tags.items() if any(is_barrier(tags, one) for one in PROFILES.values())
    ]
    is_junction[np.isin(unique, np.array(blocked, np.int64))] = True
    at = np.flatnonzero(is_junction[inverse])
    way_of_point = np.repeat(np.arange(extract.way_ids.size), np.diff(extract.starts))
    same_way = way_of_point[at[1:]] == way_of_point[at[:-1]]
    first, last = at[:-1][same_way], at[1:][same_way]
    number = np.cumsum(is_junction) - 1
    return _Cut(first, last, way_of_point[first], number[inverse[first]], number[inverse[last]], unique[is_junction])


def _segments(extract: Extract, cut: _Cut) -> dict[str, NDArray[Any]]:
    sizes = cut.last - cut.first + 1
    starts = np.concatenate([[0], np.cumsum(sizes)])
    points = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes) + np.repeat(cut.first, sizes)
    lat, lon = extract.lat[points], extract.lon[points]
    leg_m = np.append(distances_m(lat[:-1], lon[:-1], lat[1:], lon[1:]), 0.0)
    leg_m[starts[1:] - 1] = 0.0  # from the last point of a segment leads no leg
    length_m = np.add.reduceat(leg_m, starts[:-1])
    along_m = np.concatenate([[0.0], np.cumsum(leg_m)[:-1]])
    classes = np.array([class_of(tags) for tags in extract.way_tags], np.uint8)
    return {
        "segment_tail": cut.tail.astype(np.int32),
        "segment_head": cut.head.astype(np.int32),
        "segment_points": starts.astype(np.int32),
        "segment_m": length_m.astype(np.float32),
        "segment_class": classes[cut.way],
        "segment_way": extract.way_ids[cut.way],
        "point_m": (along_m - np.repeat(along_m[starts[:-1]], sizes)).astype(np.float32),
        "point_lat": np.rint(lat * COORDINATE).astype(np.int32),
        "point_lon": np.rint(lon * COORDINATE).astype(np.int32),
    }


def _arcs(
    extract: Extract, cut: _Cut, arrays: dict[str, NDArray[Any]]
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int32]]:
    """Return the directions of segments that somebody may take, and how long each takes (P × A ms, 0 is closed)."""
    known: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    speeds = np.zeros((len(extract.way_tags), len(PROFILES), _DIRECTIONS))
    for number, tags in enumerate(extract.way_tags):
        key = tuple(sorted(tags.items()))
        if key not in known:
            known[key] = [speeds_kmh(tags, profile) for profile in PROFILES.values()]
        speeds[number] = known[key]
    of_segment = speeds[cut.way]
    segment, direction = np.nonzero(of_segment.any(axis=1))
    speed = of_segment[segment, :, direction]
    waits_s = _waits(extract, cut)[segment]
    length_m = np.asarray(arrays["segment_m"], np.float64)[segment]
    with np.errstate(divide="ignore"):
        seconds = length_m[:, None] * 3.6 / speed + waits_s
    milliseconds = np.where(speed > 0, np.maximum(np.rint(seconds * 1000), 1), 0)
    return segment.astype(np.int32), direction == 0, np.ascontiguousarray(milliseconds.T).astype(np.int32)


def _waits(extract: Extract, cut: _Cut) -> NDArray[np.float64]:
    """Return what lights and gates between the ends of each segment cost (S × P s)."""
    waits = np.zeros((cut.first.size, len(PROFILES)))
    costs = {ref: [node_seconds(tags, one) for one in PROFILES.values()] for ref, tags in extract.node_tags.items()}
    costly = np.array([ref for ref, cost in costs.items() if any(cost)], np.int64)
    for point in np.flatnonzero(np.isin(extract.refs, costly)):
        segment = int(np.searchsorted(cut.first, point, side="right")) - 1
        if segment >= 0 and cut.first[segment] < point < cut.last[segment]:
            waits[segment] += costs[int(extract.refs[point])]
    return waits


def _turns(extract: Extract, cut: _Cut, arrays: dict[str, NDArray[Any]], drives_left: bool) -> dict[str, NDArray[Any]]:
    junctions = Junctions.of(arrays, cut.junction_refs, extract.node_tags)
    turn_from, turn_to = junctions.pairs()
    costs = turn_costs(junctions, turn_from, turn_to, drives_left)
    ways = np.asarray(arrays["segment_way"])
    apply_restrictions(extract.restrictions, junctions, ways, turn_from, turn_to, costs)
    (turn_from, turn_to, costs), twin_of = apply_way_bans(
        extract.restrictions, junctions, ways, Turns(turn_from, turn_to, costs)
    )
    used = (costs != FORBIDDEN).any(axis=0)
    turn_from, turn_to, costs = turn_from[used], turn_to[used], costs[:, used]
    return {"turn_from": turn_from, "turn_to": turn_to, "turn_cs": np.ascontiguousarray(costs), "twin_of": twin_of}


def _connected(arrays: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Return for each arc a bit for every profile that reaches it from everywhere and comes away again."""
    arc_ms, turn_cs = np.asarray(arrays["arc_ms"]), np.asarray(arrays["turn_cs"])
    turn_from, turn_to = np.asarray(arrays["turn_from"]), np.asarray(arrays["turn_to"])
    bits = np.zeros(arc_ms.shape[1], np.uint8)
    for number in range(len(PROFILES)):
        is_open = (turn_cs[number] != FORBIDDEN) & (arc_ms[number][turn_from] > 0) & (arc_ms[number][turn_to] > 0)
        edges = (turn_from[is_open], turn_to[is_open])
        matrix = coo_array((np.ones(edges[0].size, np.int8), edges), shape=(bits.size, bits.size)).tocsr()
        _, label = connected_components(matrix, directed=True, connection="strong")
        largest = np.bincount(label, weights=np.asarray(arrays["segment_m"])[np.asarray(arrays["arc_segment"])])
        sizes = np.bincount(label)
        largest[sizes < 2] = 0.0
        if largest.any():
            bits |= ((label == largest.argmax()).astype(np.uint8)) << number
    return bits
