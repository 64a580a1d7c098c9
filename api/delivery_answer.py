"""A delivery as it is answered, straight from what MongoDB keeps.

What is stored was checked when it was written and has its names already, so nothing is left but to fill in what was
left out and to work out what follows from the rest. `api.routers.deliveries.view_of` says the same of a `Delivery`, at
five times the cost; a test compares the two, and what they have in common comes from the same shapes.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

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
_MOST = 8000  # of 3 KB with their keys
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
    """

    def __init__(self) -> None:
        self._known: dict[bytes, msgspec.Raw] = {}
        self._until = 0.0

    async def of(self, stored: bytes, read: Callable[[bytes], Awaitable[Fields]]) -> msgspec.Raw:
        """Return a stored delivery as it is answered; `read` reads one that was not shown lately."""
        known = self._known.get(stored)
        if known is not None and time.monotonic() < self._until:
            return known
        shown = msgspec.Raw(encode(answer_of(await read(stored))))
        if (moment := time.monotonic()) >= self._until or len(self._known) >= _MOST:
            self._known.clear()
            self._until = moment + _LIFE_S
        self._known[stored] = shown
        return shown


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
