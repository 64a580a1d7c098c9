"""From a decoded message to packed, checked fixes with driver numbers: what of it goes to the log, what is refused.

Pure, but for the clock: rows and packed records end in the same rule (`api.ingest.validate`).
"""

import time
from dataclasses import dataclass

import numpy as np

from api.ingest.decode import Message, PingRow, moment_ms
from api.ingest.roster import Roster
from api.ingest.validate import Fault, Refusal, check_fixes, check_record, pack_record, refusals
from models.errors import Malformed, TooLarge
from models.messages.fixes import FIX, Source

__all__ = ["Admission", "Admitted"]

_FIX_BYTES = FIX.itemsize


@dataclass(slots=True)
class Admitted:
    """What a message comes to."""

    fixes: bytes
    """Good fixes as `FIX` records with driver numbers."""
    partitions: bytes
    """Partition of each."""
    refused: list[Refusal]
    """Bad pings, by index."""

    @property
    def count(self) -> int:
        """Return how many are good."""
        return len(self.fixes) // _FIX_BYTES


@dataclass(frozen=True, slots=True)
class Admission:
    """Turns messages of one caller into fixes.

    Parameters
    ----------
    roster
        The caller's drivers.
    max_pings
        Most records in a packed frame.
    max_future_ms
        How far ahead of the clock a fix may be.
    """

    roster: Roster
    max_pings: int
    max_future_ms: int

    def drivers_of(self, message: Message) -> set[str | None]:
        """Return the drivers of a message that the roster has to learn before `admit`."""
        self.roster.refresh()
        if message.packed is not None:
            return self.roster.unknown(message.drivers or ())
        return self.roster.unknown([_driver(row) for row in message.rows or () if row is not None])

    def admit(self, message: Message, source: Source) -> Admitted:
        """Return the good fixes and the refusals of a message whose drivers have been learnt.

        Raises
        ------
        Malformed
            If packed bytes are not whole records.
        TooLarge
            If there are too many records.
        """
        latest_ms = int(time.time() * 1000) + self.max_future_ms
        if message.packed is not None:
            return self._admit_packed(message.packed, message.drivers or [], latest_ms, source)
        return self._admit_rows(message, latest_ms, source)

    def _admit_packed(self, packed: bytes, drivers: list[str], latest_ms: int, source: Source) -> Admitted:
        if len(packed) % _FIX_BYTES:
            raise Malformed(f"packed is not made of records of {_FIX_BYTES} bytes", [("packed", "odd length")])
        if len(packed) > self.max_pings * _FIX_BYTES:
            raise TooLarge(f"a batch may have {self.max_pings} pings at most", [("packed", "too many records")])
        if not packed:
            return Admitted(b"", b"", [])
        fixes = np.frombuffer(bytearray(packed), FIX)
        numbers, partition_of = self.roster.columns(drivers)
        partitions, faults, bad = check_fixes(fixes, numbers, partition_of, latest_ms, source)
        if not bad:
            return Admitted(fixes.tobytes(), partitions.tobytes(), [])
        good = faults == Fault.NONE
        return Admitted(fixes[good].tobytes(), partitions[good].tobytes(), refusals(faults))

    def _admit_rows(self, message: Message, latest_ms: int, source: Source) -> Admitted:
        fixes, partitions = [], []
        refused = message.refused
        for index, row in enumerate(message.rows or ()):
            if row is None:
                continue
            place = self.roster.find(_driver(row))
            if place is None or place.number < 0:
                refused.append(Refusal.of(index, Fault.UNKNOWN_DRIVER if place is None else -place.number))
                continue
            record = _pack(row, place.number, source)
            fault = Fault.NO_TIME if record is None else check_record(record, latest_ms)
            if record is None or fault:
                refused.append(Refusal.of(index, fault))
                continue
            fixes.append(record)
            partitions.append(place.partition)
        if len(refused) > 1:
            refused.sort(key=lambda refusal: refusal.index)
        return Admitted(b"".join(fixes), b"".join(partitions), refused)


def _driver(row: PingRow) -> str | None:
    return row.driver if row.driver is not None else row.driver_id


def _pack(row: PingRow, number: int, source: Source) -> bytes | None:
    """Return a row as a record, or None if a time can't be read."""
    time_ms = row.time if type(row.time) is int else moment_ms(row.time)
    device = row.device if row.device is not None else row.device_time
    device_ms = None if device is None else moment_ms(device)
    if time_ms is None or (device is not None and device_ms is None):
        return None
    return pack_record(
        time_ms,
        row.latitude,
        row.longitude,
        driver=number,
        speed=row.speed,
        heading=row.heading,
        accuracy=row.accuracy,
        altitude=row.altitude,
        battery=row.battery,
        sequence=row.sequence,
        device_time_ms=device_ms,
        source=source,
    )
