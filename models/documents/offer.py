"""Dispatch by offers: drivers nearby are asked whether they take a delivery, and the first who says yes has it."""

from typing import Literal

from pydantic import Field

from models.documents.document import Document, Instant, Shape, now

__all__ = ["Offer", "OfferRound", "OfferState", "OfferTerms", "RoundState", "Strategy"]

Strategy = Literal["in_turn", "at_once"]
"""`in_turn` asks one driver after the other, `at_once` all of them."""

OfferState = Literal["open", "accepted", "declined", "expired", "withdrawn"]

RoundState = Literal["asking", "accepted", "exhausted", "cancelled"]
"""`exhausted`: everybody who could be asked said no, or nothing in time."""


class OfferTerms(Shape):
    """How drivers are asked."""

    strategy: Strategy = "in_turn"
    time_limit_s: int = Field(60, ge=5, le=3600)
    """How long a driver may think, seconds."""
    radius_m: float = Field(5000.0, ge=50, le=500_000)
    """How far away a driver may be, metres."""
    max_drivers: int = Field(10, ge=1, le=50)
    """Most drivers who are asked in all."""
    drivers: tuple[str, ...] = Field((), max_length=50)
    """Only these are asked; none asks whoever is near."""


class Offer(Shape):
    """One driver being asked."""

    id: str
    driver: str
    state: OfferState = "open"
    made_at: Instant
    until: Instant
    """When the time to think is over."""
    answered_at: Instant | None = None
    """When it was no longer open."""
    away_m: float
    """How far away the driver was, metres."""


class OfferRound(Document):
    """All who are asked about one delivery, one document so that one version decides who was first."""

    version: int = 1
    delivery: str
    state: RoundState = "asking"
    terms: OfferTerms
    offers: tuple[Offer, ...] = ()
    """In the order of asking."""
    without: tuple[str, ...] = ()
    """Drivers who are not asked: whoever had the delivery last and is rid of it."""
    told: int = 0
    """How many events have told of it so far."""
    by: str
    """Who began it: user, key or `engine`."""
    created_at: Instant = Field(default_factory=now)
