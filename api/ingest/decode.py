"""Bodies and frames to rows: msgspec structs from JSON or msgpack, each row judged by itself when one is wrong.

The fast way decodes a whole message at once into typed rows. When a row has a wrong type that fails as a whole; then
the rows are cut out undecoded and tried one by one, so that only the bad one is refused.
"""

import datetime
import re
from dataclasses import dataclass, field
from datetime import UTC
from typing import Annotated

import msgspec

from api.ingest.validate import Refusal
from models.errors import Malformed, TooLarge

__all__ = ["Decoder", "Message", "PingRow", "moment_ms"]

_PATH = re.compile(r"`\$\.?(.*?)`$")
_FIELD = re.compile(r"required field `(\w+)`")
_CAMEL = {"driver_id": "driverId", "device_time": "deviceTime"}
_MAX_DRIVERS = 100_000  # ids in the list of a packed frame; its records name them by place
_LONGEST_YEAR_MS = 2**62


class PingRow(msgspec.Struct, gc=False):
    """One ping as a row; two names each for what is written in camelCase or snake_case."""

    time: int | float | str
    """Epoch milliseconds, or RFC 3339."""
    latitude: float
    longitude: float
    driver: str | None = msgspec.field(default=None, name="driverId")
    driver_id: str | None = None
    speed: float | None = None
    heading: float | None = None
    accuracy: float | None = None
    altitude: float | None = None
    battery: float | None = None
    sequence: int | None = None
    device: int | float | str | None = msgspec.field(default=None, name="deviceTime")
    device_time: int | float | str | None = None


class _Head(msgspec.Struct):
    """What messages have besides rows."""

    type: str | None = None
    seq: int | None = None
    token: str | None = None
    drivers: Annotated[list[str], msgspec.Meta(max_length=_MAX_DRIVERS)] | None = None
    packed: bytes | None = None


class _Typed(_Head):
    pings: list[PingRow] | None = None


class _Loose(_Head):
    pings: list[msgspec.Raw] | None = None


@dataclass(slots=True)
class Message:
    """A body, or a message of the ingest stream."""

    type: str | None = None
    seq: int | None = None
    token: str | None = None
    rows: list[PingRow | None] | None = None
    """Rows; None where there is a refusal."""
    drivers: list[str] | None = None
    packed: bytes | None = None
    refused: list[Refusal] = field(default_factory=list)
    """Rows that have a wrong type or lack a field."""


class Decoder:
    """Decodes messages of at most so many pings.

    Parameters
    ----------
    max_pings
        Most rows or records in one message.
    """

    def __init__(self, max_pings: int) -> None:
        self._max_pings = max_pings
        self._json = (msgspec.json.Decoder(_Typed), msgspec.json.Decoder(_Loose), msgspec.json.Decoder(PingRow))
        self._msgpack = (
            msgspec.msgpack.Decoder(_Typed),
            msgspec.msgpack.Decoder(_Loose),
            msgspec.msgpack.Decoder(PingRow),
        )

    def json(self, data: bytes) -> Message:
        """Decode JSON.

        Raises
        ------
        Malformed
            If it is broken as a whole; carries the path of the field at fault.
        TooLarge
            If it holds too many pings.
        """
        return self._decode(data, *self._json)

    def msgpack(self, data: bytes) -> Message:
        """Decode msgpack; raises as `json`."""
        return self._decode(data, *self._msgpack)

    def _decode(
        self,
        data: bytes,
        typed: "msgspec.json.Decoder[_Typed] | msgspec.msgpack.Decoder[_Typed]",
        loose: "msgspec.json.Decoder[_Loose] | msgspec.msgpack.Decoder[_Loose]",
        single: "msgspec.json.Decoder[PingRow] | msgspec.msgpack.Decoder[PingRow]",
    ) -> Message:
        try:
            head = typed.decode(data)
        except msgspec.ValidationError:
            return self._decode_rows(data, loose, single)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error) from error
        rows: list[PingRow | None] | None = head.pings  # type: ignore[assignment]  # a list of rows is one of rows or None; nobody appends
        self._limit(len(rows) if rows is not None else 0)
        return Message(head.type, head.seq, head.token, rows, head.drivers, head.packed)

    def _decode_rows(
        self,
        data: bytes,
        loose: "msgspec.json.Decoder[_Loose] | msgspec.msgpack.Decoder[_Loose]",
        single: "msgspec.json.Decoder[PingRow] | msgspec.msgpack.Decoder[PingRow]",
    ) -> Message:
        try:
            head = loose.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error) from error
        raws = head.pings or []
        self._limit(len(raws))
        rows: list[PingRow | None] = []
        refused = []
        for index, raw in enumerate(raws):
            try:
                rows.append(single.decode(raw))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                rows.append(None)
                refused.append(_refusal(index, str(error)))
        return Message(head.type, head.seq, head.token, rows, head.drivers, head.packed, refused)

    def _limit(self, pings: int) -> None:
        if pings > self._max_pings:
            raise TooLarge(f"a batch may have {self._max_pings} pings at most", [("pings", f"{pings} pings")])


def moment_ms(value: int | float | str) -> int | None:
    """Return epoch milliseconds of a number of them or an RFC 3339 text (UTC where no zone is given), or None."""
    if isinstance(value, int):
        return value
    try:
        if isinstance(value, float):
            return round(min(max(value, -_LONGEST_YEAR_MS), _LONGEST_YEAR_MS)) if value == value else None  # NaN
        moment = datetime.datetime.fromisoformat(value)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _malformed(error: Exception) -> Malformed:
    text = str(error)
    path = _PATH.search(text)
    detail = text[: path.start()].removesuffix(" - at ") if path else text
    return Malformed(f"the message can't be read: {detail}", [(path[1] if path else "", detail)])


def _refusal(index: int, text: str) -> Refusal:
    if missing := _FIELD.search(text):
        return Refusal(index, "missing", missing[1])
    path = _PATH.search(text)
    name = path[1] if path else ""
    return Refusal(index, "wrong-type", _CAMEL.get(name, name))
