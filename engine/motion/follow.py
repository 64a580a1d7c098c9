"""One fix of one driver: late, noise or live, and then motion and the live fix.

Pure; the compiled function changes the driver's record in place. `engine.shards.advance` runs it in log order,
`engine.motion.late` in the order of fix time: the same rule both times.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.motion.noise import JUMPED, POOR, SUSPECT, judge
from engine.motion.stops import begin, move
from engine.shards.events import EventKind, note
from models.geo import bearing_deg, distance_m
from models.messages.fixes import Outcome, Reason

__all__ = ["follow", "is_out_of_order"]

MIN_BEARING_M = 5.0  # below it the bearing between two fixes is the direction of their noise

_LIVE = int(Outcome.LIVE)
_LATE = int(Outcome.LATE)
_FILTERED = int(Outcome.FILTERED)
_NONE = int(Reason.NONE)
_ACCURACY = int(Reason.ACCURACY)
_SPEED = int(Reason.SPEED)
_REANCHORED = int(EventKind.REANCHORED)


@rule
def is_out_of_order(driver: np.void, time: int) -> bool:
    """Tell whether a fix would have met another state in order of fix time, so that a repair is due."""
    return time <= driver["time"] or (driver["suspects"] > 0 and time <= driver["suspect_time"])


@rule
def _take_live(driver: np.void, fix: np.void, received: int, lat: float, lon: float, leg_m: float) -> None:
    """Make this fix the driver's live one; speed and heading come from the last two fixes where not reported."""
    speed = fix["speed"]
    heading = fix["heading"]
    elapsed_s = (fix["time"] - driver["time"]) / 1000.0
    if driver["time"] != 0 and math.isnan(speed):
        speed = np.float32(leg_m / elapsed_s)
    if driver["time"] != 0 and math.isnan(heading):
        heading = driver["heading"]
        if leg_m >= MIN_BEARING_M:
            heading = np.float32(bearing_deg(driver["lat"], driver["lon"], lat, lon))
    driver["speed"] = speed
    driver["heading"] = heading
    driver["lat"] = lat
    driver["lon"] = lon
    driver["time"] = fix["time"]
    driver["device_time"] = fix["device_time"]
    driver["received"] = received
    driver["accuracy"] = fix["accuracy"]
    driver["battery"] = fix["battery"]


@rule
def follow(
    driver: np.void,
    profile: np.void,
    fix: np.void,
    received: int,
    lat: float,
    lon: float,
    events: NDArray[np.void],
    n: int,
) -> tuple[int, int, bool, int]:
    """Carry one driver over one fix that is no repeat.

    Returns
    -------
    tuple
        The fix's `Outcome` and `Reason`, whether it re-anchored the driver, and the new number of events.
    """
    time = fix["time"]
    accuracy = fix["accuracy"]
    if time <= driver["time"]:
        return _LATE, _NONE, False, n
    is_first = driver["time"] == 0
    leg_m = 0.0 if is_first else distance_m(driver["lat"], driver["lon"], lat, lon)
    verdict = judge(driver, profile, time, lat, lon, accuracy, leg_m)
    if verdict == POOR:
        return _FILTERED, _ACCURACY, False, n
    if verdict == SUSPECT:
        return _FILTERED, _SPEED, False, n
    is_jump = verdict == JUMPED
    if is_jump:
        n = note(events, n, _REANCHORED, 0, time, lat, lon, leg_m)
    if is_first:
        begin(driver, time, lat, lon)
    else:
        n = move(driver, profile, time, lat, lon, leg_m, is_jump, events, n)
    _take_live(driver, fix, received, lat, lon, leg_m)
    return _LIVE, _NONE, is_jump, n
