"""A city whose ways are straight, for tests and notebooks: it needs no map, and a day of it takes a blink."""

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.geo import distance_m
from pipelines.fleet.doorsteps import Doorsteps
from pipelines.fleet.drive import Way
from pipelines.fleet.simulate import City

__all__ = ["StraightWays", "straight_city"]

_BOX = (41.10, -8.72, 41.22, -8.52)  # south, west, north, east: about Porto
_DEPOT = (41.17, -8.60)
_DOORS = 2_000
_SPEED_MPS = 11.1
_STEP_M = 50.0


class StraightWays:
    """Every way is straight, at 40 km/h."""

    def way(self, origin: tuple[float, float], destination: tuple[float, float]) -> Way:
        """Return the way between two places, degrees, as a point every 50 m."""
        metres = float(distance_m(*origin, *destination))
        share: NDArray[np.float64] = np.linspace(0.0, 1.0, max(2, int(metres / _STEP_M)), dtype=np.float64)
        latitude = origin[0] + (destination[0] - origin[0]) * share
        longitude = origin[1] + (destination[1] - origin[1]) * share
        along_m = share * metres
        return Way(np.asarray(latitude), np.asarray(longitude), np.asarray(along_m / _SPEED_MPS), np.asarray(along_m))


def straight_city(seed: int = 1) -> City:
    """Return a city of 2,000 doors; the same seed is the same city."""
    rng = np.random.default_rng(seed)
    south, west, north, east = _BOX
    doors = Doorsteps.simulate(rng, rng.uniform(south, north, _DOORS), rng.uniform(west, east, _DOORS))
    return City(StraightWays(), doors, _DEPOT, _BOX, ZoneInfo("Europe/Lisbon"))
