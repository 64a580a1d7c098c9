"""A simulated fleet for load: plausible drives as columns, the same for every process that knows the seed.

Pure. Each driver circles a block of streets at its own constant speed of 0 to 15 m/s, so the rules see motion that no
filter refuses, and the position at any time follows from the time alone: a run can be checked without its load.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.geo import METRES_PER_DEGREE
from models.messages.fixes import DEGREE, FIX, UNKNOWN_BATTERY

__all__ = ["Clock", "Fleet"]

CENTRE = (41.155, -8.63)  # Porto, where the map of the demo is
SPREAD_DEG = 0.06  # about 6.5 km: a city
MAX_SPEED_MPS = 15.0
BLOCK_RADIUS_M = (150.0, 600.0)  # wider than the 200 m of the stop rule across, so movers count as moving


@dataclass(frozen=True, slots=True)
class Clock:
    """Fix times of one connection's pings, by their place in its endless row of pings."""

    start_ms: float
    """Time of ping 0, epoch milliseconds."""
    period_ms: float
    """Time between two neighbouring pings."""
    grain: int = 1
    """Pings that share one time, counted from 0: a whole frame when times are those of sending."""

    def times(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the fix times of pings, int64 epoch milliseconds."""
        return (self.start_ms + (places // self.grain * self.grain) * self.period_ms).astype(np.int64)

    def due_ms(self, place: int) -> float:
        """Return when the ping at `place` is to be sent, epoch milliseconds."""
        return self.start_ms + (place // self.grain * self.grain) * self.period_ms


class Fleet:
    """Drivers `first` to `first + size` of the simulated fleet with this seed."""

    def __init__(self, seed: int, first: int, size: int) -> None:
        rows = np.arange(first, first + size, dtype=np.uint64)
        self.size = size
        self._lat = CENTRE[0] + SPREAD_DEG * (2 * _uniform(seed, 1, rows) - 1)
        self._lon = CENTRE[1] + SPREAD_DEG * (2 * _uniform(seed, 2, rows) - 1)
        low, high = BLOCK_RADIUS_M
        radius_m = low + (high - low) * _uniform(seed, 3, rows)
        self._speed = (MAX_SPEED_MPS * _uniform(seed, 4, rows)).astype(np.float32)
        self._phase = 2 * np.pi * _uniform(seed, 5, rows)
        self._turn = self._speed / radius_m  # radians a second
        self._radius_lat = radius_m / METRES_PER_DEGREE
        self._radius_lon = self._radius_lat / np.cos(np.radians(self._lat))

    def positions(
        self, members: NDArray[np.int64], times: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Return latitude and longitude (1e-7 degrees) and heading (degrees) of members at times."""
        angle = self._phase[members] + self._turn[members] * (times / 1000.0)
        lat = self._lat[members] + self._radius_lat[members] * np.sin(angle)
        lon = self._lon[members] + self._radius_lon[members] * np.cos(angle)
        heading = np.degrees(-angle) % 360.0
        return (
            np.rint(lat * DEGREE).astype(np.int32),
            np.rint(lon * DEGREE).astype(np.int32),
            heading.astype(np.float32),
        )

    def speeds(self, members: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how fast members are at times, m/s."""
        del times
        return self._speed[members]

    def fixes(self, clock: Clock, first: int, count: int) -> NDArray[np.void]:
        """Return pings `first` to `first + count` of the row, `FIX` records with `driver` left 0.

        The row goes round the fleet: ping `i` is of member `i % size` and is its ping number `i // size + 1`.

        Parameters
        ----------
        clock
            Fix times.
        first, count
            Which pings.
        """
        places = np.arange(first, first + count, dtype=np.int64)
        members = places % self.size
        fixes = np.zeros(count, FIX)
        fixes["time"] = clock.times(places)
        fixes["device_time"] = fixes["time"]
        fixes["seq"] = places // self.size + 1
        fixes["lat"], fixes["lon"], fixes["heading"] = self.positions(members, fixes["time"])
        fixes["speed"] = self.speeds(members, fixes["time"])
        fixes["accuracy"] = 8.0
        fixes["altitude"] = np.nan
        fixes["battery"] = UNKNOWN_BATTERY
        return fixes


def _uniform(seed: int, column: int, rows: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each row, from its index alone (splitmix64): a slice of a fleet is itself."""
    column_seed = np.uint64((seed * 1_000_003 + column * 0x632BE59BD9B4E019) % 2**64)
    with np.errstate(over="ignore"):
        mixed = rows * np.uint64(0x9E3779B97F4A7C15) + column_seed
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) / float(2**53)
