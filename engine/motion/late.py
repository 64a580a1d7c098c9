"""Late fixes: what trips, stops and live state would be, had every fix come in order of its time.

Pure. A repair reads the fixes of one driver from a checkpoint on, drops repeats and runs the rule of the live path
over them by fix time. Any stop is a checkpoint, because finding a stop makes the motion state a function of the stop,
of the fix that showed it and of the odometer (`engine.motion.stops`). So whatever the order of arrival within the
window, after its repairs a driver has the outcomes, position, trips and stops of the sorted order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.motion.follow import follow
from engine.motion.profiles import MotionProfile, pack_profiles
from engine.motion.trips import trips_of, visits_of
from engine.shards.drivers import DRIVER, DriverTable
from engine.shards.events import EVENT
from engine.shards.identity import CELL
from models.messages.fixes import DEGREE, FIX, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE
from models.messages.live import Motion
from models.messages.records import take_records

__all__ = [
    "REPAIR_WINDOW_MS",
    "Derivation",
    "MotionCheckpoint",
    "apply_derivation",
    "dedupe",
    "derive",
    "repair_start",
    "warm_up",
]

REPAIR_WINDOW_MS = 24 * 3_600_000
"""How old a fix may be, against the live one, for trips and stops to be repaired; older ones are history alone."""

EVENTS_PER_FIX = 6  # jump, trip end and stop, departure, trip end and stop again: the gap rule's worst

_REPAIRED = (
    *("time", "lat", "lon", "device_time", "received", "speed", "heading", "accuracy", "battery", "motion"),
    *("suspects", "suspect_time", "suspect_lat", "suspect_lon", "suspect_accuracy", "settled"),
    *("anchor_time", "anchor_lat", "anchor_lon", "anchor_path_m"),
    *("rest_time", "rest_lat", "rest_lon", "rest_path_m", "path_m"),
    *("trip_time", "trip_lat", "trip_lon", "trip_odometer_m", "odometer_m"),
)
"""Fields of a driver's record that the order of fixes decides."""


