"""A delivery as it was at an instant of the past, from the events that its changes left and what the audit log says.

Pure. A change counts from the time when it happened, which a phone out of reach may tell late; but never before the
change that it was made upon, so that every state given here is one that was stored (its `updatedAt` is that time).
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from models.documents.audit import AuditEntry
from models.documents.delivery import Delivery, Status
from models.documents.event import Event

__all__ = ["PastState", "delivery_at", "state_at", "told_in_order"]


@dataclass(frozen=True, slots=True)
class PastState:
    """What a delivery was."""

    version: int
    status: Status
    driver: str | None
    since: datetime.datetime
    """When it became so."""
    by: str
    """Who made it so: user, key or `engine`."""


def told_in_order(events: Sequence[Event]) -> list[tuple[datetime.datetime, Event]]:
    """Return a delivery's events in order, each with the time from which it counts.

    Changes stand in the order of their versions; what happened to the delivery without changing it, such as the coming
    to a stop, stands by its time, before the changes that it made.
    """
    changes = sorted((event for event in events if _is_change(event)), key=lambda event: event.sequence)
    told: list[tuple[datetime.datetime, Event]] = []
    for event in changes:
        told.append((max(told[-1][0], event.time) if told else event.time, event))
    told += [(event.time, event) for event in events if not _is_change(event)]
    return sorted(told, key=lambda one: (one[0], _is_change(one[1]), one[1].sequence))


def state_at(events: Sequence[Event], at: datetime.datetime) -> PastState | None:
    """Return what the events up to `at` make of a delivery; None before its creation."""
    state = None
    for since, event in told_in_order(events):
        if since > at:
            break
        if _is_change(event):
            state = PastState(
                version=event.sequence,
                status=Status(event.data["status"]),
                driver=event.data["driverId"],
                since=since,
                by=event.actor,
            )
    return state


def delivery_at(
    present: Delivery, events: Sequence[Event], entries: Sequence[AuditEntry], at: datetime.datetime
) -> Delivery | None:
    """Return a delivery as it was, by taking back what was changed since; None where the audit log does not know it.

    Parameters
    ----------
    present
        The delivery now.
    entries
        What the audit log says of it, in any order.
    """
    if (state := state_at(events, at)) is None:
        return None
    since = [event for _, event in told_in_order(events) if _is_change(event) and event.sequence > state.version]
    known = {entry.event: entry for entry in entries}
    fields = present.stored()
    for event in reversed(since):
        if event.id not in known:
            return None
        for change in known[event.id].changes:
            _put(fields, change.field.split("."), change.before)
    moves = sum(1 for event in since if "previousStatus" in event.data)
    fields |= {"version": state.version, "status": state.status, "driver": state.driver, "updatedAt": state.since}
    fields["history"] = fields["history"][: len(present.history) - moves]
    try:
        return Delivery.restored(fields)
    except ValidationError:  # what was personal in it has been erased
        return None


def _put(fields: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a field of a stored document by its path; None unsets it, and what holds nothing any more."""
    first, *rest = path
    if rest:
        inner = dict(fields.get(first) or {})
        _put(inner, rest, value)
        value = inner or None
    if value is None:
        fields.pop(first, None)
    else:
        fields[first] = value


def _is_change(event: Event) -> bool:
    """Tell whether an event is a version of the delivery; motion events count by places in the log instead."""
    return event.data.get("version") == event.sequence
