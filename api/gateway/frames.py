"""Frames as bytes. Pure.

The drivers of a frame are encoded once for all subscriptions that see the same change; number, id and time, which
differ per connection, are put around them.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.gateway.conflate import FleetState
from models.messages.fixes import DEGREE, UNKNOWN_BATTERY
from models.messages.frames import DriverState
from models.messages.live import LiveFlag, Motion

__all__ = ["encode_drivers", "encode_gone", "json_frame", "message", "names_message", "packed_frame"]

_MOTION = tuple(motion.name.lower() for motion in Motion)
_HEADER = struct.Struct("<2sBBIHHI")  # magic, version, full, n, length of id, 0, count
_PACKED_VERSION = 1
_encoder = msgspec.json.Encoder()


class _Frame(msgspec.Struct, frozen=True, tag="frame", rename="camel"):
    n: int
    id: str
    full: bool
    at: int
    drivers: msgspec.Raw
    gone: msgspec.Raw
    deliveries: Sequence[Any]
    events: Sequence[Any]
    jobs: Sequence[Any] | msgspec.UnsetType = msgspec.UNSET
    missed: int | msgspec.UnsetType = msgspec.UNSET


def encode_drivers(state: FleetState, rows: NDArray[np.int64]) -> bytes:
    """Return the drivers in `rows` as a JSON array."""
    records = state.records[rows]
    ids, names = state.ids, state.names
    columns = zip(
        rows.tolist(),
        (records["lat"] / DEGREE).tolist(),
        (records["lon"] / DEGREE).tolist(),
        _numbers(records["speed"]),
        _numbers(records["heading"]),
        _numbers(records["accuracy"]),
        records["battery"].tolist(),
        records["motion"].tolist(),
        (records["flags"] & LiveFlag.ONLINE).tolist(),
        records["time"].tolist(),
        records["received"].tolist(),
        records["stops"].tolist(),
        strict=True,
    )
    return _encoder.encode(
        [
            DriverState(
                ids[row],
                names[row],
                latitude,
                longitude,
                speed,
                heading,
                accuracy,
                battery if battery != UNKNOWN_BATTERY else None,
                _MOTION[motion],
                online != 0,
                time,
                received,
                stops,
            )
            for (
                row,
                latitude,
                longitude,
                speed,
                heading,
                accuracy,
                battery,
                motion,
                online,
                time,
                received,
                stops,
            ) in columns
        ]
    )


def encode_gone(state: FleetState, rows: NDArray[np.int64]) -> bytes:
    """Return the ids of the drivers in `rows` as a JSON array."""
    return _encoder.encode([state.ids[row] for row in rows.tolist()])


def json_frame(
    n: int,
    name: str,
    at: int,
    *,
    full: bool,
    drivers: bytes = b"[]",
    gone: bytes = b"[]",
    deliveries: Sequence[Any] = (),
    events: Sequence[Any] = (),
    jobs: Sequence[Any] = (),
    missed: int = 0,
) -> bytes:
    """Return a JSON frame around arrays of drivers and leavers that are encoded already.

    `missed` counts events that fell out of the buffer before this subscriber took them; it is left out when 0, and
    `jobs` when there is none.
    """
    return _encoder.encode(
        _Frame(
            n,
            name,
            full,
            at,
            msgspec.Raw(drivers),
            msgspec.Raw(gone),
            deliveries,
            events,
            jobs or msgspec.UNSET,
            missed or msgspec.UNSET,
        )
    )


def packed_frame(n: int, name: str, records: bytes, count: int, *, full: bool) -> bytes:
    """Return a binary frame around `LIVE` records."""
    label = name.encode()
    return _HEADER.pack(b"O1", _PACKED_VERSION, full, n, len(label), 0, count) + label + records


def names_message(state: FleetState, rows: NDArray[np.int64]) -> bytes:
    """Return the message that tells the ids and names behind the numbers of packed frames."""
    numbers = state.records["driver"][rows].tolist()
    drivers = {
        str(number): {"id": state.ids[row], "name": state.names[row]}
        for number, row in zip(numbers, rows.tolist(), strict=True)
    }
    return _encoder.encode({"type": "names", "drivers": drivers})


def message(kind: str, **fields: Any) -> bytes:
    """Return any other message."""
    return _encoder.encode({"type": kind, **fields})


def _numbers(column: NDArray[np.float32]) -> list[float | None]:
    # two decimals: centimetres, and hundredths of a degree; a float32 spelled out as a double has seventeen digits
    values = np.round(column.astype(np.float64), 2).tolist()
    if np.isnan(column).any():
        return [None if value != value else value for value in values]  # NaN alone differs from itself
    return values  # type: ignore[no-any-return]  # numpy types tolist as Any
