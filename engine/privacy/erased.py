"""What is left of a delivery and of audit entries when the people in them are erased.

Pure. Figures stay right: statuses, times, drivers and the rough place stay; who it was and where exactly goes.
"""

import datetime
from typing import Any

from models.documents.audit import AuditEntry
from models.documents.delivery import CLOSED, Customer, Delivery, Place

__all__ = ["ERASED", "erased", "redacted", "roughened"]

ERASED = "[erased]"
"""In place of what was erased, where something has to stand."""

_COARSE_DIGITS = 2  # about a kilometre: an area for statistics, no door
_PERSONAL = ("customer", "pickup", "dropoff", "notes", "proof")


def erased(delivery: Delivery, at: datetime.datetime) -> Delivery:
    """Return a delivery without its customer, one version on.

    The places of a closed one become rough. An open one keeps its points, because its driver still has to get there.
    """
    coarse = delivery.status in CLOSED
    update: dict[str, object] = {
        "customer": Customer(language=delivery.customer.language),
        "pickup": None if delivery.pickup is None else _place(delivery.pickup, coarse=coarse),
        "dropoff": _place(delivery.dropoff, coarse=coarse),
        "notes": None,
        "proof": None,
        "history": tuple(step.model_copy(update={"notes": None, "location": None}) for step in delivery.history),
        "version": delivery.version + 1,
        "updated_at": max(delivery.updated_at, at),
    }
    return delivery.model_copy(update=update)


def redacted(entry: AuditEntry, *, whole: bool) -> AuditEntry:
    """Return an audit entry that names the fields that changed, without what was personal in them.

    Parameters
    ----------
    entry
        As it was kept.
    whole
        Whether the entry is about a person, so that every value goes; else about a delivery.
    """
    changes = tuple(
        change.model_copy(update={"before": _blank(change.before), "after": _blank(change.after)})
        if whole or change.field.partition(".")[0] in _PERSONAL
        else change
        for change in entry.changes
    )
    return entry.model_copy(update={"changes": changes})


def roughened(entry: AuditEntry, delivery: str) -> AuditEntry:
    """Return an audit entry about a route in which the stops of a delivery are as rough as its places."""
    changes = tuple(
        change.model_copy(
            update={"before": _rough_stops(change.before, delivery), "after": _rough_stops(change.after, delivery)}
        )
        if change.field == "stops"
        else change
        for change in entry.changes
    )
    return entry.model_copy(update={"changes": changes})


def _rough_stops(stops: Any, delivery: str) -> Any:
    """Return stops as MongoDB keeps them, those of a delivery rough."""
    if stops is None:
        return None
    rough = ("latitude", "longitude")
    return [
        stop | {name: round(stop[name], _COARSE_DIGITS) for name in rough} if stop["deliveryId"] == delivery else stop
        for stop in stops
    ]


def _place(place: Place, *, coarse: bool) -> Place:
    update: dict[str, object] = {"address": None if place.address is None else ERASED}
    if coarse and place.latitude is not None and place.longitude is not None:
        update |= {
            "latitude": round(place.latitude, _COARSE_DIGITS),
            "longitude": round(place.longitude, _COARSE_DIGITS),
        }
    return place.model_copy(update=update)


def _blank(value: object) -> object:
    return None if value is None else ERASED
