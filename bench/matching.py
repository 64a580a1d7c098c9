"""Map matching on drives whose roads are known, and on real trips.

**Drives**: the fastest ways between random places, driven at the map's speeds, one fix each 5 s with 10 m of noise
north and east. `arcs_right` is the share of the driven arcs that the match holds; `arcs_wrong` is how many it holds
beside them, over the number driven. `snapped_arcs_right` is the plain alternative: each fix on its nearest road.
**Trips**: `porto_taxi.parquet` in the folder, real taxis with a fix each 15 s.
"""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.matrix import draw_places
from engine.roads.matching import RoadMatcher
from engine.roads.network import RoadNetwork
from models.geo import METRES_PER_DEGREE

__all__ = ["run"]

_DRIVES = 150
_SHORTEST_M = 1000.0
_EVERY_S = 5.0
_NOISE_M = 10.0


class Tracks(NamedTuple):
    """Fixes of T traces; trace t has those from `starts[t]` to `starts[t + 1]`."""

    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    time_s: NDArray[np.float64]
    starts: NDArray[np.int64]


def run(network_file: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Return the figures of both."""
    network = RoadNetwork.load(network_file)
    matcher = RoadMatcher(network)
    trips = read_trips(folder / "porto_taxi.parquet")
    matcher.match(trips.lat[:50], trips.lon[:50], trips.time_s[:50])
    return _drives(network, matcher, seed) | _trips(matcher, trips)


def read_trips(file: Path) -> Tracks:
    """Return the real trips of a file with the columns `trip`, `time_ms`, `lat` and `lon`."""
    table = pq.read_table(file).sort_by([("trip", "ascending"), ("time_ms", "ascending")])
    trip = table["trip"].to_numpy()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(trip)) + 1, [trip.size]])
    return Tracks(table["lat"].to_numpy(), table["lon"].to_numpy(), table["time_ms"].to_numpy() / 1000, starts)


def _trips(matcher: RoadMatcher, trips: Tracks) -> dict[str, Any]:
    began = time.process_time()
    found = matcher.match(trips.lat, trips.lon, trips.time_s, trips.starts)
    spent = time.process_time() - began
    on_road = found.arc >= 0
    matched = np.logical_or.reduceat(on_road, trips.starts[:-1])
    p50_m, p95_m = np.percentile(found.distance_m[on_road], [50, 95])
    return {
        "trips": int(matched.size),
        "trips_matched": int(matched.sum()),
        "fixes": int(on_road.size),
        "fixes_off_road": int((~on_road).sum()),
        "away_p50_m": float(p50_m),
        "away_p95_m": float(p95_m),
        "fixes_per_s_and_core": on_road.size / spent,
    }


def _drives(network: RoadNetwork, matcher: RoadMatcher, seed: int) -> dict[str, Any]:
    draws = np.random.default_rng(seed)
    places = draw_places(network, 2 * _DRIVES, seed)
    right = wrong = driven = snapped = drives = 0
    for origin, destination in zip(places[::2], places[1::2], strict=True):
        leg = network.leg(tuple(origin), tuple(destination))
        if leg is None or leg.distance_m < _SHORTEST_M:
            continue
        seconds = np.append(np.arange(0, leg.duration_s, _EVERY_S), leg.duration_s)
        squeeze = np.cos(np.radians(origin[0]))
        lat = np.interp(seconds, leg.seconds, leg.latitudes)
        lat += draws.normal(0, _NOISE_M / METRES_PER_DEGREE, seconds.size)
        lon = np.interp(seconds, leg.seconds, leg.longitudes)
        lon += draws.normal(0, _NOISE_M / METRES_PER_DEGREE / squeeze, seconds.size)
        found = matcher.match(lat, lon, seconds)
        true, held = set(leg.arcs.tolist()), {*found.path_arcs.tolist(), *found.arc[found.arc >= 0].tolist()}
        nearest = network.snap(lat, lon).segment
        near = set(network.arrays["segment_arcs"][nearest[nearest >= 0]].ravel().tolist())
        right, wrong, driven = right + len(true & held), wrong + len(held - true), driven + len(true)
        snapped, drives = snapped + len(true & near), drives + 1
    return {
        "drives": drives,
        "arcs_driven": driven,
        "arcs_right": right / driven,
        "arcs_wrong": wrong / driven,
        "snapped_arcs_right": snapped / driven,
    }
