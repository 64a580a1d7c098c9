"""What one batch of fixes does to the state: the heart of the engine.

Pure: same state, same fixes, same step; the clock comes in with the fixes. One compiled loop takes the fixes in log
order and changes the drivers' records in place, because purity by copy would cost more than the rules; how the fixes
are cut into batches makes no difference.

A repeat changes nothing but its counter, exactly so for a driver's last 32 pings (`engine.shards.identity`); an older
repeat is older than the live fix and goes as late, to be dropped by identity when history is read.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.deliveries.arrival import visit_stops
from engine.geofences.edges import watch_fences
from engine.geofences.index import FenceArrays, FenceIndex
from engine.motion.follow import follow, is_out_of_order
from engine.motion.profiles import DEFAULT, pack_profiles
from engine.motion.standing import stand
from engine.shards.drivers import FENCE_SLOTS, DriverTable
from engine.shards.events import EVENT, MAX_PASSING_EVENTS, EventKind, note
from engine.shards.identity import identity, is_repeat
from engine.shards.stops import StopTable
from models.messages.fixes import DEGREE, FIX, Outcome

__all__ = ["EVENT", "EventKind", "ShardState", "Step", "advance", "repairs", "sweep_offline", "warm_up"]

MAX_OWN_EVENTS = 12 + 2 * FENCE_SLOTS + MAX_PASSING_EVENTS
"""Most events of one fix, its open stops aside: liveness 2, re-anchored 1, motion 4, fences."""

_LIVE = int(Outcome.LIVE)
_LATE = int(Outcome.LATE)
_DUPLICATE = int(Outcome.DUPLICATE)
_ONLINE = int(EventKind.ONLINE)
_OFFLINE = int(EventKind.OFFLINE)
_DEGREE = float(DEGREE)


def _no_fences() -> FenceIndex:
    return FenceIndex.compile(())


def _default_profile() -> NDArray[np.void]:
    return pack_profiles((DEFAULT,))


@dataclass(slots=True)
class ShardState:
    """Everything that the rules of a shard know."""

    drivers: DriverTable = field(default_factory=DriverTable)
    fences: FenceIndex = field(default_factory=_no_fences)
    profiles: NDArray[np.void] = field(default_factory=_default_profile)
    offline_after_ms: int = 300_000
    """Silence after which a driver counts as offline, milliseconds of server time."""

    @property
    def stops(self) -> StopTable:
        """Return the open planned stops, which belong to the drivers."""
        return self.drivers.stops


@dataclass(frozen=True, slots=True)
class Step:
    """What a batch of F fixes did."""

    outcomes: NDArray[np.uint8]
    """`Outcome` of each fix."""
    reasons: NDArray[np.uint8]
    """`Reason` of each fix."""
    repair: NDArray[np.uint8]
    """1 for each fix that came out of order of fix time, so that its driver's trips and stops need a repair."""
    changed: NDArray[np.int32]
    """Rows whose live state changed, each once, in order of first change."""
    events: NDArray[np.void]
    """`EVENT` records in log order."""


@rule
def _hear(driver: np.void, received: int, offline_after_ms: int, events: NDArray[np.void], n: int) -> int:
    """Note that a ping came: a silence that no sweep saw still gives its offline event, so replay equals live."""
    heard = driver["heard"]
    if driver["online"] and received - heard > offline_after_ms:
        n = note(events, n, _OFFLINE, 0, heard + offline_after_ms, driver["lat"], driver["lon"], 0.0)
        driver["online"] = 0
    if not driver["online"]:
        if heard != 0:
            n = note(events, n, _ONLINE, 0, received, driver["lat"], driver["lon"], (received - heard) / 1000.0)
        driver["online"] = 1
    driver["heard"] = max(heard, received)
    return n


@rule
def _take(
    driver: np.void,
    fix: np.void,
    received: int,
    profile: np.void,
    stops: NDArray[np.void],
    fences: FenceArrays,
    stamps: NDArray[np.int64],
    stamp: int,
    offline_after_ms: int,
    events: NDArray[np.void],
    n: int,
) -> tuple[int, int, int]:
    """Apply one fix that is no repeat; return its outcome, its reason and the new number of events."""
    n = _hear(driver, received, offline_after_ms, events, n)
    before_time, before_lat, before_lon = driver["time"], driver["lat"], driver["lon"]
    lat, lon = fix["lat"] / _DEGREE, fix["lon"] / _DEGREE
    outcome, reason, is_jump, n = follow(driver, profile, fix, received, lat, lon, events, n)
    if outcome == _LATE:
        driver["late_n"] += 1
    elif outcome != _LIVE:
        driver["filtered_n"] += 1
    else:
        driver["live_n"] += 1
        driver["version"] += 1
        stand(driver, fix["speed"], lat, lon)
        if len(fences.fences) > 0:
            n = watch_fences(driver, before_time, before_lat, before_lon, is_jump, fences, stamps, stamp, events, n)
        if driver["open_stops"] > 0:
            n = visit_stops(driver, stops, events, n)
    return outcome, reason, n


