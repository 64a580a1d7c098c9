"""How well durations of real trips are told from their two ends.

One factor is fitted on every other trip and tested on the rest. The error is the mean of |told - real| over the mean of
the real durations. Trips under 500 m or two minutes, over two hours, or with a step that no taxi drives (lost fixes)
are left out. Beside the roads: the great circle with a fixed part, and with one speed. `by_hour` has a factor each for
night, early morning and rush.
"""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.matching import Tracks, read_trips
from engine.roads.network import RoadNetwork
from models.eta.base_time import PACES
from models.geo import distances_m

__all__ = ["run"]

_SHORTEST_M, _SHORTEST_S, _LONGEST_S = 500.0, 120.0, 7200.0
_FASTEST_MPS = 50.0


def run(network_file: Path, file: Path) -> dict[str, Any]:
    """Return the errors."""
    network = RoadNetwork.load(network_file)
    trips = read_trips(file)
    first, last = trips.starts[:-1], trips.starts[1:] - 1
    real_s = trips.time_s[last] - trips.time_s[first]
    straight_m = distances_m(trips.lat[first], trips.lon[first], trips.lat[last], trips.lon[last])
    kept = _sane(trips) & (straight_m >= _SHORTEST_M) & (real_s >= _SHORTEST_S) & (real_s <= _LONGEST_S)
    told_s = _by_roads(network, trips, first, last)
    kept &= np.isfinite(told_s)
    hours = np.array([datetime.datetime.fromtimestamp(one, datetime.UTC).hour for one in trips.time_s[first]])
    real_s, straight_m, told_s, hours = real_s[kept], straight_m[kept], told_s[kept], hours[kept]
    ones = np.ones(real_s.size)
    pace = PACES["car"]
    return {
        "trips": int(real_s.size),
        "real_over_told": float(np.median(real_s / told_s)),
        "error_roads_as_they_are": _mean_error(told_s, real_s),
        "error_roads": _error(np.stack([told_s], 1), real_s),
        "error_roads_fixed_part": _error(np.stack([told_s, ones], 1), real_s),
        "error_roads_by_hour": _error(_hourly(told_s, hours), real_s),
        "error_great_circle_fixed_part": _mean_error(pace.fixed_s + straight_m / pace.speed_mps, real_s),
        "error_great_circle": _error(np.stack([straight_m], 1), real_s),
    }


def _sane(trips: Tracks) -> NDArray[np.bool_]:
    step_m = distances_m(trips.lat[:-1], trips.lon[:-1], trips.lat[1:], trips.lon[1:])
    wild = np.append(step_m > _FASTEST_MPS * np.maximum(np.diff(trips.time_s), 1.0), False)
    wild[trips.starts[1:] - 1] = False
    return np.asarray(~np.logical_or.reduceat(wild, trips.starts[:-1]))


def _by_roads(
    network: RoadNetwork, trips: Tracks, first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float64]:
    told = np.full(first.size, np.nan)
    for number, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        leg = network.leg((trips.lat[begin], trips.lon[begin]), (trips.lat[end], trips.lon[end]))
        if leg is not None and leg.duration_s > 0:
            told[number] = leg.duration_s
    return told


def _hourly(told_s: NDArray[np.float64], hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a column for each third of the day's curve that the trips cover: night, early morning, rush."""
    bands = np.digitize(hours, [5, 7])
    return np.where(bands[:, None] == np.arange(3)[None, :], told_s[:, None], 0.0)


def _error(columns: NDArray[np.float64], real_s: NDArray[np.float64]) -> float:
    """Return the error on the odd trips of the least absolute fit on the even ones."""
    factors = np.linalg.lstsq(columns[::2], real_s[::2], rcond=None)[0]
    for _ in range(50):  # iteratively reweighted: squares become absolute values
        weight = 1.0 / np.sqrt(np.maximum(np.abs(columns[::2] @ factors - real_s[::2]), 1.0))
        factors = np.linalg.lstsq(columns[::2] * weight[:, None], real_s[::2] * weight, rcond=None)[0]
    return _mean_error(columns[1::2] @ factors, real_s[1::2])


def _mean_error(told_s: NDArray[np.float64], real_s: NDArray[np.float64]) -> float:
    return float(np.abs(told_s - real_s).mean() / real_s.mean())
