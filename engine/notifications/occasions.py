"""Which events are an occasion to tell somebody something. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.documents.event import Event
from models.documents.notification import Template

__all__ = ["Alert", "Occasion", "alert_of", "occasions_of"]

_ALERTS: Mapping[str, tuple[Template, str]] = {
    "task.failed": (Template.TASK_FAILED, "kind"),
    "eta.coverage_off": (Template.RANGES_OFF, "day"),
    "webhook.disabled": (Template.WEBHOOK_DISABLED, "url"),
}
"""Events that admins are alerted by: in which words, and the field that says what it is about."""


_CUSTOMER: Mapping[str, Template] = {
    "delivery.created": Template.DELIVERY_CREATED,
    "delivery.assigned": Template.DELIVERY_ASSIGNED,
    "delivery.in_transit": Template.DELIVERY_ON_THE_WAY,
    "delivery.imminent": Template.DELIVERY_ARRIVING_SOON,
    "delivery.arrived": Template.DELIVERY_ARRIVED,
    "delivery.delivered": Template.DELIVERY_DELIVERED,
    "delivery.failed": Template.DELIVERY_FAILED,
}
_DRIVER: Mapping[str, tuple[str, Template]] = {
    "delivery.assigned": ("driverId", Template.DRIVER_ASSIGNED),
    "delivery.unassigned": ("previousDriverId", Template.DRIVER_UNASSIGNED),
    "delivery.cancelled": ("driverId", Template.DRIVER_UNASSIGNED),
}
_OFFER = "offer.made"
_WINDOW = "time_window"
_OF_INTEREST = frozenset({"pickup", "dropoff", "time_window", "notes", "weight_kg", "volume_m3", "priority"})
"""What a driver has to know when it changes."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """Somebody is to be told something."""

    template: Template
    delivery: str
    driver: str | None = None
    """The driver who is told; none is the customer."""
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """Admins are to be told that something needs a look."""

    template: Template
    about: str


def alert_of(event: Event) -> Alert | None:
    """Return what admins are to be told of an event; what one of them did with a webhook they know."""
    if event.type not in _ALERTS or event.data.get("whyDisabled") == "asked":
        return None
    template, field = _ALERTS[event.type]
    return Alert(template, str(event.data.get(field)))


def occasions_of(event: Event) -> Sequence[Occasion]:
    """Return whom an event concerns, and what they may be told."""
    delivery = event.data.get("deliveryId")
    if not isinstance(delivery, str):
        return ()
    if event.type == _OFFER:
        return _of_offer(event, delivery)
    if event.type == "delivery.changed":
        return _of_change(event, delivery)
    found: list[Occasion] = []
    minutes = _minutes(event.data)
    if (template := _CUSTOMER.get(event.type)) is not None:
        found.append(Occasion(template, delivery, minutes=minutes))
    if event.type in _DRIVER:
        field, template = _DRIVER[event.type]
        if isinstance(driver := event.data.get(field), str):
            found.append(Occasion(template, delivery, driver, minutes))
    if event.type == "delivery.assigned" and isinstance(former := event.data.get("previousDriverId"), str):
        found.append(Occasion(Template.DRIVER_UNASSIGNED, delivery, former))
    return found


def _of_offer(event: Event, delivery: str) -> list[Occasion]:
    driver, until = event.data.get("driverId"), event.data.get("until")
    if not isinstance(driver, str):
        return []
    left_ms = until - event.time.timestamp() * 1000 if isinstance(until, int | float) else None
    minutes = None if left_ms is None else max(1, round(left_ms / 60_000))
    return [Occasion(Template.DRIVER_OFFER, delivery, driver, minutes)]


def _of_change(event: Event, delivery: str) -> list[Occasion]:
    fields = frozenset(event.data.get("fields", ()))
    found = [Occasion(Template.DELIVERY_RESCHEDULED, delivery)] if _WINDOW in fields else []
    if fields & _OF_INTEREST and isinstance(driver := event.data.get("driverId"), str):
        found.append(Occasion(Template.DRIVER_CHANGED, delivery, driver))
    return found


def _minutes(data: Mapping[str, Any]) -> int | None:
    minutes = data.get("minutes")
    return max(1, round(minutes)) if isinstance(minutes, int | float) else None
