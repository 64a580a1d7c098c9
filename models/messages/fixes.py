"""Fixes as packed records: what a packed frame carries, what the log holds and what history keeps.

A fix is one position that a device measured. The door checks and packs it once; from then on it is bytes that NumPy
reads in place, so no process decodes a ping twice. Positions are stored in steps of 1e-7 degrees (about a centimetre).
"""

from enum import IntEnum

import numpy as np

__all__ = [
    "DEGREE",
    "FIX",
    "STORED",
    "UNKNOWN_BATTERY",
    "UNKNOWN_SEQUENCE",
    "Outcome",
    "Reason",
    "Source",
]

DEGREE = 10_000_000
"""Steps of the packed `lat` and `lon` in one degree."""

UNKNOWN_SEQUENCE = -1
UNKNOWN_BATTERY = 255

FIX = np.dtype(
    [
        ("time", "<i8"),  # fix time, epoch ms
        ("device_time", "<i8"),  # when the device sent it, epoch ms; 0 = unknown
        ("seq", "<i8"),  # the device's own number of this ping, or UNKNOWN_SEQUENCE
        ("lat", "<i4"),  # 1e-7 degrees WGS 84
        ("lon", "<i4"),
        ("driver", "<u4"),  # in a packed frame: place in its list of drivers; in log and history: the driver's number
        ("speed", "<f4"),  # m/s; NaN = unknown
        ("heading", "<f4"),  # degrees from north, clockwise; NaN = unknown
        ("accuracy", "<f4"),  # metres, radius; NaN = unknown
        ("altitude", "<f4"),  # metres; NaN = unknown
        ("battery", "u1"),  # percent, or UNKNOWN_BATTERY
        ("source", "u1"),  # Source
        ("flags", "<u2"),  # spare, 0
    ]
)
"""One fix, 56 bytes, little-endian."""

STORED = np.dtype(
    [
        *((name, FIX.fields[name][0].str) for name in FIX.names),  # type: ignore[index, union-attr]  # always a record
        ("received", "<i8"),  # server time of its log entry, epoch ms
        ("position", "<u8"),  # place of its entry in the partition's log (`models.messages.log.entry_position`)
        ("outcome", "u1"),  # Outcome
        ("reason", "u1"),  # Reason
        ("pad", "<u2"),
        ("pad2", "<u4"),
    ]
)
"""One fix of history, 80 bytes: a `FIX` with what became of it."""


class Source(IntEnum):
    """Which way a fix came in."""

    HTTP = 0
    WEBSOCKET = 1
    TRACKING = 2
    OSMAND = 3
    OWNTRACKS = 4
    OVERLAND = 5
    GPSLOGGER = 6
    TRACCAR = 7


class Outcome(IntEnum):
    """What the shard made of a fix."""

    LIVE = 0
    """Newest of its driver: moved the live state."""
    LATE = 1
    """Older than the newest: kept in history, repairs trips and stops of its time."""
    FILTERED = 2
    """Noise: kept in history with a `Reason`, moves nothing."""
    DUPLICATE = 3
    """A repeat: acknowledged, changes nothing, stored nowhere."""


class Reason(IntEnum):
    """Why a fix was filtered."""

    NONE = 0
    ACCURACY = 1
    """Accuracy worse than the profile allows."""
    SPEED = 2
    """Implied speed over the profile's limit, both accuracies taken off."""
