"""Whether a ping has been seen: each driver remembers the identities of its last 32 pings.

Pure. An identity is the device's own number of the ping where it has one, else the fix time and the position to
1e-5 degrees. The memory answers exactly for the last 32 different pings of a driver, in order of arrival. An older
repeat is older than the live fix and so counts as late: it moves nothing, and `engine.motion.late.dedupe` drops it by
the same identity when history is read or repaired.
"""

import numpy as np

from engine.compiled import rule
from models.messages.fixes import UNKNOWN_SEQUENCE

__all__ = ["CELL", "REMEMBERED", "identity", "is_repeat"]

REMEMBERED = 32
"""Identities that a driver's record holds."""
CELL = 100
"""Packed steps of 1e-7 degrees in the 1e-5 degrees of an identity."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_NUMBERED = np.uint64(1)
_TIMED = np.uint64(2)


@rule
def _mix(value: np.uint64) -> np.uint64:
    """Return a bijective scramble of 64 bits (the finaliser of SplitMix64)."""
    value = (value ^ (value >> _S30)) * _MIX1
    value = (value ^ (value >> _S27)) * _MIX2
    return value ^ (value >> _S31)


@rule
def identity(seq: int, time: int, lat: int, lon: int) -> np.uint64:
    """Return a 64-bit identity of a ping; `lat` and `lon` are packed. Never 0."""
    if seq != UNKNOWN_SEQUENCE:
        mixed = _mix(np.uint64(seq) + _GOLDEN) ^ _NUMBERED
    else:
        place = (np.int64(lat) + CELL // 2) // CELL * np.int64(1 << 32) + (np.int64(lon) + CELL // 2) // CELL
        mixed = _mix(_mix(np.uint64(time) + _GOLDEN) ^ np.uint64(place)) ^ _TIMED
    return mixed if mixed != np.uint64(0) else _GOLDEN


@rule
def is_repeat(driver: np.void, number: np.uint64) -> bool:
    """Tell whether the driver remembers this identity, and remember it."""
    ring = driver["ring"]
    for slot in range(REMEMBERED):
        if ring[slot] == number:
            return True
    ring[driver["ring_next"]] = number
    driver["ring_next"] = (driver["ring_next"] + 1) % REMEMBERED
    return False
