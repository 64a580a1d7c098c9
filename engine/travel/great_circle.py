"""The last resort: the great circle with a learned pace. It always answers."""

import datetime

import numpy as np
from numpy.typing import NDArray

from engine.roads.barriers import Barrier
from engine.travel.answers import Place, TravelLeg, TravelMatrix
from models.documents.vehicle import VehicleProfile
from models.eta.base_time import PACES, base_leg, base_matrices

__all__ = ["GreatCircle"]


class GreatCircle:
    """Straight lines."""

    name = "great_circle"

    async def matrix(
        self,
        profile: VehicleProfile,
        places: NDArray[np.float64],
        at: datetime.datetime,
        lasts: datetime.timedelta,
        barriers: tuple[Barrier, ...] = (),
    ) -> TravelMatrix:
        """Return times and lengths as `models.eta.base_time` has them, at any time the same."""
        distance_m, duration_s = base_matrices(places[:, 0], places[:, 1], PACES[profile])
        whole_s, whole_m = (np.rint(values).astype(np.int64) for values in (duration_s, distance_m))
        return TravelMatrix(whole_s, whole_m, self.name, None)

    async def leg(
        self,
        profile: VehicleProfile,
        origin: Place,
        destination: Place,
        at: datetime.datetime,
        barriers: tuple[Barrier, ...] = (),
    ) -> TravelLeg:
        """Return the straight line."""
        leg = base_leg(*origin, *destination, PACES[profile])
        return TravelLeg(origin, destination, leg.duration_s, leg.distance_m, (origin, destination), self.name, None)

    async def close(self) -> None:
        """There is nothing to let go of."""
