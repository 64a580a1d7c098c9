"""Arrival at the planned stops of deliveries, and leaving them.

Pure; the compiled function changes the stop records in place. A driver has arrived when inside a stop's radius and
standing still, or inside for 30 seconds: a van in a queue at the gate counts, one that drives past does not.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.shards.events import EventKind, note, note_start
from engine.shards.stops import StopState
from models.geo import distance_m
from models.messages.live import Motion

__all__ = ["visit_stops"]

INSIDE_MS = 30_000
"""Time inside a stop's radius that counts as arrival without standing still."""
MIN_MARGIN_M = 15.0
"""How far out of the radius a driver must be to have left, or the fix's accuracy where that is worse."""
METRES_PER_DEGREE = 111_194.9  # of latitude, on the sphere of models.geo: a cheap look before the distance

_OUTSIDE = int(StopState.OUTSIDE)
_INSIDE = int(StopState.INSIDE)
_ARRIVED = int(StopState.ARRIVED)
_LEFT = int(StopState.LEFT)
_STANDING = int(Motion.STOPPED)
_EVENT_ARRIVED = int(EventKind.STOP_ARRIVED)
_EVENT_LEFT = int(EventKind.STOP_LEFT)


@rule
def _leave(stop: np.void, driver: np.void, beyond_m: float, margin_m: float, events: NDArray[np.void], n: int) -> int:
    """See whether a driver that has arrived is gone: beyond the margin and moving, or twice in a row.

    One far fix of a parked receiver is neither.
    """
    if beyond_m <= margin_m:
        stop["hits"] = 0
        return n
    stop["hits"] += 1
    if stop["hits"] < 2 and driver["motion"] == _STANDING:
        return n
    time = driver["time"]
    n = note(events, n, _EVENT_LEFT, stop["key"], time, driver["lat"], driver["lon"], (time - stop["since"]) / 1000.0)
    note_start(events, n, stop["since"], stop["lat"], stop["lon"])
    events[n - 1]["value2"] = stop["delivery"]
    stop["state"] = _LEFT
    stop["hits"] = 0
    return n


@rule
def _arrive(stop: np.void, driver: np.void, away_m: float, events: NDArray[np.void], n: int) -> int:
    """Arrive at a stop: the event's time is the fix that showed it, its start the first fix inside."""
    n = note(events, n, _EVENT_ARRIVED, stop["key"], driver["time"], driver["lat"], driver["lon"], away_m)
    note_start(events, n, stop["since"], stop["lat"], stop["lon"])
    events[n - 1]["value2"] = stop["delivery"]
    stop["state"] = _ARRIVED
    stop["since"] = driver["time"]
    stop["hits"] = 0
    return n


@rule
def visit_stops(driver: np.void, stops: NDArray[np.void], events: NDArray[np.void], n: int) -> int:
    """Carry a driver's open stops over its new live fix and return the new number of events."""
    margin_m = MIN_MARGIN_M
    if not math.isnan(driver["accuracy"]):
        margin_m = max(margin_m, driver["accuracy"])
    place = driver["stop_head"]
    while place >= 0:
        stop = stops[place]
        place = stop["next"]
        is_near = abs(stop["lat"] - driver["lat"]) * METRES_PER_DEGREE <= stop["radius_m"]
        if not is_near and (stop["state"] == _OUTSIDE or stop["state"] == _LEFT):
            continue
        away_m = distance_m(stop["lat"], stop["lon"], driver["lat"], driver["lon"])
        if stop["state"] == _ARRIVED:
            n = _leave(stop, driver, away_m - stop["radius_m"], margin_m, events, n)
            continue
        if away_m > stop["radius_m"]:
            if stop["state"] == _INSIDE and away_m > stop["radius_m"] + margin_m:
                stop["state"] = _OUTSIDE
            continue
        if stop["state"] != _INSIDE:
            stop["state"] = _INSIDE
            stop["since"] = driver["time"]
        if driver["motion"] == _STANDING or driver["time"] - stop["since"] >= INSIDE_MS:
            n = _arrive(stop, driver, away_m, events, n)
    return n
