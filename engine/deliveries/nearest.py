"""The order of stops that nobody has planned: what is urgent first, then always the nearest. Compiled."""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from models.geo import distance_m

__all__ = ["NOTHING", "nearest_first"]

NOTHING = -1
"""What a stop waits for that may be made at once."""


@rule
def nearest_first(
    urgency: NDArray[np.int64],
    waits_for: NDArray[np.int64],
    lat: NDArray[np.float64],
    lon: NDArray[np.float64],
    here: tuple[float, float],
) -> NDArray[np.int64]:
    """Return the places of N stops in the order of making them.

    Parameters
    ----------
    urgency
        Ranks; what is less goes first, of those that may be made.
    waits_for
        Place of the stop that has to be made before each one, or `NOTHING`.
    lat, lon
        Where the stops are, degrees.
    here
        Where the way begins, degrees; NaN where nobody knows: the first of the most urgent begins it.
    """
    count = lat.size
    order = np.empty(count, np.int64)
    is_made = np.zeros(count, np.bool_)
    here_lat, here_lon = here
    for turn in range(count):
        best, best_m = -1, np.inf
        for stop in range(count):
            if is_made[stop] or (waits_for[stop] >= 0 and not is_made[waits_for[stop]]):
                continue
            if best >= 0 and urgency[stop] > urgency[best]:
                continue
            away_m = 0.0 if np.isnan(here_lat) else distance_m(here_lat, here_lon, lat[stop], lon[stop])
            if best < 0 or urgency[stop] < urgency[best] or away_m < best_m:
                best, best_m = stop, away_m
        order[turn] = best
        is_made[best] = True
        here_lat, here_lon = lat[best], lon[best]
    return order