@dataclass(frozen=True, slots=True)
class MotionCheckpoint:
    """A stop to start from."""

    arrival: int
    """Since when the driver stood there, epoch ms."""
    latitude: float
    longitude: float
    odometer_m: float
    declared_time: int
    """Time of the fix that showed the stop, epoch ms: the derivation takes the fixes after it."""
    declared_latitude: float
    declared_longitude: float
    declared_accuracy: float
    """Metres; NaN = unknown."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """What the fixes of one driver, in order of time, amount to."""

    fixes: NDArray[np.void]
    """The F fixes that were taken: repeats dropped, sorted, after the checkpoint."""
    outcomes: NDArray[np.uint8]
    """`Outcome` of each."""
    reasons: NDArray[np.uint8]
    """`Reason` of each."""
    trips: NDArray[np.void]
    """`TRIP` records that ended."""
    visits: NDArray[np.void]
    """`VISIT` records, the one of the checkpoint included if the driver departed from it."""
    state: NDArray[np.void]
    """One `DRIVER` record with the motion state and live fix at the end."""
    position: int
    """Highest log position among the fixes, 0 without any."""


def dedupe(stored: NDArray[np.void]) -> NDArray[np.void]:
    """Return a driver's `STORED` fixes by fix time with repeats dropped: of one identity the first in the log stays.

    Fixes of one time are put in an order of their content, so that arrival plays no part.
    """
    if stored.size == 0:
        return stored
    is_numbered = stored["seq"] != UNKNOWN_SEQUENCE
    columns = [
        np.where(is_numbered, 0, (stored["lon"].astype(np.int64) + CELL // 2) // CELL),
        np.where(is_numbered, 0, (stored["lat"].astype(np.int64) + CELL // 2) // CELL),
        np.where(is_numbered, 0, stored["time"]),
        stored["seq"],
    ]
    order = np.lexsort((stored["position"], *columns))
    is_first = np.ones(stored.size, bool)
    is_first[1:] = np.any([column[order[1:]] != column[order[:-1]] for column in columns], axis=0)
    kept = take_records(stored, np.sort(order[is_first]))
    return take_records(kept, np.lexsort((kept["lon"], kept["lat"], kept["seq"], kept["time"])))


def repair_start(visits: NDArray[np.void], first_late_ms: int) -> MotionCheckpoint | None:
    """Return the newest checkpoint that fixes from `first_late_ms` on can't have changed.

    `visits` are a driver's stored `VISIT` records in any order. None says: derive from the start of the window.
    """
    usable = visits[(visits["declared_time"] > 0) & (visits["declared_time"] < first_late_ms)]
    if usable.size == 0:
        return None
    visit = usable[np.argmax(usable["declared_time"])]
    return MotionCheckpoint(
        int(visit["arrival"]),
        float(visit["lat"]),
        float(visit["lon"]),
        float(visit["odometer_m"]),
        int(visit["declared_time"]),
        float(visit["declared_lat"]),
        float(visit["declared_lon"]),
        float(visit["declared_accuracy"]),
    )


def derive(stored: NDArray[np.void], profile: MotionProfile, start: MotionCheckpoint | None = None) -> Derivation:
    """Run noise and motion over the fixes of one driver in order of fix time.

    Parameters
    ----------
    stored
        `STORED` records of one driver, in any order, repeats allowed; those up to the checkpoint's declaring fix are
        not taken.
    profile
        The driver's thresholds.
    start
        Where to start from; None: nothing is known before the first fix. Speed and heading that devices do not report
        come from the last two fixes: they stay unknown until a good fix follows the checkpoint's.
    """
    state = _starting_state(start)
    if stored.size:
        state["number"] = stored["driver"][0]
    ordered = dedupe(stored)
    if start is not None:
        _show_declaring_fix(state, ordered, start)
    ordered = ordered[ordered["time"] > state["time"][0]]
    fixes = np.zeros(ordered.size, FIX)
    for name in FIX.names or ():
        fixes[name] = ordered[name]
    outcomes, reasons = np.zeros(fixes.size, np.uint8), np.zeros(fixes.size, np.uint8)
    events: NDArray[np.void] = np.zeros(EVENTS_PER_FIX * fixes.size, EVENT)
    received = np.ascontiguousarray(ordered["received"])
    n = _follow_all(state, pack_profiles((profile,)), fixes, received, outcomes, reasons, events)
    events = events[:n]
    position = int(ordered["position"].max(initial=0))
    return Derivation(ordered, outcomes, reasons, trips_of(events), visits_of(events, fixes), state, position)


def apply_derivation(table: DriverTable, row: int, derivation: Derivation) -> bool:
    """Make a derivation's end the live state of a driver, in place.

    Returns False and changes nothing if the driver has taken fixes from the log since: derive again with them.
    Geofences, planned stops, counters and identities keep what the order of arrival gave: repairs fire no edges.
    """
    driver = table.records[row]
    if derivation.fixes.size == 0 or int(driver["position"]) > derivation.position:
        return False
    for name in _REPAIRED:
        driver[name] = derivation.state[name][0]
    driver["version"] += 1
    return True


def warm_up() -> None:
    """Compile, or load from the cache, what `derive` runs."""
    no_fixes = np.zeros(0, FIX)
    none = np.zeros(0, np.uint8)
    profile = pack_profiles((MotionProfile(),))
    _follow_all(_starting_state(None), profile, no_fixes, np.zeros(0, np.int64), none, none, np.zeros(0, EVENT))


def _starting_state(start: MotionCheckpoint | None) -> NDArray[np.void]:
    """Return a `DRIVER` record as it is after the checkpoint's declaring fix."""
    state = np.zeros(1, DRIVER)
    state["battery"] = UNKNOWN_BATTERY
    for name in ("speed", "heading", "accuracy", "suspect_accuracy"):
        state[name] = np.nan
    if start is None:
        return state
    state["motion"] = Motion.STOPPED
    state["odometer_m"] = start.odometer_m
    state["anchor_time"], state["anchor_lat"], state["anchor_lon"] = start.arrival, start.latitude, start.longitude
    for place in ("", "rest_"):
        state[f"{place}time"] = start.declared_time
        state[f"{place}lat"] = start.declared_latitude
        state[f"{place}lon"] = start.declared_longitude
    state["accuracy"] = start.declared_accuracy
    return state


def _show_declaring_fix(state: NDArray[np.void], ordered: NDArray[np.void], start: MotionCheckpoint) -> None:
    """Add to a starting state what its fix said beyond the motion, where the fix is among those given."""
    is_it = (
        (ordered["time"] == start.declared_time)
        & (ordered["lat"] == round(start.declared_latitude * DEGREE))
        & (ordered["lon"] == round(start.declared_longitude * DEGREE))
    )
    for name in ("device_time", "received", "speed", "heading", "battery"):
        state[name] = ordered[name][is_it][:1] if is_it.any() else state[name]


@rule
def _follow_all(
    state: NDArray[np.void],
    profiles: NDArray[np.void],
    fixes: NDArray[np.void],
    received: NDArray[np.int64],
    outcomes: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    events: NDArray[np.void],
) -> int:
    """Follow one driver over all fixes and return the number of events."""
    n = 0
    driver = state[0]
    for index in range(len(fixes)):
        fix = fixes[index]
        lat, lon = fix["lat"] / DEGREE, fix["lon"] / DEGREE
        first = n
        outcomes[index], reasons[index], _, n = follow(driver, profiles[0], fix, received[index], lat, lon, events, n)
        for place in range(first, n):
            events[place]["index"] = index
            events[place]["driver"] = driver["number"]
    return n
