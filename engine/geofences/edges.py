"""Entering, leaving and passing through geofences, without flapping.

Pure; the compiled function changes the driver's record in place and sees live fixes alone. A single fix decides when
it lies beyond the border by the margin (the fence's, 15 m by default, or the fix's accuracy where that is worse);
otherwise two in a row do. To leave by two fixes, both must be half a margin out: so a receiver that jitters on the
border enters once and stays in.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.geofences.dwell import INSIDE, dwell
from engine.geofences.index import LEVELS, FenceArrays, cell_key, cell_of, find_cell
from engine.geofences.shapes import border_distance_m, passes_through, to_plane
from engine.shards.events import MAX_PASSING_EVENTS, EventKind, note, note_start

__all__ = ["watch_fences"]

PASSING_GAP_MS = 600_000
"""Longest time between two fixes whose straight connection is taken for the way driven."""
MAX_BOX_CELLS = 4096
"""Most cells of one level in a segment's box, else only the fix's own: 42 km, the longest credible leg, has 3,000."""

_FREE = 0
_PENDING = 1
_EVENT_ENTER = int(EventKind.ENTER)
_EVENT_EXIT = int(EventKind.EXIT)
_EVENT_CROSS = int(EventKind.CROSS)


@rule
def _distance_m(arrays: FenceArrays, fence: np.void, lat: float, lon: float) -> float:
    x, y = to_plane(fence["lat0"], fence["lon0"], fence["narrowing"], lat, lon)
    points = arrays.points[fence["first"] : fence["first"] + fence["count"]]
    return border_distance_m(fence["kind"], points, fence["reach_m"], x, y)


@rule
def _margin_m(driver: np.void, fence: np.void) -> float:
    accuracy = driver["accuracy"]
    return fence["margin_m"] if math.isnan(accuracy) else max(fence["margin_m"], accuracy)


@rule
def _enter(driver: np.void, slot: int, fence: np.void, events: NDArray[np.void], n: int) -> int:
    driver["fence_state"][slot] = INSIDE
    driver["fence_hits"][slot] = 0
    n = note(events, n, _EVENT_ENTER, fence["number"], driver["time"], driver["lat"], driver["lon"], 0.0)
    note_start(events, n, driver["fence_since"][slot], driver["lat"], driver["lon"])
    return n


@rule
def _approach(driver: np.void, slot: int, fence: np.void, border_m: float, events: NDArray[np.void], n: int) -> int:
    """Carry a fence that the last fix was just inside of."""
    if border_m < 0.0:
        return _enter(driver, slot, fence, events, n)
    driver["fence_state"][slot] = _FREE
    n = note(events, n, _EVENT_CROSS, fence["number"], driver["time"], driver["lat"], driver["lon"], 0.0)
    note_start(events, n, driver["fence_since"][slot], driver["lat"], driver["lon"])
    return n


@rule
def _leave(driver: np.void, slot: int, fence: np.void, border_m: float, events: NDArray[np.void], n: int) -> int:
    """Carry a fence that the driver is in."""
    margin_m = _margin_m(driver, fence)
    if border_m < margin_m / 2:
        driver["fence_hits"][slot] = 0
        return dwell(driver, slot, fence, events, n)
    driver["fence_hits"][slot] += 1
    if border_m < margin_m and driver["fence_hits"][slot] < 2:
        return n
    since = driver["fence_since"][slot]
    inside_s = (driver["time"] - since) / 1000.0
    n = note(events, n, _EVENT_EXIT, fence["number"], driver["time"], driver["lat"], driver["lon"], inside_s)
    note_start(events, n, since, driver["lat"], driver["lon"])
    driver["fence_state"][slot] = _FREE
    return n


@rule
def _watch_slots(
    driver: np.void, arrays: FenceArrays, stamps: NDArray[np.int64], stamp: int, events: NDArray[np.void], n: int
) -> int:
    """Carry the fences that the driver is in or about to be; those that are gone are forgotten."""
    for slot in range(len(driver["fence_state"])):
        state = driver["fence_state"][slot]
        if state == _FREE:
            continue
        number = driver["fence_number"][slot]
        place = arrays.place[number] if number < len(arrays.place) else -1
        if place < 0:
            driver["fence_state"][slot] = _FREE
            continue
        fence = arrays.fences[place]
        stamps[place] = stamp
        border_m = _distance_m(arrays, fence, driver["lat"], driver["lon"])
        if state == _PENDING:
            n = _approach(driver, slot, fence, border_m, events, n)
        else:
            n = _leave(driver, slot, fence, border_m, events, n)
    return n


@rule
def _come_inside(driver: np.void, fence: np.void, border_m: float, events: NDArray[np.void], n: int) -> int:
    """Take the first fix inside a fence; without a free slot the fence is not followed."""
    for slot in range(len(driver["fence_state"])):
        if driver["fence_state"][slot] == _FREE:
            driver["fence_number"][slot] = fence["number"]
            driver["fence_state"][slot] = _PENDING
            driver["fence_hits"][slot] = 0
            driver["fence_since"][slot] = driver["time"]
            if border_m <= -_margin_m(driver, fence):
                return _enter(driver, slot, fence, events, n)
            return n
    return n


@rule
def _watch_cell(
    driver: np.void,
    before_lat: float,
    before_lon: float,
    is_way_known: bool,
    arrays: FenceArrays,
    key: np.uint64,
    stamps: NDArray[np.int64],
    stamp: int,
    last: int,
    events: NDArray[np.void],
    n: int,
) -> int:
    """Look at the fences of one cell that this fix has not met yet; `last` bounds the events."""
    cell = find_cell(arrays.keys, key)
    for member in range(arrays.starts[cell], arrays.starts[cell] + arrays.counts[cell]):
        place = arrays.members[member]
        if stamps[place] == stamp:
            continue
        stamps[place] = stamp
        fence = arrays.fences[place]
        x, y = to_plane(fence["lat0"], fence["lon0"], fence["narrowing"], driver["lat"], driver["lon"])
        ax, ay = x, y
        if is_way_known:
            ax, ay = to_plane(fence["lat0"], fence["lon0"], fence["narrowing"], before_lat, before_lon)
        if max(x, ax) < fence["west"] or min(x, ax) > fence["east"]:
            continue
        if max(y, ay) < fence["south"] or min(y, ay) > fence["north"]:
            continue
        points = arrays.points[fence["first"] : fence["first"] + fence["count"]]
        border_m = border_distance_m(fence["kind"], points, fence["reach_m"], x, y)
        if border_m < 0.0:
            n = _come_inside(driver, fence, border_m, events, n)
        elif (
            is_way_known
            and n < last
            and border_distance_m(fence["kind"], points, fence["reach_m"], ax, ay) >= 0.0
            and passes_through(fence["kind"], points, fence["reach_m"], ax, ay, x, y)
        ):
            n = note(events, n, _EVENT_CROSS, fence["number"], driver["time"], driver["lat"], driver["lon"], 0.0)
    return n


@rule
def watch_fences(
    driver: np.void,
    before_time: int,
    before_lat: float,
    before_lon: float,
    is_jump: bool,
    arrays: FenceArrays,
    stamps: NDArray[np.int64],
    stamp: int,
    events: NDArray[np.void],
    n: int,
) -> int:
    """Carry a driver's geofences over its new live fix and return the new number of events.

    `before…` is the live fix before it (time 0: none). `stamps` is scratch, one number a fence; `stamp` is new with
    each fix, so that a fence in several cells is looked at once.
    """
    n = _watch_slots(driver, arrays, stamps, stamp, events, n)
    tenant = driver["tenant"]
    if tenant >= len(arrays.tenants) or arrays.tenants[tenant] == 0:
        return n
    is_way_known = before_time != 0 and not is_jump and driver["time"] - before_time <= PASSING_GAP_MS
    lat, lon = driver["lat"], driver["lon"]
    from_lat, from_lon = lat, lon
    if is_way_known:
        from_lat, from_lon = before_lat, lon + (before_lon - lon + 180.0) % 360.0 - 180.0
    last = n + MAX_PASSING_EVENTS
    for level in range(LEVELS):
        if arrays.levels[level] == 0:
            continue
        row, column = cell_of(level, lat, lon)
        to_row, to_column = cell_of(level, from_lat, from_lon)
        # The cells of the segment's box: between two fixes of a drive these are one to four.
        low, high = min(column, to_column), max(column, to_column)
        low_row, high_row = min(row, to_row), max(row, to_row)
        if (high - low + 1) * (high_row - low_row + 1) > MAX_BOX_CELLS:
            low, high, low_row, high_row = column, column, row, row
        for r in range(low_row, high_row + 1):
            for c in range(low, high + 1):
                key = cell_key(tenant, level, r, c)
                n = _watch_cell(
                    driver, before_lat, before_lon, is_way_known, arrays, key, stamps, stamp, last, events, n
                )
    return n
