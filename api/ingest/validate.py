"""What makes a ping a bad one: one rule over packed fixes, whichever way they came in.

Rows are packed before they are checked; a value that its field can't hold is packed as one that is out of range. So
rows and packed frames can't disagree. Drivers are looked up before; here that is a number or a reason.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.messages.fixes import DEGREE, FIX, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE

__all__ = ["Fault", "Refusal", "check_fixes", "check_record", "pack_record", "refusals", "warm_up"]

EARLIEST_MS = 946_684_800_000  # 2000-01-01: what is older is a clock that was never set
MAX_SPEED_MPS = 1000.0
MAX_ACCURACY_M = 1e7
MAX_ALTITUDE_M = 100_000.0
MIN_ALTITUDE_M = -12_000.0

_NOT_A_NUMBER = -(2**31)  # packed latitude or longitude of NaN; some 215 degrees, so out of range anyway
_INT32 = (-(2**31) + 1, 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_LAT_LIMIT = 90 * DEGREE
_LON_LIMIT = 180 * DEGREE
_NAN = math.nan
_RECORD = struct.Struct("<qqqiiIffffBBH")  # FIX, field by field


class Fault(IntEnum):
    """What is wrong with a ping."""

    NONE = 0
    LATITUDE = 1
    LONGITUDE = 2
    LATITUDE_NAN = 3
    LONGITUDE_NAN = 4
    NULL_ISLAND = 5
    FUTURE = 6
    PAST = 7
    SPEED = 8
    HEADING = 9
    ACCURACY = 10
    ALTITUDE = 11
    BATTERY = 12
    SEQUENCE = 13
    DEVICE_TIME = 14
    UNKNOWN_DRIVER = 15
    FOREIGN_DRIVER = 16
    NO_DRIVER = 17
    NO_TIME = 18


_WORDS: dict[Fault, tuple[str, str]] = {
    Fault.LATITUDE: ("out-of-range", "latitude"),
    Fault.LONGITUDE: ("out-of-range", "longitude"),
    Fault.LATITUDE_NAN: ("not-a-number", "latitude"),
    Fault.LONGITUDE_NAN: ("not-a-number", "longitude"),
    Fault.NULL_ISLAND: ("null-island", "latitude"),
    Fault.FUTURE: ("in-the-future", "time"),
    Fault.PAST: ("too-old", "time"),
    Fault.SPEED: ("out-of-range", "speed"),
    Fault.HEADING: ("out-of-range", "heading"),
    Fault.ACCURACY: ("out-of-range", "accuracy"),
    Fault.ALTITUDE: ("out-of-range", "altitude"),
    Fault.BATTERY: ("out-of-range", "battery"),
    Fault.SEQUENCE: ("out-of-range", "sequence"),
    Fault.DEVICE_TIME: ("out-of-range", "deviceTime"),
    Fault.UNKNOWN_DRIVER: ("unknown-driver", "driverId"),
    Fault.FOREIGN_DRIVER: ("not-your-driver", "driverId"),
    Fault.NO_DRIVER: ("missing", "driverId"),
    Fault.NO_TIME: ("not-a-time", "time"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused ping of a batch."""

    index: int
    reason: str
    field: str

    @classmethod
    def of(cls, index: int, fault: int) -> "Refusal":
        """Return the refusal in words."""
        return cls(index, *_WORDS[Fault(fault)])

    def to_wire(self) -> dict[str, str | int]:
        """Return the refusal as it is answered."""
        return {"index": self.index, "reason": self.reason, "field": self.field}


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def _fault_of(
    time: int,
    device_time: int,
    seq: int,
    lat: int,
    lon: int,
    speed: float,
    heading: float,
    accuracy: float,
    altitude: float,
    battery: int,
    latest_ms: int,
) -> int:
    """Return the first fault of a fix, 0 for none. Comparisons with NaN, which is unknown, are false throughout."""
    if lat == _NOT_A_NUMBER:
        return 3
    if lon == _NOT_A_NUMBER:
        return 4
    if lat > _LAT_LIMIT or lat < -_LAT_LIMIT:
        return 1
    if lon > _LON_LIMIT or lon < -_LON_LIMIT:
        return 2
    if lat == 0 and lon == 0 and math.isnan(accuracy):
        return 5
    if time > latest_ms:
        return 6
    if time < EARLIEST_MS:
        return 7
    if speed > MAX_SPEED_MPS or speed < 0.0:
        return 8
    if heading > 360.0 or heading < 0.0:
        return 9
    if accuracy > MAX_ACCURACY_M or accuracy < 0.0:
        return 10
    if altitude > MAX_ALTITUDE_M or altitude < MIN_ALTITUDE_M:
        return 11
    if battery > 100 and battery != UNKNOWN_BATTERY:
        return 12
    if seq < UNKNOWN_SEQUENCE:
        return 13
    if device_time != 0 and device_time < EARLIEST_MS:
        return 14
    return 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def _check(words: NDArray[np.int64], halves: NDArray[np.int32], reals: NDArray[np.float32], octets: NDArray[np.uint8],
           latest_ms: int, source: int, numbers: NDArray[np.int64], partition_of: NDArray[np.uint16],
           partitions: NDArray[np.uint16], faults: NDArray[np.uint8]) -> int:  # fmt: skip
    """Check each record, put number, source and partition in place, and return how many are bad.

    The four views lie over the same bytes: 7 words of 64 bits, 14 of 32, 56 octets a record.
    """
    bad = 0
    for i in range(len(faults)):
        driver = np.int64(np.uint32(halves[i, 8]))
        number = (
            numbers[driver] if driver < len(numbers) else -15
        )  # Fault.UNKNOWN_DRIVER: no such place in the frame's list
        if reals[i, 9] == -1.0:  # phones say -1 for unknown
            reals[i, 9] = _NAN
        if reals[i, 10] == -1.0:
            reals[i, 10] = _NAN
        fault = _fault_of(words[i, 0], words[i, 1], words[i, 2], halves[i, 6], halves[i, 7], reals[i, 9], reals[i, 10],
                          reals[i, 11], reals[i, 12], octets[i, 52], latest_ms)  # fmt: skip
        if number < 0:
            fault = -number
        faults[i] = fault
        if fault != 0:
            bad += 1
            continue
        halves[i, 8] = np.int32(np.uint32(number))
        partitions[i] = partition_of[driver]
        octets[i, 53] = source
        octets[i, 54] = 0
        octets[i, 55] = 0
    return bad


