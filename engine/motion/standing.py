"""Where a driver stands: the mean of the fixes since it came to a halt.

Pure; the compiled function changes the driver's record in place. A single fix of a parked receiver lies some metres
off, which is enough to put a van on the next street and a leg's base time off by minutes. Of one that moves, the
place is that of its last fix.
"""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from models.geo import distance_m

__all__ = ["MOVED", "ROLLS", "STANDING", "STANDS", "stand", "stood_at"]

STANDS, MOVED, ROLLS = range(3)
"""What the last fix said: it is where the driver stood, it is elsewhere, or the receiver says itself that it moves."""

_ROLLING_MPS = 0.7  # receivers that know their speed by Doppler shift err by some 0.3 m/s
_APART_M = 15.0  # a fix further off is elsewhere
_MOST_FIXES = 60  # the mean follows who is pushed along a queue

STANDING = np.dtype(
    [("stood_lat", "<f8"), ("stood_lon", "<f8"), ("stood_n", "<u2"), ("moves", "u1"), ("pad", "u1", (5,))]
)
"""What is kept of where a driver stands; the fields are those of its record."""


@rule
def stand(driver: np.void, speed_mps: float, lat: float, lon: float) -> None:
    """Carry the place where a driver stands over one live fix; `speed_mps` as reported, NaN where it was not."""
    driver["moves"] = STANDS
    if speed_mps >= _ROLLING_MPS:
        driver["moves"] = ROLLS
    elif driver["stood_n"] == 0 or distance_m(driver["stood_lat"], driver["stood_lon"], lat, lon) > _APART_M:
        driver["moves"] = MOVED
    if driver["moves"] != STANDS:
        driver["stood_n"] = 1
        driver["stood_lat"] = lat
        driver["stood_lon"] = lon
        return
    driver["stood_n"] = min(driver["stood_n"] + 1, _MOST_FIXES)
    driver["stood_lat"] += (lat - driver["stood_lat"]) / driver["stood_n"]
    driver["stood_lon"] += (lon - driver["stood_lon"]) / driver["stood_n"]


def stood_at(
    speeds_mps: NDArray[np.float32], lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where one driver was taken to be at each of its live fixes, degrees."""
    return _stood_at(np.zeros(1, STANDING), speeds_mps, lat, lon)


@rule
def _stood_at(
    state: NDArray[np.void], speeds_mps: NDArray[np.float32], lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at_lat, at_lon = np.empty(len(lat)), np.empty(len(lat))
    driver = state[0]
    for place in range(len(lat)):
        stand(driver, speeds_mps[place], lat[place], lon[place])
        at_lat[place], at_lon[place] = driver["stood_lat"], driver["stood_lon"]
    return at_lat, at_lon
