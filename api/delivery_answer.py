"""A delivery as it is answered, straight from what MongoDB keeps.

What is stored was checked when it was written and has its names already, so nothing is left but to fill in what was
left out and to work out what follows from the rest. `api.routers.deliveries.view_of` says the same of a `Delivery`, at
five times the cost; a test compares the two, and what they have in common comes from the same shapes.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from cachetools import TTLCache

from api.live_view import encode
from models.documents.delivery import (
    STOP_RADIUS_M,
    Customer,
    Delivery,
    Place,
    Position,
    Proof,
    Status,
    StatusChange,
    TimeWindow,
)
from models.documents.document import Shape

__all__ = ["KnownAnswers", "answer_of", "course_of"]

Fields = Mapping[str, Any]
_MOST_BYTES = 16 * 2**20
_KEY_BYTES = 200  # of a key and what the cache notes of it
_LIFE_S = 60.0  # as long as a process keeps data keys


def _usual(shape: type[Shape], *names: str) -> dict[str, Any]:
    """Return what a shape's fields are where nothing is stored, by the names under which they are."""
    chosen = {name: shape.model_fields[name] for name in names or shape.model_fields}
    return {field.alias or name: None if field.is_required() else field.default for name, field in chosen.items()}


_PLAIN = list(
    _usual(
        Delivery,
        *("version", "status", "reference", "weight_kg", "volume_m3", "pieces", "skills", "priority"),
        *("service_time_s", "notes", "created_at", "updated_at"),
    ).items()
)
"""Fields that are answered as they are stored, with what they are where they are not."""
_PLACE, _CUSTOMER, _WINDOW = _usual(Place), _usual(Customer), _usual(TimeWindow)
_PROOF, _CHANGE, _POSITION = _usual(Proof), _usual(StatusChange), _usual(Position)


class KnownAnswers:
    """Deliveries that were shown lately, encoded: the same bytes in MongoDB are the same answer.

    The same screens are looked at again and again, and to open what is personal is the most of a list's cost.
    Whatever was opened is forgotten after a minute, whether anybody asks again or not.
    """

    def __init__(self, *, most_bytes: int = _MOST_BYTES, timer: Callable[[], float] = time.monotonic) -> None:
        self._known: TTLCache[bytes, msgspec.Raw] = TTLCache(most_bytes, _LIFE_S, timer, getsizeof=_size)
        self._sweep: asyncio.TimerHandle | None = None

    async def of(self, stored: bytes, read: Callable[[bytes], Awaitable[Fields]]) -> msgspec.Raw:
        """Return a stored delivery as it is answered; `read` reads one that was not shown lately."""
        key = hashlib.blake2b(stored, digest_size=16).digest()
        known = self._known.get(key)
        if known is not None:
            return known
        shown = msgspec.Raw(encode(answer_of(await read(stored))))
        if _size(shown) <= self._known.maxsize:
            self._known[key] = shown
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_LIFE_S, self._forget)
        return shown

    def _forget(self) -> None:
        self._known.expire()
        self._sweep = asyncio.get_running_loop().call_later(_LIFE_S, self._forget) if self._known else None


def _size(shown: msgspec.Raw) -> int:
    return memoryview(shown).nbytes + _KEY_BYTES


def answer_of(fields: Fields) -> dict[str, Any]:
    """Return a stored delivery, in clear, as it is answered.

    Parameters
    ----------
    fields
        As MongoDB keeps it, its personal fields opened. Not modified, but parts of it are in the answer.
    """
    get = fields.get
    pickup, dropoff = get("pickup"), fields["dropoff"]
    located = _is_located(dropoff) and (pickup is None or _is_located(pickup))
    made = {name: get(name, usual) for name, usual in _PLAIN}
    made["id"], made["driverId"], made["routeId"] = fields["_id"], get("driver"), get("route")
    made["pickup"] = None if pickup is None else {**_PLACE, **pickup}
    made["dropoff"] = {**_PLACE, **dropoff}
    made["stops"] = _stops(fields)
    made["located"] = located
    made["unlocated"] = None if located else get("geocodeFault") or "waiting"
    made["customer"] = {**_CUSTOMER, **get("customer", {})}
    made["timeWindow"] = _window(fields)
    made["proof"] = _with_location(_PROOF, proof) if (proof := get("proof")) is not None else None
    made["history"] = [_with_location(_CHANGE, change) for change in get("history", ())]
    return made


def course_of(fields: Fields) -> dict[str, Any]:
    """Return how far a stored delivery is, as it is answered to who follows it; nothing personal is needed."""
    return {
        "deliveryId": fields["_id"],
        "status": fields.get("status", Status.PENDING),
        "version": fields.get("version", 1),
        "driverId": fields.get("driver"),
        "stops": _stops(fields),
        "timeWindow": _window(fields),
        "updatedAt": fields["updatedAt"],
    }


def _window(fields: Fields) -> dict[str, Any] | None:
    """Return when the drop-off of a stored delivery may happen."""
    window = fields.get("timeWindow")
    return None if window is None else {**_WINDOW, **window}


def _stops(fields: Fields) -> list[dict[str, Any]]:
    """Return the planned stops of a stored delivery: those of its places that are known as points."""
    found = []
    for kind in ("pickup", "dropoff"):
        place = fields.get(kind)
        if place is not None and (latitude := place.get("latitude")) is not None:
            radius_m = place.get("radiusM") or STOP_RADIUS_M
            found.append({"kind": kind, "latitude": latitude, "longitude": place["longitude"], "radiusM": radius_m})
    return found


def _is_located(place: Fields) -> bool:
    return place.get("latitude") is not None


def _with_location(usual: Fields, part: Fields) -> dict[str, Any]:
    made = {**usual, **part}
    if (location := made["location"]) is not None:
        made["location"] = {**_POSITION, **location}
    return made