def check_fixes(
    fixes: NDArray[np.void],
    numbers: NDArray[np.int64],
    partition_of: NDArray[np.uint16],
    latest_ms: int,
    source: int,
) -> tuple[NDArray[np.uint16], NDArray[np.uint8], int]:
    """Check packed fixes and put driver numbers in place of places in the frame's list.

    Parameters
    ----------
    fixes
        `FIX` array of length F, contiguous and writable; `driver` is a place in `numbers`. Changed in place: numbers,
        source and flags are set, and a speed or heading of -1 becomes unknown.
    numbers
        Driver number of each place; negative: minus the `Fault` of that driver.
    partition_of
        Partition of each place.
    latest_ms
        Latest fix time that is believed, epoch milliseconds.
    source
        `Source` of these fixes.

    Returns
    -------
    tuple
        Partition of each fix (those of bad ones mean nothing), `Fault` of each fix, how many are bad.
    """
    count = len(fixes)
    partitions = np.empty(count, np.uint16)
    faults = np.empty(count, np.uint8)
    raw = fixes.view(np.uint8).reshape(count, FIX.itemsize)
    # a plain int: numba looks at the type of an enum member for 26 µs at every call, five times the check itself
    bad = _check(raw.view(np.int64), raw.view(np.int32), raw.view(np.float32), raw, latest_ms, int(source), numbers,
                 partition_of, partitions, faults)  # fmt: skip
    return partitions, faults, bad


def check_record(record: bytes, latest_ms: int) -> int:
    """Return the `Fault` of one packed fix whose driver is known."""
    time, device_time, seq, lat, lon, _, speed, heading, accuracy, altitude, battery, _, _ = _RECORD.unpack(record)
    return int(_fault_of(time, device_time, seq, lat, lon, speed, heading, accuracy, altitude, battery, latest_ms))


def pack_record(
    time_ms: int,
    latitude: float,
    longitude: float,
    *,
    driver: int = 0,
    speed: float | None = None,
    heading: float | None = None,
    accuracy: float | None = None,
    altitude: float | None = None,
    battery: float | None = None,
    sequence: int | None = None,
    device_time_ms: int | None = None,
    source: int = 0,
) -> bytes:
    """Return one packed fix; what a field can't hold becomes a value that `check_record` refuses.

    Parameters
    ----------
    time_ms, device_time_ms
        Epoch milliseconds.
    latitude, longitude
        Degrees WGS 84.
    driver
        Driver number, or place in a frame's list.
    speed, heading, accuracy, altitude
        Metres a second, degrees from north, metres, metres; None, NaN and a speed or heading of -1 are unknown.
    battery
        Percent.
    sequence
        The device's own number of the ping.
    source
        `Source`.
    """
    return _RECORD.pack(
        min(max(time_ms, _INT64[0]), _INT64[1]),
        0 if device_time_ms is None else min(max(device_time_ms, 1), _INT64[1]),
        UNKNOWN_SEQUENCE if sequence is None else sequence if 0 <= sequence <= _INT64[1] else _INT64[0],
        _steps(latitude),
        _steps(longitude),
        driver,
        _NAN if speed is None or speed == -1 else _real(speed),
        _NAN if heading is None or heading == -1 else _real(heading),
        _NAN if accuracy is None else _real(accuracy),
        _NAN if altitude is None else _real(altitude),
        _percent(battery),
        source,
        0,
    )


def refusals(faults: NDArray[np.uint8]) -> list[Refusal]:
    """Return the refusals of a checked batch, by index."""
    return [Refusal.of(index, int(faults[index])) for index in np.flatnonzero(faults).tolist()]


def warm_up() -> None:
    """Compile the rule, or load it from the cache, so that no ping waits a second for it."""
    record = pack_record(EARLIEST_MS, 1.0, 1.0)
    check_record(record, EARLIEST_MS)
    fixes = np.frombuffer(bytearray(record), FIX)
    check_fixes(fixes, np.zeros(1, np.int64), np.frombuffer(bytes(2), np.uint16), EARLIEST_MS, 0)


def _steps(degrees: float) -> int:
    if degrees != degrees:  # NaN alone differs from itself; math.isnan is a call more on the hot path
        return _NOT_A_NUMBER
    if -360.0 < degrees < 360.0:
        return min(max(round(degrees * DEGREE), _INT32[0]), _INT32[1])
    return _INT32[1]


def _real(value: float) -> float:
    return value if -1e30 < value < 1e30 or value != value else math.copysign(1e30, value)  # as above


def _percent(battery: float | None) -> int:
    if battery is None or battery != battery:  # as above
        return UNKNOWN_BATTERY
    return round(battery) if 0 <= battery <= 100 else UNKNOWN_BATTERY - 1
