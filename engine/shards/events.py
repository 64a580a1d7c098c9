"""What the rules report beside the new state: one packed record per event, in event time.

Pure. The shard turns these records into documents; an event's place in the log (`position`, `index` in the batch's
order, `kind`) makes its id, so a replay writes the same ids.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule

__all__ = ["EVENT", "MAX_PASSING_EVENTS", "EventKind", "note", "note_start"]

MAX_PASSING_EVENTS = 64
"""Most `CROSS` events of one fix: room in the buffer is reserved before a fix is taken."""


class EventKind(IntEnum):
    """What happened."""

    STOPPED = 1
    """The driver stands still: `time` and place are where and since when; `value` the odometer in metres."""
    DEPARTED = 2
    """The driver set off: `start_time` and start place are the stop's (0 if unknown), `value` the seconds stood."""
    TRIP_ENDED = 3
    """A trip is complete: start and end, `value` its distance in metres."""
    ENTER = 4
    """Entered a geofence (`subject` its number); `start_time` is the first fix inside."""
    EXIT = 5
    """Left a geofence; `start_time` is when it was entered, `value` the seconds inside."""
    CROSS = 6
    """Passed through a geofence between two fixes, or with one fix inside it."""
    DWELL = 7
    """Stayed in a geofence for its dwell time; once a visit. `time` is when the time was full."""
    STOP_ARRIVED = 8
    """At a planned stop (`subject` its key, `value2` the delivery's) since `time`; first fix inside at `start_time`."""
    STOP_LEFT = 9
    """Left a planned stop after arriving; `start_time` is the arrival."""
    ONLINE = 10
    """A ping came after silence; `time` is server time."""
    OFFLINE = 11
    """Silence lasted too long; `time` is server time: last ping and the limit."""
    REANCHORED = 12
    """The live position jumped to where the device insists to be; `value` is the distance in metres."""


EVENT = np.dtype(
    [
        ("kind", "u1"),  # EventKind
        ("pad", "u1", (3,)),  # no hidden padding: equal events are equal bytes
        ("index", "<i4"),  # of the fix in its batch; -1 where no fix caused it
        ("row", "<i4"),  # of the driver in the table, at the time of the step
        ("driver", "<u4"),  # the driver's number
        ("position", "<u8"),  # of the fix's log entry
        ("subject", "<i8"),  # fence number, stop key, or 0
        ("time", "<i8"),  # epoch ms, fix time but for ONLINE and OFFLINE
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("value", "<f8"),
        ("value2", "<f8"),
        ("start_time", "<i8"),  # what the event ends or confirms began then; 0 = nothing
        ("start_lat", "<f8"),
        ("start_lon", "<f8"),
    ],
    align=True,
)
"""One event."""


@rule
def note(
    events: NDArray[np.void],
    n: int,
    kind: int,
    subject: int,
    time: int,
    lat: float,
    lon: float,
    value: float,
) -> int:
    """Write an event at place `n` of the buffer and return `n + 1`. The caller has made room."""
    event = events[n]
    event["kind"] = kind
    event["subject"] = subject
    event["time"] = time
    event["lat"] = lat
    event["lon"] = lon
    event["value"] = value
    event["value2"] = 0.0
    event["start_time"] = 0
    event["start_lat"] = 0.0
    event["start_lon"] = 0.0
    return n + 1


@rule
def note_start(events: NDArray[np.void], n: int, time: int, lat: float, lon: float) -> None:
    """Add to the event just written (place `n - 1`) when and where that began which it ends."""
    event = events[n - 1]
    event["start_time"] = time
    event["start_lat"] = lat
    event["start_lon"] = lon
