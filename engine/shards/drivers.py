"""The live state of drivers: one packed record each, found by driver number in constant time.

Pure. The rules of `engine.shards.advance` change the records in place; to NumPy each field is still a column.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.shards.identity import REMEMBERED
from engine.shards.stops import StopTable
from models.messages.fixes import DEGREE, UNKNOWN_BATTERY
from models.messages.live import LIVE, LiveFlag
from models.messages.records import take_records

__all__ = ["ABSENT", "DRIVER", "FENCE_SLOTS", "NO_STOP", "DriverTable", "fresh_records", "live_records", "whereabouts"]

ABSENT = -1
"""Row of a driver that the table does not hold."""
NO_STOP = -1
"""End of a driver's list of open stops."""
FENCE_SLOTS = 8
"""Geofences that a driver can be in at once; further ones are not followed until one is left."""
GROWTH = 1.25  # doubling would cost 100 MiB of air at 200,000 drivers
MIN_CAPACITY = 256

DRIVER = np.dtype(
    [
        ("number", "<u4"),
        ("tenant", "<u4"),  # the shard's index of the tenant
        ("partition", "<u2"),
        ("profile", "<u2"),  # index into the shard's profiles
        ("battery", "u1"),
        ("online", "u1"),
        ("motion", "u1"),  # models.messages.live.Motion
        ("mark", "u1"),  # scratch of one step: already among the changed rows
        # The live fix: the newest good one. `time` 0 says that there is none yet.
        ("time", "<i8"),
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("device_time", "<i8"),
        ("received", "<i8"),  # server time of the live fix
        ("speed", "<f4"),
        ("heading", "<f4"),
        ("accuracy", "<f4"),
        ("version", "<u4"),  # rises with every live fix
        ("heard", "<i8"),  # server time of the last ping of any outcome but a repeat
        ("position", "<u8"),  # log position of the last fix that was applied
        # Identities of recent pings (engine.shards.identity).
        ("ring", "<u8", (REMEMBERED,)),
        ("ring_next", "<u4"),
        # Last fix that implied an impossible speed (engine.motion.noise).
        ("suspects", "<u4"),
        ("suspect_time", "<i8"),
        ("suspect_lat", "<f8"),
        ("suspect_lon", "<f8"),
        ("suspect_accuracy", "<f4"),
        # Motion (engine.motion.stops).
        ("settled", "<u4"),
        ("anchor_time", "<i8"),
        ("anchor_lat", "<f8"),
        ("anchor_lon", "<f8"),
        ("anchor_path_m", "<f8"),
        ("rest_time", "<i8"),
        ("rest_lat", "<f8"),
        ("rest_lon", "<f8"),
        ("rest_path_m", "<f8"),
        ("path_m", "<f8"),  # driven since the last stop was found
        # Mean of the fixes since it came to a halt, else the live fix (engine.motion.standing).
        ("stood_lat", "<f8"),
        ("stood_lon", "<f8"),
        ("trip_time", "<i8"),  # start of the open trip; 0 = none
        ("trip_lat", "<f8"),
        ("trip_lon", "<f8"),
        ("trip_odometer_m", "<f8"),
        ("odometer_m", "<f8"),
        # Geofences that the driver is in or about to be (engine.geofences.edges).
        ("fence_since", "<i8", (FENCE_SLOTS,)),
        ("fence_number", "<u4", (FENCE_SLOTS,)),
        ("fence_state", "u1", (FENCE_SLOTS,)),
        ("fence_hits", "u1", (FENCE_SLOTS,)),
        # Open planned stops (engine.shards.stops).
        ("stop_head", "<i4"),
        ("open_stops", "<u4"),
        # What became of the driver's pings.
        ("received_n", "<u4"),
        ("live_n", "<u4"),
        ("late_n", "<u4"),
        ("filtered_n", "<u4"),
        ("duplicate_n", "<u4"),
        ("stood_n", "<u2"),  # how many fixes are in the mean of where it stands
        ("moves", "u1"),  # what the last fix said of that
        ("pad", "u1"),  # no hidden padding: equal states are equal bytes
    ],
    align=True,
)
"""State of one driver."""


def live_records(drivers: NDArray[np.void]) -> NDArray[np.void]:
    """Return the `LIVE` records of `DRIVER` records."""
    live = np.zeros(drivers.size, LIVE)
    live["driver"] = drivers["number"]
    live["lat"] = np.rint(drivers["lat"] * DEGREE)
    live["lon"] = np.rint(drivers["lon"] * DEGREE)
    for name in ("speed", "time", "received", "heading", "accuracy", "motion", "battery"):
        live[name] = drivers[name]
    live["flags"] = np.where(drivers["online"] != 0, LiveFlag.ONLINE, 0)
    live["stops"] = drivers["open_stops"]
    return live


