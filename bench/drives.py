"""Vans that drive through the city to a stop of theirs, as columns: the fleet that shows what arrival estimates cost.

Each goes the fastest way between two places at a steady share of the roads' free speed, and stands at its end. Where it
is follows from the time alone, as with the fleet that circles (`bench.fleet`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bench.fleet import CENTRE, SPREAD_DEG, Fleet
from engine.roads.network import RoadNetwork
from models.geo import distance_m, distances_m
from models.messages.fixes import DEGREE

__all__ = ["Drives"]

_LEAST_M = 6000.0  # as the crow flies: a quarter of an hour, longer than a measurement
_PACES = (1.0, 1.4)  # time taken ÷ time on free roads
_BEHIND_SHARE = 0.2  # of its way that a van has behind it at most when the others set out
_SPAN_S = 1e6  # parts the vans on the common axis of time, on which each place is looked up
_TRIES = 50


class Drives(Fleet):
    """Vans `first` to `first + size` of those of a file that `make` has written.

    Parameters
    ----------
    file
        Where they are written down.
    """

    def __init__(self, file: Path, first: int, size: int) -> None:
        with np.load(file) as kept:
            starts = kept["starts"][first : first + size + 1]
            inside = slice(int(starts[0]), int(starts[-1]))
            seconds, self._knot_lat, self._knot_lon = (kept[name][inside] for name in ("seconds", "lat", "lon"))
            self._departs_ms = kept["departs_ms"][first : first + size]
        self.size = size
        self._ends_s = seconds[starts[1:] - starts[0] - 1]
        self._knots = np.repeat(np.arange(size) * _SPAN_S, np.diff(starts)) + seconds

    @classmethod
    def make(cls, file: Path, network: RoadNetwork, size: int, *, seed: int, start_ms: float) -> Self:
        """Look for the ways of `size` vans that are under way at an instant, and write them down."""
        dice = np.random.default_rng(seed)
        columns: list[tuple[NDArray[np.float64], ...]] = []
        departs_ms = []
        for _ in range(size):
            lat, lon, seconds = _way(network, dice)
            seconds = seconds * dice.uniform(*_PACES)
            departs_ms.append(start_ms - dice.uniform(0, _BEHIND_SHARE) * seconds[-1] * 1000)
            columns.append((lat, lon, seconds))
        lat, lon, seconds = (np.concatenate(parts) for parts in zip(*columns, strict=True))
        starts = np.cumsum([0, *(len(way[0]) for way in columns)])
        np.savez(file, starts=starts, lat=lat, lon=lon, seconds=seconds, departs_ms=np.array(departs_ms))
        return cls(file, 0, size)

    @property
    def stops(self) -> Sequence[tuple[float, float]]:
        """Return where each van is bound for, degrees."""
        last = np.searchsorted(self._knots, np.arange(1, self.size + 1) * _SPAN_S) - 1
        return list(zip(self._knot_lat[last].tolist(), self._knot_lon[last].tolist(), strict=True))

    def positions(
        self, members: NDArray[np.int64], times: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Return latitude and longitude (1e-7 degrees) and heading (degrees) of members at times."""
        lat, lon = self._places(members, times)
        later_lat, later_lon = self._places(members, times + 1000)
        heading = np.degrees(np.arctan2((later_lon - lon) * np.cos(np.radians(lat)), later_lat - lat)) % 360.0
        return (
            np.rint(lat * DEGREE).astype(np.int32),
            np.rint(lon * DEGREE).astype(np.int32),
            heading.astype(np.float32),
        )

    def speeds(self, members: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how fast members are at times, m/s."""
        lat, lon = self._places(members, times)
        later_lat, later_lon = self._places(members, times + 1000)
        return distances_m(lat, lon, later_lat, later_lon).astype(np.float32)

    def _places(
        self, members: NDArray[np.int64], times: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        driven_s = np.clip((times - self._departs_ms[members]) / 1000, 0.0, self._ends_s[members])
        at = members * _SPAN_S + driven_s
        return np.interp(at, self._knots, self._knot_lat), np.interp(at, self._knots, self._knot_lon)


def _way(
    network: RoadNetwork, dice: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the points of a way through the city, degrees, and the seconds from its begin to each on free roads."""
    for _ in range(_TRIES):
        lat, lon = (centre + SPREAD_DEG * dice.uniform(-1, 1, 2) for centre in CENTRE)
        if distance_m(lat[0], lon[0], lat[1], lon[1]) < _LEAST_M:
            continue
        leg = network.leg((lat[0], lon[0]), (lat[1], lon[1]))
        if leg is not None and np.isfinite(leg.seconds).all():
            return leg.latitudes, leg.longitudes, np.maximum.accumulate(leg.seconds)
    raise RuntimeError("the roads hardly reach where the fleet drives")