@rule
def _run(
    drivers: NDArray[np.void],
    stops: NDArray[np.void],
    fences: FenceArrays,
    profiles: NDArray[np.void],
    offline_after_ms: int,
    fixes: NDArray[np.void],
    rows: NDArray[np.int32],
    received: NDArray[np.int64],
    positions: NDArray[np.uint64],
    start: int,
    outcomes: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    repair: NDArray[np.uint8],
    changed: NDArray[np.int32],
    n_changed: int,
    stamps: NDArray[np.int64],
    events: NDArray[np.void],
    n: int,
) -> tuple[int, int, int]:
    """Take fixes from `start` until the end or until the event buffer may not hold what the next one causes."""
    for index in range(start, len(fixes)):
        row = rows[index]
        driver = drivers[row]
        fix = fixes[index]
        if n + MAX_OWN_EVENTS + 2 * driver["open_stops"] > len(events):
            return index, n_changed, n
        driver["received_n"] += 1
        driver["position"] = max(driver["position"], positions[index])
        if is_repeat(driver, identity(fix["seq"], fix["time"], fix["lat"], fix["lon"])):
            driver["duplicate_n"] += 1
            outcomes[index] = _DUPLICATE
            continue
        repair[index] = is_out_of_order(driver, fix["time"])
        was_online = driver["online"]
        first = n
        outcome, reason, n = _take(
            driver,
            fix,
            received[index],
            profiles[driver["profile"]],
            stops,
            fences,
            stamps,
            index + 1,
            offline_after_ms,
            events,
            n,
        )
        outcomes[index] = outcome
        reasons[index] = reason
        for place in range(first, n):
            event = events[place]
            event["index"] = index
            event["row"] = row
            event["driver"] = driver["number"]
            event["position"] = positions[index]
        if (outcome == _LIVE or was_online == 0) and driver["mark"] == 0:
            driver["mark"] = 1
            changed[n_changed] = row
            n_changed += 1
    for place in range(n_changed):
        drivers[changed[place]]["mark"] = 0
    return len(fixes), n_changed, n


def advance(
    state: ShardState,
    fixes: NDArray[np.void],
    rows: NDArray[np.int32],
    received: NDArray[np.int64],
    positions: NDArray[np.uint64],
) -> Step:
    """Apply fixes in log order to the state, in place, and return what they did.

    Parameters
    ----------
    state
        Changed in place; do not use it from elsewhere meanwhile (the loop runs without the interpreter's lock).
    fixes
        F `FIX` records in log order.
    rows
        Row of each fix's driver in `state.drivers`; all present.
    received
        Server time of each fix, epoch milliseconds.
    positions
        Log position of each fix's entry.
    """
    count = len(fixes)
    outcomes, reasons, repair = (np.zeros(count, np.uint8) for _ in range(3))
    changed = np.empty(count, np.int32)
    stamps = np.zeros(len(state.fences.arrays.fences), np.int64)
    events: NDArray[np.void] = np.zeros(count // 4 + 2 * MAX_OWN_EVENTS, EVENT)
    at, n_changed, n = 0, 0, 0
    while True:
        at, n_changed, n = _run(
            state.drivers.records,
            state.stops.records,
            state.fences.arrays,
            state.profiles,
            state.offline_after_ms,
            fixes,
            rows,
            received,
            positions,
            at,
            outcomes,
            reasons,
            repair,
            changed,
            n_changed,
            stamps,
            events,
            n,
        )
        if at == count:
            break
        open_stops = int(state.drivers.records["open_stops"][rows[at]])
        events = np.concatenate([events, np.zeros(events.size + MAX_OWN_EVENTS + 2 * open_stops, EVENT)])
    return Step(outcomes, reasons, repair, changed[:n_changed].copy(), events[:n].copy())


def repairs(step: Step, fixes: NDArray[np.void], rows: NDArray[np.int32]) -> dict[int, tuple[int, int]]:
    """Return per row of the step that needs a repair the first and last fix time of what came out of order."""
    found: dict[int, tuple[int, int]] = {}
    for index in np.flatnonzero(step.repair).tolist():
        time, row = int(fixes["time"][index]), int(rows[index])
        first, last = found.get(row, (time, time))
        found[row] = min(first, time), max(last, time)
    return found


def sweep_offline(state: ShardState, now_ms: int, after_ms: int) -> NDArray[np.void]:
    """Mark drivers as offline that have been silent for longer and return an `OFFLINE` event for each.

    Call it when the shard has caught up with the log. The event's time is the last ping's and the limit, the same
    that `advance` gives when it meets the silence first.
    """
    records = state.drivers.records[: state.drivers.size]
    rows = np.flatnonzero((records["online"] != 0) & (now_ms - records["heard"] > after_ms))
    records["online"][rows] = 0
    events = np.zeros(rows.size, EVENT)
    events["kind"], events["index"], events["row"] = EventKind.OFFLINE, -1, rows
    events["driver"] = records["number"][rows]
    events["position"] = records["position"][rows]
    events["time"] = records["heard"][rows] + after_ms
    events["lat"], events["lon"] = records["lat"][rows], records["lon"][rows]
    return events


def warm_up() -> None:
    """Compile, or load from the cache, all that `advance` runs, so that the first batch does not wait for it."""
    state = ShardState()
    rows = np.array([state.drivers.add(1, 0, 0, 0)], np.int32)
    advance(state, np.zeros(1, FIX), rows, np.ones(1, np.int64), np.ones(1, np.uint64))
