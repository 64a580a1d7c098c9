"""Dwell: a stay in a geofence that lasts as long as its planner asked for, told once a visit.

Pure.
"""

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.shards.events import EventKind, note, note_start

__all__ = ["DWELLED", "INSIDE", "dwell"]

INSIDE = 2
"""Slot state: entered."""
DWELLED = 3
"""Slot state: entered, and the dwell event has fired."""

_EVENT_DWELL = int(EventKind.DWELL)


@rule
def dwell(driver: np.void, slot: int, fence: np.void, events: NDArray[np.void], n: int) -> int:
    """Fire the dwell event of a slot if its time is full; the event's time is when it was."""
    since = driver["fence_since"][slot]
    if driver["fence_state"][slot] != INSIDE or fence["dwell_ms"] <= 0.0:
        return n
    if driver["time"] - since < fence["dwell_ms"]:
        return n
    full = since + int(fence["dwell_ms"])
    n = note(events, n, _EVENT_DWELL, fence["number"], full, driver["lat"], driver["lon"], fence["dwell_ms"] / 1000.0)
    note_start(events, n, since, driver["lat"], driver["lon"])
    driver["fence_state"][slot] = DWELLED
    return n
