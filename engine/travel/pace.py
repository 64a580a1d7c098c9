"""From the times that a map promises to those that vehicles take: a fixed part a leg, and a factor by hour of the week.

Measured on the taxi trips of Porto (a Monday, 0 to 11 o'clock): real time is about 140 s, for pulling out, the last
metres and parking, and the free-flow time of the roads times 0.9 at night, 1.0 early, and 1.4 in the rush. Hours
outside that morning are set after the usual shape of a city's day.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.travel.answers import UNREACHABLE, TravelMatrix
from models.documents.vehicle import VehicleProfile

__all__ = ["FREE_PACE", "ROAD_PACES", "RoadPace", "as_driven"]

_NIGHT, _DAY, _RUSH, _EVENING = 0.9, 1.2, 1.4, 1.1
_WORKDAY = (*[_NIGHT] * 6, 1.0, 1.2, _RUSH, _RUSH, 1.3, *[_DAY] * 6, _RUSH, _RUSH, 1.3, *[_EVENING] * 2, 1.0, 1.0)
_WEEKEND = (*[_NIGHT] * 8, 1.0, 1.0, *[1.1] * 10, 1.0, 1.0, 1.0, _NIGHT)
_HOURS = (*_WORKDAY * 5, *_WEEKEND * 2)


@dataclass(frozen=True, slots=True)
class RoadPace:
    """How a kind of vehicle gets along on roads."""

    fixed_s: float
    """What every leg costs however short it is, seconds."""
    hours: tuple[float, ...]
    """168 factors on free-flow time, from Monday 0 o'clock local time."""

    def hourly(self, at: datetime.datetime, lasts: datetime.timedelta, zone: ZoneInfo) -> list[float]:
        """Return the factors of the hours of a while that begins at an instant; at least one."""
        local = at.astimezone(zone)
        first = local.weekday() * 24 + local.hour
        count = max(1, round(lasts.total_seconds() / 3600))
        return [self.hours[(first + hour) % len(self.hours)] for hour in range(count)]


ROAD_PACES: Mapping[VehicleProfile, RoadPace] = {
    "car": RoadPace(140.0, _HOURS),
    "van": RoadPace(140.0, _HOURS),
    "truck": RoadPace(170.0, _HOURS),
    "bike": RoadPace(45.0, (1.0,) * 168),
}
"""By vehicle profile. Those of cars are measured; the others are set in proportion."""


FREE_PACE = RoadPace(0.0, (1.0,) * 168)
"""Of times that are to stay as they are."""


def as_driven(matrix: TravelMatrix, pace: RoadPace, factor: float | NDArray[np.float64]) -> TravelMatrix:
    """Return free-flow times as vehicles drive them; from a place to itself it stays nothing."""
    is_way = (matrix.duration_s < UNREACHABLE) & ((matrix.distance_m > 0) | (matrix.duration_s > 0))
    driven_s = np.where(is_way, np.rint(pace.fixed_s + factor * matrix.duration_s), matrix.duration_s)
    return replace(matrix, duration_s=driven_s.astype(np.int64))
