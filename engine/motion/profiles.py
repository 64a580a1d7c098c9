"""Thresholds of noise and motion by tenant: the default for vehicles, and one for parcel rounds.

Pure.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT", "PARCEL", "PROFILE", "MotionProfile", "pack_profiles"]


@dataclass(frozen=True, slots=True)
class MotionProfile:
    """When a fix is noise and when a driver stands still."""

    radius_m: float = 200.0
    """Distance from the anchor that ends a stop, metres."""
    quiet_s: float = 180.0
    """How long every fix must stay inside the radius, seconds of fix time."""
    max_accuracy_m: float = 200.0
    """A fix that claims a worse accuracy is filtered, metres."""
    max_speed_mps: float = 70.0
    """A fix that implies more, both accuracies taken off, is filtered, metres a second."""
    gap_s: float = 3600.0
    """After a longer silence with enough distance the drive between is unknown: stop, trip, stop."""
    reanchor_gap_s: float = 600.0
    """After a longer silence a fix is believed however far away it is: a ferry must not freeze a vehicle."""


DEFAULT = MotionProfile()
"""Vehicles between places."""
PARCEL = MotionProfile(radius_m=60.0, quiet_s=90.0)
"""Delivery rounds, door to door."""

PROFILE = np.dtype([(name, "<f8") for name in MotionProfile.__slots__])
"""A profile for the compiled rules."""


def pack_profiles(profiles: Sequence[MotionProfile]) -> NDArray[np.void]:
    """Return profiles as `PROFILE` records; a driver's profile is an index into them."""
    return np.array([astuple(profile) for profile in profiles], dtype=PROFILE)
