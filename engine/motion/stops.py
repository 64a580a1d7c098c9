"""Stops and departures, by distance from an anchor.

Pure; the compiled functions change the driver's record in place and see only fixes that are newer than the last and
not noise. A standing driver departs when a fix is a radius away from the anchor. A moving driver's anchor is the
newest place that may become a stop: where the last fast leg ended. When every fix since has stayed inside the radius
for the quiet time, the driver has stood there since the anchor's time. Legs slower than radius ÷ quiet time are slow:
a trip starts where the last slow leg ended, which takes the walk-back of a batch rule in one step.
"""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.shards.events import EventKind, note, note_start
from models.geo import distance_m
from models.messages.live import Motion

__all__ = ["begin", "move"]

GAP_SPEED_MPS = 10.0
"""Assumed speed over an hour-long gap, so that the trip is put at its end: the driver stood before it."""

_UNKNOWN = int(Motion.UNKNOWN)
_STOPPED = int(Motion.STOPPED)
_MOVING = int(Motion.MOVING)
_EVENT_STOPPED = int(EventKind.STOPPED)
_EVENT_DEPARTED = int(EventKind.DEPARTED)
_EVENT_TRIP_ENDED = int(EventKind.TRIP_ENDED)


@rule
def _anchor_at(driver: np.void, time: int, lat: float, lon: float, path_m: float) -> None:
    driver["anchor_time"] = time
    driver["anchor_lat"] = lat
    driver["anchor_lon"] = lon
    driver["anchor_path_m"] = path_m


@rule
def _rest_at(driver: np.void, time: int, lat: float, lon: float) -> None:
    driver["rest_time"] = time
    driver["rest_lat"] = lat
    driver["rest_lon"] = lon
    driver["rest_path_m"] = driver["path_m"]


@rule
def begin(driver: np.void, time: int, lat: float, lon: float) -> None:
    """Take the first good fix of a driver."""
    driver["motion"] = _UNKNOWN
    driver["path_m"] = 0.0
    driver["settled"] = 0
    _anchor_at(driver, time, lat, lon, 0.0)
    _rest_at(driver, time, lat, lon)


@rule
def _depart(driver: np.void, time: int, lat: float, lon: float, path_m: float, events: NDArray[np.void], n: int) -> int:
    """Set off at a time and place; `path_m` has been driven since."""
    stood_since = driver["anchor_time"] if driver["motion"] == _STOPPED else 0
    stood_s = (time - stood_since) / 1000.0 if stood_since else 0.0
    n = note(events, n, _EVENT_DEPARTED, 0, time, lat, lon, stood_s)
    if stood_since:
        note_start(events, n, stood_since, driver["anchor_lat"], driver["anchor_lon"])
    driver["motion"] = _MOVING
    driver["trip_time"] = time
    driver["trip_lat"] = lat
    driver["trip_lon"] = lon
    driver["trip_odometer_m"] = driver["odometer_m"]
    driver["odometer_m"] += path_m
    return n


@rule
def _end_trip(driver: np.void, events: NDArray[np.void], n: int) -> int:
    """End the open trip at the anchor; what was driven since was inside the stop."""
    driver["odometer_m"] -= driver["path_m"] - driver["anchor_path_m"]
    trip_m = driver["odometer_m"] - driver["trip_odometer_m"]
    n = note(events, n, _EVENT_TRIP_ENDED, 0, driver["anchor_time"], driver["anchor_lat"], driver["anchor_lon"], trip_m)
    note_start(events, n, driver["trip_time"], driver["trip_lat"], driver["trip_lon"])
    return n


@rule
def _stop(driver: np.void, time: int, lat: float, lon: float, events: NDArray[np.void], n: int) -> int:
    """Stand at the anchor since its time, as the fix at `time` shows.

    Afterwards the motion state is a function of the anchor, this fix and the odometer alone: that makes every stop a
    place where a repair can start (`engine.motion.late`).
    """
    if driver["motion"] == _MOVING:
        n = _end_trip(driver, events, n)
    driver["motion"] = _STOPPED
    driver["path_m"] = 0.0
    driver["anchor_path_m"] = 0.0
    driver["settled"] = 0
    driver["trip_time"] = 0
    driver["trip_lat"] = driver["trip_lon"] = driver["trip_odometer_m"] = 0.0
    _rest_at(driver, time, lat, lon)
    return note(
        events,
        n,
        _EVENT_STOPPED,
        0,
        driver["anchor_time"],
        driver["anchor_lat"],
        driver["anchor_lon"],
        driver["odometer_m"],
    )


