"""Legs that were driven to their end, as those who train models need them. Pure.

A leg is kept with what was known when it began, and nothing that became known later but when it ended.
"""

import datetime
import hashlib
import math
from datetime import UTC
from typing import Any

from engine.eta.bases import PROFILES
from engine.eta.live import Finished
from engine.shards.stops import StopKind

__all__ = ["LEAST_LEG_S", "leg_of"]

LEAST_LEG_S = 5.0
"""What took less is no leg but the edge of a geofence, seconds."""


def leg_of(finished: Finished, tenant: str, driver: str, delivery: str, arrived_ms: int) -> dict[str, Any] | None:
    """Return a driven leg as MongoDB keeps it; None if it is not known how it began.

    Parameters
    ----------
    arrived_ms
        When the driver came to a halt there, epoch milliseconds.
    """
    head, stop = finished.head, finished.stop
    duration_s = (arrived_ms - int(head["leg_ms"])) / 1000
    if not finished.is_leg or duration_s < LEAST_LEG_S or not head["leg_base_s"] > 0:
        return None
    parts = ("leg", delivery, StopKind(int(stop["kind"])).name, driver, int(stop["born"]))
    return {
        "_id": hashlib.blake2b(repr(parts).encode(), digest_size=13).hexdigest(),
        "tenant": tenant,
        "driver": driver,
        "departed": _instant(int(head["leg_ms"])),
        "arrived": _instant(arrived_ms),
        "from": [float(head["leg_lat"]), float(head["leg_lon"])],
        "to": [float(stop["lat"]), float(stop["lon"])],
        "baseS": float(head["leg_base_s"]),
        "baseM": float(head["leg_base_m"]),
        "baseOf": int(head["leg_base"]),
        "stopsLeft": float(head["leg_stops_left"]),
        "serviceAheadS": float(head["leg_service_s"]),
        "weightKg": float(stop["weight_kg"]),
        "priority": max(0.0, float(stop["priority"]) - 1.0),
        "vehicle": PROFILES[int(head["profile"])],
        **_known(
            trafficRatio=float(head["leg_traffic"]),
            rainMmH=float(head["leg_rain_mm_h"]),
            temperatureC=float(head["leg_temperature_c"]),
            windMps=float(head["leg_wind_mps"]),
        ),
        **({"opens": _instant(int(stop["opens"]))} if stop["opens"] > 0 else {}),
    }


def _known(**values: float) -> dict[str, float]:
    """Return what is known of values that may be NaN."""
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _instant(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, tz=UTC)
