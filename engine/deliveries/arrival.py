"""Arrival at the planned stops of deliveries, and leaving them.

Pure; the compiled function changes the stop records in place. A driver has arrived when inside a stop's radius and
standing still, or keeping to one place there for 30 seconds: a van in a queue at the gate counts, one that crawls past
in traffic does not. The arrival dates from when the driver stopped rolling. Some way from the door it takes longer to
believe, for lights turn red and vans stand where the stop before was. So does a stop that by the plan is not yet in
turn, and none is believed while the driver is at another: vans pass later stops all day.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.motion.standing import ROLLS, STANDS
from engine.shards.events import EventKind, note, note_start
from engine.shards.stops import NO_TURN, StopState
from models.geo import METRES_PER_DEGREE, distance_m
from models.messages.live import Motion

__all__ = ["arrive", "visit_stops"]

HALT_MS = 30_000
"""Time in one place within a stop's radius that counts as arrival, whatever the motion profile calls standing."""
OUT_OF_TURN_MS = 90_000
"""The same for a stop whose turn has not come, or some way from the door: longer than a red light."""
HALT_M = 30.0
"""How far apart two fixes of one place may be: a parked receiver's drift."""
MOST_ROLL_MS = 5_000
"""Longest that a driver is taken to have rolled on unseen: who sends nothing while standing did not roll so long."""
MIN_MARGIN_M = 15.0
"""How far out of the radius a driver must be to have left, or the fix's accuracy where that is worse."""

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
def arrive(stop: np.void, driver: np.void, away_m: float, events: NDArray[np.void], n: int) -> int:
    """Arrive at a stop: the event's time is when the driver came to a halt, its start the first fix inside."""
    time = max(stop["halt_time"], stop["still_time"])
    n = note(events, n, _EVENT_ARRIVED, stop["key"], time, driver["lat"], driver["lon"], away_m)
    note_start(events, n, stop["since"], stop["lat"], stop["lon"])
    events[n - 1]["value2"] = stop["delivery"]
    stop["state"] = _ARRIVED
    stop["since"] = time
    stop["hits"] = 0
    return n


@rule
def _come_inside(stop: np.void, driver: np.void) -> None:
    """Take the first fix within a stop's radius."""
    stop["state"] = _INSIDE
    stop["since"] = stop["halt_time"] = stop["still_time"] = driver["time"]
    stop["halt_lat"] = driver["lat"]
    stop["halt_lon"] = driver["lon"]
    stop["rolled"] = 1


@rule
def _halt(stop: np.void, driver: np.void) -> None:
    """Note since when the driver has kept to one place, and until when within its first half minute it still rolled.

    It came to a halt after the last fix that found it elsewhere, and before the next.
    """
    if distance_m(stop["halt_lat"], stop["halt_lon"], driver["lat"], driver["lon"]) > HALT_M:
        stop["halt_time"] = driver["time"]
        stop["halt_lat"] = driver["lat"]
        stop["halt_lon"] = driver["lon"]
    if driver["time"] - stop["halt_time"] < HALT_MS and driver["moves"] != STANDS:
        stop["still_time"] = driver["time"]
        stop["rolled"] = 1
    elif stop["rolled"] and driver["time"] > stop["still_time"]:
        stop["still_time"] += min((driver["time"] - stop["still_time"]) // 2, MOST_ROLL_MS)
        stop["rolled"] = 0


@rule
def _has_halted(stop: np.void, driver: np.void, away_m: float, is_early: bool) -> bool:
    """See whether a driver inside a stop's radius stands there, and for this stop.

    Some way from the door, or before its turn, it may be waiting at a light, or stand there for the stop before. A
    receiver whose speed has got stuck is not believed for ever.
    """
    is_doubtful = is_early or away_m > stop["radius_m"] / 2
    halted_ms = driver["time"] - stop["halt_time"]
    if driver["moves"] == ROLLS and halted_ms < OUT_OF_TURN_MS:
        return False
    has_halted: bool = halted_ms >= (OUT_OF_TURN_MS if is_doubtful else HALT_MS)
    return has_halted or (driver["motion"] == _STANDING and not is_doubtful)


@rule
def _turn(driver: np.void, stops: NDArray[np.void]) -> tuple[int, bool]:
    """Return whose turn it is among the open stops that the driver has not left, and whether it is at one of them."""
    turn, is_busy = NO_TURN, False
    place = driver["stop_head"]
    while place >= 0:
        stop = stops[place]
        place = stop["next"]
        if stop["state"] != _LEFT:
            turn = min(turn, stop["turn"])
            is_busy = is_busy or stop["state"] == _ARRIVED
    return turn, is_busy


@rule
def visit_stops(driver: np.void, stops: NDArray[np.void], events: NDArray[np.void], n: int) -> int:
    """Carry a driver's open stops over its new live fix and return the new number of events."""
    margin_m = MIN_MARGIN_M
    if not math.isnan(driver["accuracy"]):
        margin_m = max(margin_m, driver["accuracy"])
    turn, is_busy = _turn(driver, stops)
    place = driver["stop_head"]
    while place >= 0:
        stop = stops[place]
        place = stop["next"]
        # a cheap look before the distance
        is_near = abs(stop["lat"] - driver["lat"]) * METRES_PER_DEGREE <= stop["radius_m"]
        if not is_near and (stop["state"] == _OUTSIDE or stop["state"] == _LEFT):
            continue
        if stop["state"] == _ARRIVED:
            away_m = distance_m(stop["lat"], stop["lon"], driver["lat"], driver["lon"])
            n = _leave(stop, driver, away_m - stop["radius_m"], margin_m, events, n)
            continue
        away_m = distance_m(stop["lat"], stop["lon"], driver["stood_lat"], driver["stood_lon"])
        reach_m = stop["radius_m"] + (margin_m if stop["state"] == _INSIDE else 0.0)
        if away_m > reach_m:
            stop["state"] = _OUTSIDE if stop["state"] == _INSIDE else stop["state"]
            continue
        if stop["state"] != _INSIDE:
            _come_inside(stop, driver)
        _halt(stop, driver)
        is_early = stop["turn"] > turn and stop["turn"] != NO_TURN
        if is_early and is_busy:  # it halts for the other one
            stop["halt_time"] = driver["time"]
        if away_m <= stop["radius_m"] and _has_halted(stop, driver, away_m, is_early):
            n = arrive(stop, driver, away_m, events, n)
    return n
