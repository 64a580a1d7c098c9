"""Live state of drivers as packed records: what shards publish and answer with, and what binary frames carry."""

from enum import IntEnum, IntFlag

import numpy as np

__all__ = ["LIVE", "LiveFlag", "Motion"]

LIVE = np.dtype(
    [
        ("driver", "<u4"),  # the driver's number
        ("lat", "<i4"),  # 1e-7 degrees WGS 84
        ("lon", "<i4"),
        ("speed", "<f4"),  # m/s: reported, else between the last two fixes; NaN = unknown
        ("time", "<i8"),  # fix time, epoch ms
        ("received", "<i8"),  # server time, epoch ms
        ("heading", "<f4"),  # degrees from north: reported, else between the last two fixes; NaN = unknown
        ("accuracy", "<f4"),  # metres; NaN = unknown
        ("motion", "u1"),  # Motion
        ("battery", "u1"),  # percent, or 255
        ("flags", "<u2"),  # LiveFlag
        ("stops", "<u4"),  # planned stops of the driver that are still open
    ]
)
"""Live state of one driver, 48 bytes, little-endian."""


class Motion(IntEnum):
    """What a driver is doing, by the stop rule."""

    UNKNOWN = 0
    STOPPED = 1
    MOVING = 2


class LiveFlag(IntFlag):
    """Yes-or-no facts of a live record."""

    ONLINE = 1
    """A ping came within the last five minutes."""
    STALE = 2
    """Read from a snapshot because the owning shard was away."""
