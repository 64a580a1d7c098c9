"""Arrivals that a delivery's new status tells of: whoever hands over has been there, though nobody saw a halt.

Pure. A hand-over of twenty seconds is over before a halt is believed, and who goes next door on foot does not move.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.deliveries.arrival import arrive
from engine.shards.drivers import DriverTable
from engine.shards.events import EVENT
from engine.shards.stops import StopState
from models.geo import distance_m

__all__ = ["reported_arrivals"]

_REACHED: Mapping[str, Literal["pickup", "dropoff"] | None] = {
    "picked_up": "pickup",
    "in_transit": "pickup",
    "arrived": "dropoff",
    "delivered": "dropoff",
    "failed": None,  # whichever the driver is at
}
"""Which stops a driver has reached of whose delivery that is said."""


def reported_arrivals(drivers: DriverTable, delivery: int, status: str, position: int) -> NDArray[np.void]:
    """Return the `EVENT` records of arrivals, and let the stops have been reached.

    A driver that is not within a stop's radius has not arrived there, whatever is said.

    Parameters
    ----------
    drivers
        Of the shard; their stops are changed.
    delivery, status
        The shard's key of a delivery, and what it has become.
    position
        Of the log entry that says so.
    """
    stops = drivers.stops.at(delivery, _REACHED[status]) if status in _REACHED else []
    inside = [stop for stop in stops if stop["state"] == StopState.INSIDE]
    events: NDArray[np.void] = np.zeros(len(inside), EVENT)
    for place, stop in enumerate(inside):
        driver = drivers.records[stop["row"]]
        away_m = distance_m(stop["lat"], stop["lon"], driver["stood_lat"], driver["stood_lon"])
        arrive(stop, driver, away_m, events, place)
        events[place]["row"], events[place]["driver"] = stop["row"], driver["number"]
    events["index"], events["position"] = -1, position
    return events
