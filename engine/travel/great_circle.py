"""The last resort: the great circle with a learned pace. It always answers."""

import numpy as np
from numpy.typing import NDArray

from engine.travel.answers import Journey, Place, TravelLeg, TravelMatrix
from models.eta.base_time import PACES, base_leg, base_matrices

__all__ = ["GreatCircle"]


class GreatCircle:
    """Straight lines."""

    name = "great_circle"

    async def matrix(self, places: NDArray[np.float64], journey: Journey) -> TravelMatrix:
        """Return times and lengths as `models.eta.base_time` has them, at any time the same."""
        distance_m, duration_s = base_matrices(places[:, 0], places[:, 1], PACES[journey.profile])
        whole_s, whole_m = (np.rint(values).astype(np.int64) for values in (duration_s, distance_m))
        return TravelMatrix(whole_s, whole_m, self.name, None)

    async def leg(self, origin: Place, destination: Place, journey: Journey) -> TravelLeg:
        """Return the straight line."""
        leg = base_leg(*origin, *destination, PACES[journey.profile])
        return TravelLeg(origin, destination, leg.duration_s, leg.distance_m, (origin, destination), self.name, None)

    async def close(self) -> None:
        """There is nothing to let go of."""
