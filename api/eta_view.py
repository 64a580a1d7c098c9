"""Arrival estimates as they are answered."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from engine.eta.words import words_of
from models.documents.document import Instant, Shape
from models.eta.cold_start import Eta, Promise

__all__ = [
    "CustomerEta",
    "EtaHistory",
    "EtaView",
    "PublicEta",
    "customer_eta",
    "eta_view",
    "history_view",
    "public_eta",
]


Told = Literal["driving", "stops_before", "waiting"]


class EtaRange(Shape):
    """In four of five cases the arrival lies within it."""

    min: Instant
    max: Instant


class EtaFactor(Shape):
    """A part of the time that is left."""

    name: str
    """`driving`, `stops_before`, `break`, `waiting`, or a reason that the model names, such as `time_of_day`."""
    minutes: float
    text: str
    """The same in words."""


class EtaPromise(Shape):
    """The first estimate after a driver got the delivery: what the customer was told, never changed."""

    estimated_time: Instant
    range: EtaRange
    made_at: Instant


class CustomerEta(Shape):
    """When a delivery will be there, as its customer sees it."""

    delivery_id: str
    estimated_time: Instant
    """As likely before as after."""
    confidence: Literal["low", "medium", "high"]
    range: EtaRange
    last_updated: Instant


class CustomerReason(Shape):
    """A part of the time that is left, which says nothing about anybody."""

    name: Told
    minutes: float


class PublicEta(CustomerEta):
    """When a delivery will be there, as whoever has its link sees it."""

    reasons: Sequence[CustomerReason]
    """What the time goes into, the longest part first."""


class EtaView(CustomerEta):
    """When a delivery will be there, and why."""

    factors: Sequence[EtaFactor]
    promise: EtaPromise | None
    """None while no estimate has been made since a driver got it."""
    late_risk: float | None
    """Probability of coming after the time window; null without one."""
    model: str
    """Which model said so; `cold-start` is base times alone, also where a model was trained on other base times."""
    base: Literal["roads", "great_circle"]
    """Whose base time the last leg has: the road network's, or the great circle's where there is none."""
    traffic_as_of: Instant | None
    """Newest position that the traffic was learned from; null where no traffic is known."""


class EtaPoint(Shape):
    """What was said at a moment."""

    at: Instant
    estimated_time: Instant
    range: EtaRange
    confidence: Literal["low", "medium", "high"]
    promise: bool
    """Whether this is what the customer was told."""
    model: str


class EtaOutcome(Shape):
    """How the promise turned out."""

    arrived: Instant
    """First position inside the stop's radius."""
    error_s: float
    """Arrival less promise, seconds; positive is late."""
    inside: bool
    """Whether the arrival lay in the promised range."""


class EtaHistory(Shape):
    """The estimates of a delivery over time, oldest first: those that changed what people see."""

    delivery_id: str
    points: Sequence[EtaPoint]
    outcome: EtaOutcome | None
    """None until the driver has arrived."""


def customer_eta(delivery_id: str, eta: Eta) -> CustomerEta:
    """Return an estimate as its customer sees it."""
    return CustomerEta(
        delivery_id=delivery_id,
        estimated_time=eta.time,
        confidence=eta.confidence,
        range=EtaRange(min=eta.earliest, max=eta.latest),
        last_updated=eta.updated,
    )


def public_eta(delivery_id: str, eta: Eta) -> PublicEta:
    """Return an estimate as whoever has the delivery's link sees it: what the model thinks of drivers stays inside."""
    told = [CustomerReason(name=one.name, minutes=one.minutes) for one in eta.factors if one.name in get_args(Told)]
    reasons = sorted(told, key=lambda one: -one.minutes)
    return PublicEta(**dict(customer_eta(delivery_id, eta)), reasons=reasons)


def eta_view(delivery_id: str, eta: Eta) -> EtaView:
    """Return an estimate as it is answered."""
    return EtaView(
        **dict(customer_eta(delivery_id, eta)),
        factors=[EtaFactor(name=one.name, minutes=one.minutes, text=words_of(one)) for one in eta.factors],
        promise=None if eta.promise is None else _promised(eta.promise),
        late_risk=eta.late_risk,
        model=eta.model,
        base=eta.base,
        traffic_as_of=eta.traffic,
    )


def history_view(delivery_id: str, points: Sequence[dict[str, Any]], outcome: dict[str, Any] | None) -> EtaHistory:
    """Return stored points and outcome (`engine.eta.telling`) as they are answered."""
    return EtaHistory(
        delivery_id=delivery_id,
        points=[
            EtaPoint(
                at=point["at"],
                estimated_time=point["estimated"],
                range=EtaRange(min=point["earliest"], max=point["latest"]),
                confidence=point["confidence"],
                promise=point["promise"],
                model=point["model"],
            )
            for point in points
        ],
        outcome=None if outcome is None else _came_out(outcome),
    )


def _came_out(outcome: dict[str, Any]) -> EtaOutcome:
    inside = not (outcome["early"] or outcome["late"])
    return EtaOutcome(arrived=outcome["at"], error_s=outcome["errorS"], inside=inside)


def _promised(promise: Promise) -> EtaPromise:
    return EtaPromise(
        estimated_time=promise.time, range=EtaRange(min=promise.earliest, max=promise.latest), made_at=promise.made
    )
