"""Recorded drives as legs: what is left of each drive at departure and after so many minutes.

Moments are counted in time elapsed. At fixed *fractions* of a drive the time elapsed gives away its whole length:
sampled so, the same model "reached" 30 s where 154 s is the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.eta.base_time import Pace
from models.geo import distances_m
from pipelines.trips import Trips, trips_of_columns

__all__ = ["Drives", "Ways", "great_circle_ways", "legs_of_drives", "read_drives", "split_drives"]

_LEAST_FIXES = 9
_FASTEST_MPS = 50.0
_RECENT_S = 120.0
_TRAIN_SHARE = 0.7
_LEAST_BASE_S = 20.0
_COLUMNS = ("trip", "time_ms", "lat", "lon")


class Ways(Protocol):
    """Who knows base times: N × 2 degrees to one place, as seconds and metres; NaN where there is no way."""

    def __call__(
        self, origins: NDArray[np.float64], destination: NDArray[np.float64], /
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return base times in seconds and ways in metres from N places to one."""
        ...


@dataclass(frozen=True, slots=True)
class Drives:
    """Drives in the order of their starts, a row a fix."""

    time_ms: tuple[NDArray[np.int64], ...]
    """Times of the fixes of each drive."""
    places: tuple[NDArray[np.float64], ...]
    """Latitude and longitude of them, n × 2."""

    def __len__(self) -> int:
        return len(self.time_ms)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> "Drives":
        """Return some of the drives."""
        return Drives(tuple(self.time_ms[row] for row in rows), tuple(self.places[row] for row in rows))


def read_drives(path: Path) -> Drives:
    """Return the usable drives of a Parquet file with `trip`, `time_ms`, `lat`, `lon`.

    Usable are those of nine fixes and more without a step over 50 m/s.

    Raises
    ------
    InvalidInput
        If the file can't be read, lacks a column or holds no such drive.
    """
    try:
        table = pa.parquet.read_table(path)
    except (pa.ArrowException, OSError) as fault:
        raise InvalidInput(f"{path} can't be read: {str(fault).splitlines()[0]}") from fault
    if lacking := [name for name in _COLUMNS if name not in table.column_names]:
        raise InvalidInput(f"{path.name} lacks {', '.join(lacking)}", [(name, "is missing") for name in lacking])
    trip, time_ms, lat, lon = (table[name].to_numpy(zero_copy_only=False) for name in _COLUMNS)
    order = np.lexsort((time_ms, trip))
    cuts = np.flatnonzero(np.diff(trip[order])) + 1
    found = []
    for rows in np.split(order, cuts):
        places = np.stack([lat[rows], lon[rows]], axis=1).astype(np.float64)
        if len(rows) >= _LEAST_FIXES and _steps_mps(time_ms[rows], places).max() <= _FASTEST_MPS:
            found.append((time_ms[rows].astype(np.int64), places))
    if not found:
        raise InvalidInput(f"{path.name} holds no drive of {_LEAST_FIXES} fixes")
    found.sort(key=lambda drive: int(drive[0][0]))
    return Drives(tuple(times for times, _ in found), tuple(places for _, places in found))


def split_drives(drives: Drives) -> tuple[Drives, Drives]:
    """Return the drives that ended before the 70 % quantile of the starts, and those that started after it."""
    starts = np.array([times[0] for times in drives.time_ms])
    ends = np.array([times[-1] for times in drives.time_ms])
    edge = np.quantile(starts, _TRAIN_SHARE)
    return drives.take(np.flatnonzero(ends < edge)), drives.take(np.flatnonzero(starts > edge))


def legs_of_drives(drives: Drives, elapsed_s: Sequence[float], ways: Ways) -> Trips:
    """Return what is left of each drive at each moment that it reaches, in the order of moments.

    Parameters
    ----------
    drives
        Recorded drives.
    elapsed_s
        Seconds since the start of a drive; 0 is departure.
    ways
        Base times.
    """
    rows = [_leg(times, places, after_s) for times, places in _pairs(drives) for after_s in elapsed_s]
    legs = [leg for leg in rows if leg is not None]
    columns: dict[str, NDArray[Any]] = {name: np.array([leg[name] for leg in legs]) for name in legs[0]}
    columns |= _base(columns, ways)
    found = {name: values for name, values in columns.items() if name not in ("start_lat", "start_lon")}
    return trips_of_columns(found, None, "drives")


def great_circle_ways(pace: Pace) -> Ways:
    """Return base times by the great circle, for places without a road network."""

    def ways(
        origins: NDArray[np.float64], destination: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        away_m = distances_m(origins[:, 0], origins[:, 1], destination[0], destination[1])
        return pace.fixed_s + away_m / pace.speed_mps, away_m * pace.detour

    return ways


def _pairs(drives: Drives) -> Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    return list(zip(drives.time_ms, drives.places, strict=True))


def _leg(time_ms: NDArray[np.int64], places: NDArray[np.float64], after_s: float) -> dict[str, float | int] | None:
    moment_ms = int(time_ms[0] + after_s * 1000)
    if moment_ms >= time_ms[-1]:
        return None
    here = int(np.searchsorted(time_ms, moment_ms, side="right")) - 1
    since = int(np.searchsorted(time_ms, time_ms[here] - _RECENT_S * 1000))
    lapse_s = (time_ms[here] - time_ms[since]) / 1000
    path_m = _lengths_m(places[since : here + 1]).sum()
    return {
        "moment_ms": moment_ms,
        "from_lat": places[here, 0],
        "from_lon": places[here, 1],
        "to_lat": places[-1, 0],
        "to_lon": places[-1, 1],
        "start_lat": places[0, 0],
        "start_lon": places[0, 1],
        "elapsed_s": after_s,
        "recent_mps": path_m / lapse_s if lapse_s > 0 else np.nan,
        "duration_s": (time_ms[-1] - moment_ms) / 1000,
    }


def _base(columns: dict[str, NDArray[Any]], ways: Ways) -> dict[str, NDArray[np.float64]]:
    """Return the base times of what is left, and how the way driven so far compares with its own."""
    count = len(columns["moment_ms"])
    base_s, base_m, driven_s = np.full(count, np.nan), np.full(count, np.nan), np.full(count, np.nan)
    ends = np.stack([columns["to_lat"], columns["to_lon"]], axis=1)
    here = np.stack([columns["from_lat"], columns["from_lon"]], axis=1)
    start = np.stack([columns["start_lat"], columns["start_lon"]], axis=1)
    _, drive = np.unique(np.concatenate([start, ends], axis=1), axis=0, return_inverse=True)
    for number in range(int(drive.max()) + 1):
        rows = np.flatnonzero(drive.ravel() == number)
        base_s[rows], base_m[rows] = ways(here[rows], ends[rows[0]])
        for row in rows[columns["elapsed_s"][rows] > 0]:
            driven_s[row] = ways(start[row : row + 1], here[row])[0][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = columns["elapsed_s"] / np.maximum(driven_s, _LEAST_BASE_S)
    driven = np.where(columns["elapsed_s"] > 0, ratio, np.nan)
    return {"base_s": base_s, "base_m": base_m, "driven_ratio": driven}


def _steps_mps(time_ms: NDArray[np.int64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_lengths_m(places) / np.maximum(np.diff(time_ms) / 1000, 1e-3))


def _lengths_m(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return distances_m(places[:-1, 0], places[:-1, 1], places[1:, 0], places[1:, 1])
