"""The live state of a driver, as callers see it."""

import math
from dataclasses import dataclass

import numpy as np

from models.messages.fixes import DEGREE, UNKNOWN_BATTERY
from models.messages.live import LiveFlag, Motion

__all__ = ["LiveDriver", "live_driver"]


@dataclass(frozen=True, slots=True)
class LiveDriver:
    """Where a driver is and what it does. None is unknown."""

    id: str
    name: str
    latitude: float
    longitude: float
    time: int
    """Fix time, epoch ms."""
    received: int
    """Server time, epoch ms."""
    speed: float | None
    """Metres a second."""
    heading: float | None
    """Degrees from north."""
    accuracy: float | None
    """Metres."""
    battery: int | None
    """Percent."""
    motion: str
    """`unknown`, `stopped` or `moving`."""
    online: bool
    open_stops: int
    stale: bool
    """Read from a snapshot because the owning shard was away."""


def live_driver(record: np.void, identifier: str, name: str) -> LiveDriver:
    """Return a `LIVE` record as callers see it."""
    battery = int(record["battery"])
    return LiveDriver(
        id=identifier,
        name=name,
        latitude=int(record["lat"]) / DEGREE,
        longitude=int(record["lon"]) / DEGREE,
        time=int(record["time"]),
        received=int(record["received"]),
        speed=_known(record["speed"]),
        heading=_known(record["heading"]),
        accuracy=_known(record["accuracy"]),
        battery=None if battery == UNKNOWN_BATTERY else battery,
        motion=Motion(int(record["motion"])).name.lower(),
        online=bool(int(record["flags"]) & LiveFlag.ONLINE),
        open_stops=int(record["stops"]),
        stale=bool(int(record["flags"]) & LiveFlag.STALE),
    )


def _known(value: np.float32) -> float | None:
    number = float(value)
    return None if math.isnan(number) else round(number, 2)
