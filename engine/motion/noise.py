"""Which fixes are noise: poor accuracy, or a speed that no vehicle drives.

Pure; the compiled functions change the driver's record in place. A filtered fix moves nothing. What insists is
believed in the end: three suspects in a row that agree with one another, or any fix after ten minutes without a good
one, re-anchor the driver, because a bad first fix or a long tunnel must not freeze a vehicle.
"""

import math

import numpy as np

from engine.compiled import rule
from models.geo import distance_m

__all__ = ["ACCEPTED", "JUMPED", "POOR", "SUSPECT", "judge"]

ACCEPTED = 0
"""A good fix."""
JUMPED = 1
"""Implausible, but believed: the driver is re-anchored."""
POOR = 2
"""Filtered for its accuracy."""
SUSPECT = 3
"""Filtered for the speed that it implies."""

AGREEING_SUSPECTS = 3  # two could be one reflection seen twice; with three at 10 s a vehicle is back after 30 s


@rule
def _known(accuracy: float) -> float:
    """Return an accuracy, or 0 where the device gave none."""
    return 0.0 if math.isnan(accuracy) else accuracy


@rule
def _is_too_fast(leg_m: float, slack_m: float, elapsed_ms: int, max_speed_mps: float) -> bool:
    return (leg_m - slack_m) * 1000.0 > max_speed_mps * elapsed_ms


@rule
def _agrees_with_suspect(driver: np.void, profile: np.void, time: int, lat: float, lon: float, accuracy: float) -> bool:
    """Tell whether a vehicle could have come here from the last suspect."""
    if driver["suspects"] == 0 or time <= driver["suspect_time"]:
        return False
    leg_m = distance_m(driver["suspect_lat"], driver["suspect_lon"], lat, lon)
    slack_m = _known(accuracy) + _known(driver["suspect_accuracy"])
    return not _is_too_fast(leg_m, slack_m, time - driver["suspect_time"], profile["max_speed_mps"])


@rule
def _forget_suspects(driver: np.void) -> None:
    if driver["suspects"] == 0:
        return
    driver["suspects"] = 0
    driver["suspect_time"] = 0
    driver["suspect_lat"] = driver["suspect_lon"] = 0.0
    driver["suspect_accuracy"] = np.nan


@rule
def judge(driver: np.void, profile: np.void, time: int, lat: float, lon: float, accuracy: float, leg_m: float) -> int:
    """Return ACCEPTED, JUMPED, POOR or SUSPECT for a fix newer than the driver's last good one.

    `leg_m` is the distance from that one. Only the driver's `suspect…` fields change. A poor fix neither joins nor
    breaks a row of suspects: it can't vouch for a place.
    """
    if accuracy > profile["max_accuracy_m"]:
        return POOR
    if driver["time"] == 0:
        return ACCEPTED
    elapsed_ms = time - driver["time"]
    slack_m = _known(accuracy) + _known(driver["accuracy"])
    if not _is_too_fast(leg_m, slack_m, elapsed_ms, profile["max_speed_mps"]):
        _forget_suspects(driver)
        return ACCEPTED
    suspects = 1
    if _agrees_with_suspect(driver, profile, time, lat, lon, accuracy):
        suspects = driver["suspects"] + 1
    if suspects >= AGREEING_SUSPECTS or elapsed_ms > profile["reanchor_gap_s"] * 1000.0:
        _forget_suspects(driver)
        return JUMPED
    driver["suspects"] = suspects
    driver["suspect_time"] = time
    driver["suspect_lat"] = lat
    driver["suspect_lon"] = lon
    driver["suspect_accuracy"] = accuracy
    return SUSPECT
