"""What a phone app or tracker told, whichever protocol it spoke.

Pure. Decoders are forgiving: an app repeats for ever, or deletes, what it is refused, so a field that makes no sense is
unknown and a position that makes no sense is a bad fix to be counted, never an error to the device.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from models.messages.fixes import Source

__all__ = ["KNOT_MPS", "DeviceFix", "Report", "moment_ms", "number", "percent", "read_fix"]

KNOT_MPS = 1852 / 3600
_MILLISECONDS_FROM = 2**31  # a timestamp from here on is in milliseconds: in seconds it would be after 2038


@dataclass(frozen=True, slots=True)
class DeviceFix:
    """One position, in our units; None is unknown."""

    time_ms: int
    latitude: float
    longitude: float
    speed_mps: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None
    altitude_m: float | None = None
    battery_pct: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that one request held."""

    source: Source
    device: str | None
    """The device's own name for itself."""
    fixes: tuple[DeviceFix, ...] = ()
    bad: int = 0
    """Positions that could not be read."""
    events: tuple[str, ...] = field(default=())
    """What else it told: `heartbeat`, `alarm:sos`, …"""


def number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def percent(value: Any) -> int | None:
    """Return a whole percentage from 0 to 100, or None."""
    found = number(value)
    return None if found is None or not 0 <= found <= 100 else round(found)


def moment_ms(value: Any) -> int | None:
    """Return epoch milliseconds of a timestamp in seconds, milliseconds or ISO 8601 (UTC where no zone is given)."""
    found = number(value)
    if found is not None:
        return round(found if abs(found) >= _MILLISECONDS_FROM else found * 1000)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(value.strip())
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def read_fix(
    fields: Mapping[str, Any], *, time: Any, speed_unit_mps: float = 1.0, battery_unit_pct: float = 1.0
) -> DeviceFix | None:
    """Return the fix in a mapping with our names, or None where time or place can't be read.

    Parameters
    ----------
    fields
        `latitude`, `longitude`, `speed`, `heading`, `accuracy`, `altitude`, `battery`; absent ones are unknown.
    time
        Timestamp in any form of `moment_ms`.
    speed_unit_mps
        Metres a second in one unit of `speed`.
    battery_unit_pct
        Percent in one unit of `battery`.
    """
    time_ms, latitude, longitude = moment_ms(time), number(fields.get("latitude")), number(fields.get("longitude"))
    if time_ms is None or latitude is None or longitude is None:
        return None
    speed, heading = number(fields.get("speed")), number(fields.get("heading"))
    accuracy, battery = number(fields.get("accuracy")), number(fields.get("battery"))
    return DeviceFix(
        time_ms=time_ms,
        latitude=latitude,
        longitude=longitude,
        speed_mps=speed * speed_unit_mps if speed is not None and speed >= 0 else None,  # -1 says unknown
        heading_deg=heading % 360 if heading is not None and heading >= 0 else None,
        accuracy_m=accuracy if accuracy is not None and accuracy >= 0 else None,
        altitude_m=number(fields.get("altitude")),
        battery_pct=percent(battery * battery_unit_pct) if battery is not None and battery >= 0 else None,
    )
