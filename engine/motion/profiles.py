"""Thresholds of noise and motion by tenant: the default for vehicles, and one for parcel rounds.

Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT", "PARCEL", "PROFILE", "PROFILES", "MotionProfile", "limited_profiles", "pack_profiles"]


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
PARCEL = MotionProfile(radius_m=40.0, quiet_s=30.0)
"""Delivery rounds, door to door: chosen by `outrider bench motion` on one half of the labelled rounds of real couriers,
where it finds 78 % of the stops at 78 % precision on the other half; 60 m and 90 s find 44 %."""
PROFILES: Mapping[str, MotionProfile] = {"default": DEFAULT, "parcel": PARCEL}
"""Profiles by name; their order gives the index in a driver's record."""

PROFILE = np.dtype([(name, "<f8") for name in MotionProfile.__slots__])
"""A profile for the compiled rules."""


def limited_profiles(max_accuracy_m: float, max_speed_mps: float) -> dict[str, MotionProfile]:
    """Return `PROFILES` with an installation's own limits of noise."""
    return {
        name: replace(profile, max_accuracy_m=max_accuracy_m, max_speed_mps=max_speed_mps)
        for name, profile in PROFILES.items()
    }


def pack_profiles(profiles: Sequence[MotionProfile]) -> NDArray[np.void]:
    """Return profiles as `PROFILE` records; a driver's profile is an index into them."""
    return np.array([astuple(profile) for profile in profiles], dtype=PROFILE)
