"""Trips between stops, and the stops themselves as visits, from the events of the motion rule.

Pure. A trip is complete with one event. A visit opens with `STOPPED` and closes with `DEPARTED`; both name the same
visit, because its id is made from the driver and the arrival: writing either twice changes nothing.
"""

import numpy as np
from numpy.typing import NDArray

from engine.shards.events import EventKind
from models.messages.fixes import DEGREE

__all__ = ["TRIP", "VISIT", "record_id", "trips_of", "visits_of"]

TRIP = np.dtype(
    [
        ("driver", "<u4"),
        ("start_time", "<i8"),
        ("start_lat", "<f8"),
        ("start_lon", "<f8"),
        ("end_time", "<i8"),
        ("end_lat", "<f8"),
        ("end_lon", "<f8"),
        ("distance_m", "<f8"),
    ]
)
"""One finished trip; times are epoch ms."""

VISIT = np.dtype(
    [
        ("driver", "<u4"),
        ("arrival", "<i8"),
        ("departure", "<i8"),  # 0 = still there
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("odometer_m", "<f8"),  # at the stop
        # The fix that showed the stop: with the place, a state to start a repair from (`engine.motion.late`).
        ("declared_time", "<i8"),  # 0 = none, the visit is no such place
        ("declared_lat", "<f8"),
        ("declared_lon", "<f8"),
        ("declared_accuracy", "<f4"),
    ]
)
"""One stop that a driver made."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = 16
_DRIVER_BITS = 32


def record_id(prefix: str, driver: int, start_ms: int) -> str:
    """Return the id of a driver's trip or visit that began at a time: the same whoever derives it, sorted by time."""
    number = start_ms << _DRIVER_BITS | driver
    digits = [_ALPHABET[number >> shift & 31] for shift in range(5 * (_DIGITS - 1), -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def trips_of(events: NDArray[np.void]) -> NDArray[np.void]:
    """Return the `TRIP` records that some `EVENT` records complete."""
    ended = events[events["kind"] == EventKind.TRIP_ENDED]
    trips = np.zeros(ended.size, TRIP)
    for name in ("driver", "start_time", "start_lat", "start_lon"):
        trips[name] = ended[name]
    trips["end_time"], trips["end_lat"], trips["end_lon"] = ended["time"], ended["lat"], ended["lon"]
    trips["distance_m"] = ended["value"]
    return trips


def visits_of(events: NDArray[np.void], fixes: NDArray[np.void]) -> NDArray[np.void]:
    """Return a `VISIT` record for each `STOPPED` and `DEPARTED` of a batch, in order, one a visit.

    `fixes` are those that the events' `index` counts in. A visit that began in an earlier batch comes with its
    departure alone: odometer and declaring fix are 0 and what has been stored of them stays.
    """
    visits: dict[tuple[int, int], NDArray[np.void]] = {}
    moves = events[np.isin(events["kind"], (EventKind.STOPPED, EventKind.DEPARTED))]
    for event in moves:
        has_stopped = event["kind"] == EventKind.STOPPED
        arrival = int(event["time"] if has_stopped else event["start_time"])
        if arrival == 0:
            continue
        key = (int(event["driver"]), arrival)
        visit = visits.setdefault(key, np.zeros((), VISIT))
        visit["driver"], visit["arrival"] = key
        if has_stopped:
            _declare(visit, event, fixes[int(event["index"])])
        else:
            visit["lat"], visit["lon"] = event["start_lat"], event["start_lon"]
            visit["departure"] = event["time"]
            if visit["declared_time"] == fixes["time"][int(event["index"])]:
                # Stopped and departed by one fix, over a long gap: afterwards the driver stood elsewhere.
                visit["declared_time"] = 0
    return np.stack(list(visits.values())) if visits else np.zeros(0, VISIT)


def _declare(visit: NDArray[np.void], event: np.void, fix: np.void) -> None:
    visit["lat"], visit["lon"], visit["odometer_m"] = event["lat"], event["lon"], event["value"]
    visit["declared_time"], visit["declared_accuracy"] = fix["time"], fix["accuracy"]
    visit["declared_lat"], visit["declared_lon"] = fix["lat"] / DEGREE, fix["lon"] / DEGREE
