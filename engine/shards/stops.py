"""Open planned stops of deliveries: packed records, a linked list per driver.

Pure. `engine.deliveries.arrival` changes the records in place while the driver's fixes go by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.shards.drivers import DriverTable

__all__ = ["NO_TURN", "STOP", "STOP_NAMES", "PlannedStop", "StopKind", "StopState", "StopTable"]

NO_TURN = 2**16 - 1
"""Turn of a stop that no plan orders."""

_END = -1  # of a list; drivers.NO_STOP
_FREE = 0
_MIN_CAPACITY = 256


class StopKind(IntEnum):
    """What is to be done at a stop."""

    PICKUP = 1
    """Take the goods."""
    DROPOFF = 2
    """Hand them over."""


STOP_NAMES: dict[int, str] = {int(kind): kind.name.lower() for kind in StopKind}
"""What plans and the API call each kind."""


class StopState(IntEnum):
    """Where the driver is with respect to a stop."""

    OUTSIDE = 0
    """Not there."""
    INSIDE = 1
    """Within the radius, but perhaps only passing."""
    ARRIVED = 2
    """There: stopped, or inside long enough."""
    LEFT = 3
    """Gone after arriving."""


STOP = np.dtype(
    [
        ("key", "<i8"),  # counts up in the table; names the stop in events
        ("delivery", "<i8"),  # the shard's key of the delivery
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("radius_m", "<f8"),
        ("since", "<i8"),  # first fix inside; after arrival the time of arrival
        ("halt_time", "<i8"),  # since when the driver has kept to one place inside
        ("halt_lat", "<f8"),
        ("halt_lon", "<f8"),
        ("still_time", "<i8"),  # since when it has not rolled there
        ("driver", "<u4"),  # the driver's number
        ("row", "<i4"),  # the driver's row
        ("next", "<i4"),  # place of the driver's next stop, or of the next free place
        ("kind", "u1"),  # StopKind; 0 = free place
        ("state", "u1"),  # StopState
        ("hits", "u1"),  # fixes outside in a row since arrival
        ("rolled", "u1"),  # whether it had rolled by the last fix inside
        ("pad", "u1", (6,)),  # no hidden padding: equal states are equal bytes
        ("turn", "<u2"),  # place in the driver's planned order, NO_TURN where there is none
    ],
    align=True,
)
"""One open stop."""


@dataclass(frozen=True, slots=True)
class PlannedStop:
    """One planned stop of a delivery."""

    kind: Literal["pickup", "dropoff"]
    latitude: float
    longitude: float
    radius_m: float


class StopTable:
    """The open stops of a driver table's drivers."""

    def __init__(self, drivers: "DriverTable") -> None:
        self.records: NDArray[np.void] = np.zeros(_MIN_CAPACITY, STOP)
        """Structured array of capacity; places with kind 0 are free."""
        self.size = 0
        """Number of open stops."""
        self._drivers = drivers
        self._next_key = 1
        self._free = _END
        self._chain_free(0)
        self._places: dict[int, list[int]] = {}

    def open(self, row: int, delivery_key: int, stops: Sequence[PlannedStop]) -> list[int]:
        """Give the driver in `row` the open stops of a delivery and return their keys.

        Raises
        ------
        ValueError
            If the delivery has open stops already: close it first.
        """
        if delivery_key in self._places:
            raise ValueError(f"delivery {delivery_key} has open stops")
        keys = []
        for stop in stops:
            record = np.zeros((), STOP)
            record["key"], record["delivery"] = self._next_key, delivery_key
            record["kind"], record["turn"] = StopKind[stop.kind.upper()], NO_TURN
            record["lat"], record["lon"], record["radius_m"] = stop.latitude, stop.longitude, stop.radius_m
            self._link(row, record)
            keys.append(self._next_key)
            self._next_key += 1
        return keys

    def close(self, delivery_key: int, kind: Literal["pickup", "dropoff"] | None = None) -> int:
        """Close a delivery's open stops, or those of one kind, and return how many there were."""
        wanted = None if kind is None else int(StopKind[kind.upper()])
        places = self._places.get(delivery_key, [])
        closing = [place for place in places if wanted is None or self.records["kind"][place] == wanted]
        for place in closing:
            self._unlink(place)
        return len(closing)

    def at(self, delivery_key: int, kind: Literal["pickup", "dropoff"] | None = None) -> list[np.void]:
        """Return a delivery's open stops, or those of one kind: the records themselves, not copies."""
        wanted = None if kind is None else int(StopKind[kind.upper()])
        stops = [self.records[place] for place in self._places.get(delivery_key, [])]
        return [stop for stop in stops if wanted is None or stop["kind"] == wanted]

    def of(self, row: int) -> NDArray[np.void]:
        """Return copies of a driver's open stops, in the order in which they were opened."""
        return self.records[self._list(row)]

    def order(self, row: int, turns: Mapping[tuple[int, int], int]) -> None:
        """Give a driver's open stops their turns by (delivery key, `StopKind`); those that are not named have none."""
        for place in self._list(row):
            stop = self.records[place]
            turn = turns.get((int(stop["delivery"]), int(stop["kind"])), NO_TURN)
            stop["turn"] = min(turn, NO_TURN)

    def drop(self, row: int) -> None:
        """Close all open stops of a driver."""
        for place in self._list(row):
            self._unlink(place)

    def follow(self, row: int) -> None:
        """Tell the stops of a driver that its record now lies in `row`."""
        self.records["row"][self._list(row)] = row

    def extract(self, partition: int) -> bytes:
        """Return the open stops of a partition's drivers, to go beside `DriverTable.extract`."""
        rows = self._drivers.of_partition(partition).tolist()
        stops = self.records[[place for row in rows for place in self._list(row)]]
        stops["row"], stops["next"] = 0, _END
        return stops.tobytes()

    def insert(self, data: bytes, deliveries: Mapping[int, int] | None = None) -> None:
        """Open what `extract` returned, after its drivers have been inserted.

        Stop keys are kept where the table has not given them out yet. `deliveries` says which delivery key of this
        process stands for one of the process that extracted.

        Raises
        ------
        ValueError
            If the data is of another release, or a driver is missing.
        """
        if len(data) % STOP.itemsize:
            raise ValueError(f"a stop record has {STOP.itemsize} bytes; {len(data)} is no multiple of it")
        stops = np.frombuffer(data, STOP)
        rows = self._drivers.rows(stops["driver"])
        if (rows < 0).any():
            raise ValueError("a stop's driver is not in the table")
        for row, stop in zip(rows.tolist(), stops, strict=True):
            record = np.array(stop, STOP)
            if deliveries is not None:
                record["delivery"] = deliveries[int(stop["delivery"])]
            if int(stop["key"]) < self._next_key:
                record["key"] = self._next_key
            self._next_key = max(self._next_key, int(record["key"])) + 1
            self._link(row, record)

    def _list(self, row: int) -> list[int]:
        places = []
        place = int(self._drivers.records["stop_head"][row])
        while place != _END:
            places.append(place)
            place = int(self.records["next"][place])
        return places

    def _link(self, row: int, record: NDArray[np.void]) -> None:
        """Put a record at the end of a driver's list."""
        if self._free == _END:
            self._grow()
        place = self._free
        self._free = int(self.records["next"][place])
        driver = self._drivers.records[row]
        record["driver"], record["row"], record["next"] = driver["number"], row, _END
        tail = self._list(row)
        self.records[place] = record
        if tail:
            self.records["next"][tail[-1]] = place
        else:
            driver["stop_head"] = place
        driver["open_stops"] += 1
        self._places.setdefault(int(record["delivery"]), []).append(place)
        self.size += 1

    def _unlink(self, place: int) -> None:
        stop = self.records[place]
        row, after, delivery = int(stop["row"]), int(stop["next"]), int(stop["delivery"])
        driver = self._drivers.records[row]
        if driver["stop_head"] == place:
            driver["stop_head"] = after
        else:
            listed = self._list(row)
            self.records["next"][listed[listed.index(place) - 1]] = after
        driver["open_stops"] -= 1
        self._places[delivery].remove(place)
        if not self._places[delivery]:
            del self._places[delivery]
        stop["kind"], stop["next"] = _FREE, self._free
        self._free = place
        self.size -= 1

    def _grow(self) -> None:
        used = self.records.size
        bigger = np.zeros(used * 3 // 2, STOP)
        bigger[:used] = self.records
        self.records = bigger
        self._chain_free(used)

    def _chain_free(self, start: int) -> None:
        """Make the places from `start` on the list of free ones."""
        self.records["next"][start:] = np.arange(start + 1, self.records.size + 1)
        self.records["next"][-1] = self._free
        self._free = start