def whereabouts(drivers: NDArray[np.void], rows: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where drivers are, latitudes and longitudes in degrees: of who stands, the mean of the fixes there."""
    is_told = drivers["stood_n"][rows] > 0  # not yet by an older release's records
    lat, lon = (np.where(is_told, drivers[f"stood_{axis}"][rows], drivers[axis][rows]) for axis in ("lat", "lon"))
    return lat, lon


def fresh_records(count: int) -> NDArray[np.void]:
    """Return the `DRIVER` records of drivers that have sent nothing yet."""
    records = np.zeros(count, DRIVER)
    records["battery"], records["stop_head"] = UNKNOWN_BATTERY, NO_STOP
    for name in ("speed", "heading", "accuracy", "suspect_accuracy"):
        records[name] = np.nan
    return records


class DriverTable:
    """Drivers of one shard: `records[:size]` and an index from driver number to row."""

    def __init__(self) -> None:
        self.records: NDArray[np.void] = np.zeros(MIN_CAPACITY, DRIVER)
        """Structured array of capacity; rows from `size` on are spare."""
        self.size = 0
        """Number of drivers."""
        self.stops = StopTable(self)
        """Open planned stops, linked from the records."""
        self._row_of: NDArray[np.int32] = np.full(1024, ABSENT, np.int32)

    def rows(self, numbers: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Return the row of each driver number, `ABSENT` where the table has none."""
        clipped = np.minimum(numbers, self._row_of.size - 1)
        return np.where(numbers < self._row_of.size, self._row_of[clipped], np.int32(ABSENT))

    def add(
        self,
        number: int,
        partition: int,
        tenant_index: int,
        profile_index: int,
        state: bytes | None = None,
    ) -> int:
        """Add a driver, fresh or with the state that `state` returned before, and return its row.

        Raises
        ------
        ValueError
            If the driver is there already, or `state` is of another release.
        """
        if self.rows(np.array([number], np.uint32))[0] != ABSENT:
            raise ValueError(f"driver {number} is already in the table")
        record = fresh_records(1) if state is None else _unpacked(state)
        record["number"], record["partition"] = number, partition
        record["tenant"], record["profile"] = tenant_index, profile_index
        record["stop_head"], record["open_stops"], record["mark"] = NO_STOP, 0, 0
        return self._append(record)

    def state(self, row: int) -> bytes:
        """Return a driver's state for `add`; its open stops are not in it."""
        return self.records[row : row + 1].tobytes()

    def remove(self, rows: NDArray[np.int32]) -> None:
        """Take drivers and their open stops out. The last rows move into the gaps."""
        for row in np.unique(rows)[::-1]:
            self.stops.drop(int(row))
            self._row_of[self.records["number"][row]] = ABSENT
            last = self.size - 1
            if row != last:
                self.records[row] = self.records[last]
                self._row_of[self.records["number"][row]] = row
                self.stops.follow(int(row))
            self.size = last

    def of_partition(self, partition: int) -> NDArray[np.int32]:
        """Return the rows of a partition's drivers in order of driver number."""
        records = self.records[: self.size]
        rows = np.flatnonzero(records["partition"] == partition)
        return rows[np.argsort(records["number"][rows])].astype(np.int32)

    def extract(self, partition: int) -> bytes:
        """Return the records of a partition, for a snapshot or another shard: equal states give equal bytes."""
        drivers = take_records(self.records, self.of_partition(partition))
        drivers["stop_head"], drivers["open_stops"], drivers["mark"] = NO_STOP, 0, 0
        return drivers.tobytes()

    def insert(
        self,
        data: bytes,
        tenants: Mapping[int, int] | None = None,
        profiles: Mapping[int, int] | None = None,
    ) -> NDArray[np.int32]:
        """Add what `extract` returned and return the rows.

        `tenants` and `profiles` say which index of this process stands for an index of the one that extracted.

        Raises
        ------
        ValueError
            If the data is of another release, or a driver is there already.
        """
        if len(data) % DRIVER.itemsize:
            raise ValueError(f"a driver record has {DRIVER.itemsize} bytes; {len(data)} is no multiple of it")
        drivers = np.frombuffer(data, DRIVER).copy()
        if tenants is not None:
            drivers["tenant"] = [tenants[index] for index in drivers["tenant"].tolist()]
        if profiles is not None:
            drivers["profile"] = [profiles[index] for index in drivers["profile"].tolist()]
        if (self.rows(drivers["number"]) != ABSENT).any():
            raise ValueError("a driver of these records is already in the table")
        self._reserve(self.size + drivers.size, int(drivers["number"].max(initial=0)))
        rows = np.arange(self.size, self.size + drivers.size, dtype=np.int32)
        self.records[self.size : self.size + drivers.size] = drivers
        self._row_of[drivers["number"]] = rows
        self.size += drivers.size
        return rows

    def live(self, rows: NDArray[np.int32]) -> NDArray[np.void]:
        """Return the `LIVE` records of rows."""
        return live_records(take_records(self.records, rows))

    def _append(self, record: NDArray[np.void]) -> int:
        number = int(record["number"][0])
        self._reserve(self.size + 1, number)
        row = self.size
        self.records[row] = record[0]
        self._row_of[number] = row
        self.size += 1
        return row

    def _reserve(self, size: int, number: int) -> None:
        """Make room for `size` drivers and numbers up to `number`."""
        if size > self.records.size:
            self.records = _grown(self.records, max(size, int(self.records.size * GROWTH)), 0)
        if number >= self._row_of.size:
            self._row_of = _grown(self._row_of, max(number + 1, int(self._row_of.size * GROWTH)), ABSENT)


def _grown(array: NDArray[Any], capacity: int, fill: int) -> NDArray[Any]:
    bigger = np.zeros(capacity, array.dtype) if fill == 0 else np.full(capacity, fill, array.dtype)
    bigger[: array.size] = array
    return bigger


def _unpacked(state: bytes) -> NDArray[np.void]:
    if len(state) != DRIVER.itemsize:
        raise ValueError(f"a driver record has {DRIVER.itemsize} bytes, not {len(state)}")
    return np.frombuffer(state, DRIVER).copy()
