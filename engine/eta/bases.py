"""Base times: how long and far ways are before any model speaks. Pure.

Roads know best; where they have no way, the great circle with a usual pace answers. Each answer says which of both it
is, because a model is right only about the kind of base time that it was trained on.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.roads.hierarchy import CLOSED
from engine.roads.network import RoadNetwork
from engine.roads.snapping import Snaps
from engine.roads.weights import RoadWeights
from models.eta.base_time import BASES, PACES
from models.geo import distances_m

__all__ = ["BASES", "GREAT_CIRCLE", "PROFILES", "ROADS", "BaseTimes", "Bases", "GreatCircles", "RoadBases"]

PROFILES: tuple[str, ...] = tuple(PACES)
"""Vehicle profiles; shards keep a profile as its place here."""

GREAT_CIRCLE, ROADS = range(len(BASES))
"""Places in `BASES`."""

_SAME_PLACE_M = 30.0  # two addresses of one house
_DETOUR = np.array([PACES[name].detour for name in PROFILES])
_FIXED_S = np.array([PACES[name].fixed_s for name in PROFILES])
_SPEED_MPS = np.array([PACES[name].speed_mps for name in PROFILES])


class Bases(NamedTuple):
    """Base times of N ways."""

    metres: NDArray[np.float64]
    seconds: NDArray[np.float64]
    source: NDArray[np.uint8]
    """Places in `BASES`."""


class BaseTimes(Protocol):
    """Says how long and far ways are without a model."""

    traffic_at_s: float | None
    """Of when the traffic is that it knows, epoch seconds."""

    def between(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> Bases:
        """Return the base of each of N ways; `profile` are places in `PROFILES`."""

    def traffic_ratio(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> NDArray[np.float64]:
        """Return each way's time in the traffic of now ÷ its time on free roads; NaN where nobody knows."""


class GreatCircles:
    """The way of the crow with a detour and a pace."""

    traffic_at_s: float | None = None

    def between(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> Bases:
        """Return metres and seconds as `models.eta.base_time` says; what is nearer than a house takes no time."""
        away_m = distances_m(from_lat, from_lon, to_lat, to_lon)
        seconds = np.where(away_m < _SAME_PLACE_M, 0.0, _FIXED_S[profile] + away_m / _SPEED_MPS[profile])
        return Bases(away_m * _DETOUR[profile], seconds, np.zeros(len(away_m), np.uint8))

    def traffic_ratio(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> NDArray[np.float64]:
        """Return that nobody knows."""
        return np.full(len(from_lat), np.nan)


class RoadBases:
    """Ways on a network of roads when they are free; the great circle where it has none.

    Parameters
    ----------
    network
        Of the region.
    traffic
        The roads as they are now, by profile; a profile without counts as unknown.
    traffic_at_s
        Of when that is, epoch seconds.
    """

    def __init__(
        self,
        network: RoadNetwork,
        traffic: Mapping[str, RoadWeights] | None = None,
        traffic_at_s: float | None = None,
    ) -> None:
        self.network, self.traffic_at_s = network, traffic_at_s
        self._straight, self._traffic = GreatCircles(), traffic or {}
        # a profile that the map does not know has no roads
        self._names = {number: name for number, name in enumerate(PROFILES) if name in network.profiles}

    def between(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> Bases:
        """Return metres and free-flow seconds on the roads; what is nearer than a house takes no time."""
        found = self._straight.between(from_lat, from_lon, to_lat, to_lon, profile)
        for number, name in self._names.items():
            rows = np.flatnonzero((profile == number) & (found.seconds > 0))
            if not rows.size:
                continue
            start, end = self._snapped(name, rows, from_lat, from_lon), self._snapped(name, rows, to_lat, to_lon)
            packed = self.network.snapped_ways(start, end, self.network.free_flow(name))
            known = packed < CLOSED
            rows, packed = rows[known], packed[known]
            found.metres[rows] = (packed & 0xFFFFFFFF) / 10
            found.seconds[rows] = np.maximum((packed >> 32) / 1000, 1.0)
            found.source[rows] = ROADS
        return found

    def traffic_ratio(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> NDArray[np.float64]:
        """Return the fastest way's time in traffic ÷ the fastest way's on free roads; NaN where nobody knows."""
        ratio = np.full(len(from_lat), np.nan)
        for number, name in self._names.items():
            rows = np.flatnonzero(profile == number)
            if not rows.size or name not in self._traffic:
                continue
            start, end = self._snapped(name, rows, from_lat, from_lon), self._snapped(name, rows, to_lat, to_lon)
            free, now = (
                self.network.snapped_ways(start, end, weights)
                for weights in (self.network.free_flow(name), self._traffic[name])
            )
            known = (free < CLOSED) & (now < CLOSED) & (free >> 32 > 0)
            ratio[rows[known]] = (now[known] >> 32) / (free[known] >> 32)
        return ratio

    def _snapped(self, name: str, rows: NDArray[np.int64], lat: NDArray[np.float64], lon: NDArray[np.float64]) -> Snaps:
        return self.network.snap(lat[rows], lon[rows], name)