@rule
def _cross_gap(
    driver: np.void, time: int, lat: float, lon: float, leg_m: float, driven_m: float, events: NDArray[np.void], n: int
) -> int:
    """Stop, trip, stop: what happened in the silence is unknown, but the driver came from there to here."""
    if driver["motion"] == _MOVING:
        _anchor_at(driver, driver["time"], driver["lat"], driver["lon"], driver["path_m"])
    if driver["motion"] != _STOPPED:
        n = _stop(driver, driver["time"], driver["lat"], driver["lon"], events, n)
    left = max(driver["time"], time - int(1000.0 * leg_m / GAP_SPEED_MPS))
    n = _depart(driver, left, driver["lat"], driver["lon"], driven_m, events, n)
    driver["path_m"] += driven_m
    _anchor_at(driver, time, lat, lon, driver["path_m"])
    return _stop(driver, time, lat, lon, events, n)


@rule
def _stand(
    driver: np.void,
    profile: np.void,
    time: int,
    lat: float,
    lon: float,
    is_slow: bool,
    events: NDArray[np.void],
    n: int,
) -> int:
    """Carry a driver that stands, or of whom nothing is known yet, over one fix."""
    radius_m = profile["radius_m"]
    away_m = distance_m(driver["anchor_lat"], driver["anchor_lon"], lat, lon)
    if away_m >= radius_m:
        path_m = driver["path_m"] - driver["rest_path_m"]
        n = _depart(driver, driver["rest_time"], driver["rest_lat"], driver["rest_lon"], path_m, events, n)
        driver["settled"] = 0
        _anchor_at(driver, time, lat, lon, driver["path_m"])
        return n
    # A fast leg near the anchor is the jitter of a parked receiver, not a start.
    if is_slow or away_m < radius_m / 2:
        _rest_at(driver, time, lat, lon)
    if driver["motion"] == _UNKNOWN and time - driver["anchor_time"] >= profile["quiet_s"] * 1000.0:
        n = _stop(driver, time, lat, lon, events, n)
    return n


@rule
def _drive(
    driver: np.void,
    profile: np.void,
    time: int,
    lat: float,
    lon: float,
    is_slow: bool,
    driven_m: float,
    events: NDArray[np.void],
    n: int,
) -> int:
    """Carry a moving driver over one fix: keep or move the anchor, and see whether it has become a stop."""
    away_m = distance_m(driver["anchor_lat"], driver["anchor_lon"], lat, lon)
    is_out = away_m >= profile["radius_m"]
    if is_slow and (is_out or not driver["settled"]):
        _anchor_at(driver, driver["time"], driver["lat"], driver["lon"], driver["path_m"] - driven_m)
        driver["settled"] = 1
    elif is_out:
        _anchor_at(driver, time, lat, lon, driver["path_m"])
        driver["settled"] = 0
    if time - driver["anchor_time"] >= profile["quiet_s"] * 1000.0:
        n = _stop(driver, time, lat, lon, events, n)
    return n


@rule
def move(
    driver: np.void,
    profile: np.void,
    time: int,
    lat: float,
    lon: float,
    leg_m: float,
    is_jump: bool,
    events: NDArray[np.void],
    n: int,
) -> int:
    """Carry motion over one good fix and return the new number of events.

    The record's live fix is still the one before, `leg_m` away. A jump (re-anchoring) is a leg of unknown course: it
    adds nothing to distances.
    """
    elapsed_ms = time - driver["time"]
    driven_m = 0.0 if is_jump else leg_m
    if elapsed_ms > profile["gap_s"] * 1000.0 and leg_m >= profile["radius_m"]:
        return _cross_gap(driver, time, lat, lon, leg_m, driven_m, events, n)
    is_slow = leg_m < profile["radius_m"] and leg_m * profile["quiet_s"] * 1000.0 <= profile["radius_m"] * elapsed_ms
    driver["path_m"] += driven_m
    if driver["motion"] == _MOVING:
        driver["odometer_m"] += driven_m
        return _drive(driver, profile, time, lat, lon, is_slow, driven_m, events, n)
    return _stand(driver, profile, time, lat, lon, is_slow, events, n)
