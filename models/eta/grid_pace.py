"""Base times of a city without a road network, along its street grid; and the frame in which places are seen.

`fixed + a·|x| + b·|y| + c·great circle`, x and y turned to the streets. In New York a metre across costs half as much
again as one along an avenue, which a great circle can't tell.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.eta.base_time import PACES
from models.geo import METRES_PER_DEGREE, distances_m

__all__ = ["GridPace"]

_CAR = PACES["car"]


@dataclass(frozen=True, slots=True)
class GridPace:
    """How one gets along in a city, by direction."""

    lat: float = 0.0
    """Middle of the frame, degrees."""
    lon: float = 0.0
    """Middle of the frame, degrees."""
    grid_deg: float = 0.0
    """How far the street grid is turned from north, clockwise."""
    fixed_s: float = _CAR.fixed_s
    """What every leg costs however short it is."""
    x_s_per_m: float = 0.0
    """Seconds a metre across."""
    y_s_per_m: float = 0.0
    """Seconds a metre along."""
    direct_s_per_m: float = 1 / _CAR.speed_mps
    """Seconds a metre of the great circle."""
    floor_m: float = 0.0
    """Legs are no shorter than this: places are only so exact."""
    detour: float = _CAR.detour
    """Way on the road ÷ great circle."""

    def great_circles_m(
        self, from_lat: ArrayLike, from_lon: ArrayLike, to_lat: ArrayLike, to_lon: ArrayLike
    ) -> NDArray[np.float64]:
        """Return great circles, metres, no shorter than the floor."""
        return np.maximum(distances_m(from_lat, from_lon, to_lat, to_lon), self.floor_m)

    def offsets_m(
        self, from_lat: NDArray[np.float64], from_lon: NDArray[np.float64], to_lat: ArrayLike, to_lon: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how far east and north the second places lie of the first, metres."""
        turn = (np.subtract(to_lon, from_lon) + 180.0) % 360.0 - 180.0  # the short way over the date line
        middle = np.radians(np.add(from_lat, to_lat) / 2)
        return turn * np.cos(middle) * METRES_PER_DEGREE, np.subtract(to_lat, from_lat) * METRES_PER_DEGREE

    def turned(
        self, east_m: NDArray[np.float64], north_m: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return offsets across and along the street grid."""
        sin, cos = np.sin(np.radians(self.grid_deg)), np.cos(np.radians(self.grid_deg))
        return east_m * cos - north_m * sin, east_m * sin + north_m * cos

    def places_m(
        self, lat: NDArray[np.float64], lon: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return places in the frame, metres across and along from its middle."""
        turn = (lon - self.lon + 180.0) % 360.0 - 180.0
        east_m = turn * np.cos(np.radians(self.lat)) * METRES_PER_DEGREE  # one scale for all: cells must not bend
        return self.turned(east_m, (lat - self.lat) * METRES_PER_DEGREE)

    def times_s(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return base times between places, degrees WGS 84, seconds."""
        x_m, y_m = self.turned(*self.offsets_m(from_lat, from_lon, to_lat, to_lon))
        direct_m = self.great_circles_m(from_lat, from_lon, to_lat, to_lon)
        grid_s = np.abs(x_m) * self.x_s_per_m + np.abs(y_m) * self.y_s_per_m
        return np.asarray(self.fixed_s + grid_s + direct_m * self.direct_s_per_m)
