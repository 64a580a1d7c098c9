"""Valid things with one line of difference: fixes, stored fixes, shards that hold drivers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.shards.advance import ShardState, Step, advance
from models.messages.fixes import DEGREE, FIX, STORED, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE

START_MS = 1_750_000_000_000
LATITUDE, LONGITUDE = 41.15, -8.61
DEGREES_PER_M = 1 / 111_194.9


def a_fix(
    at_s: float = 0.0,
    north_m: float = 0.0,
    east_m: float = 0.0,
    *,
    driver: int = 1,
    seq: int = UNKNOWN_SEQUENCE,
    accuracy_m: float = np.nan,
    **fields: Any,
) -> NDArray[np.void]:
    """Return a fix some seconds after the start and some metres from the centre of Porto."""
    fix = np.zeros((), FIX)
    fix["time"] = START_MS + round(at_s * 1000)
    fix["lat"] = round((LATITUDE + north_m * DEGREES_PER_M) * DEGREE)
    fix["lon"] = round((LONGITUDE + east_m * DEGREES_PER_M / np.cos(np.radians(LATITUDE))) * DEGREE)
    fix["seq"], fix["driver"], fix["accuracy"] = seq, driver, accuracy_m
    fix["speed"] = fix["heading"] = fix["altitude"] = np.nan
    fix["battery"] = UNKNOWN_BATTERY
    for name, value in fields.items():
        fix[name] = value
    return fix


def fixes_of(*fixes: NDArray[np.void]) -> NDArray[np.void]:
    """Return fixes as one batch."""
    return np.stack(fixes)


def stored(fixes: NDArray[np.void], first_position: int = 1) -> NDArray[np.void]:
    """Return fixes as history holds them, in log order."""
    records = np.zeros(fixes.size, STORED)
    for name in FIX.names or ():
        records[name] = fixes[name]
    records["position"] = np.arange(first_position, first_position + fixes.size)
    records["received"] = START_MS + records["position"].astype(np.int64)
    return records


def a_shard(drivers: Sequence[int] = (1,), **fields: Any) -> ShardState:
    """Return a shard that holds fresh drivers."""
    state = ShardState(**fields)
    for number in drivers:
        state.drivers.add(number, number % 4, 0, 0)
    return state


def play(
    state: ShardState, fixes: NDArray[np.void], *, received_ms: int | None = None, first_position: int = 1
) -> Step:
    """Apply fixes as one batch, received one millisecond after the other (or all at `received_ms`)."""
    positions = np.arange(first_position, first_position + fixes.size, dtype=np.uint64)
    received = START_MS + positions.astype(np.int64)
    if received_ms is not None:
        received[:] = received_ms
    return advance(state, fixes, state.drivers.rows(fixes["driver"]), received, positions)
