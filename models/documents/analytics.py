"""What figures are made of: stories of deliveries, trips, facts in books, and the amounts that facts add up to."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from models.documents.delivery import Status

__all__ = [
    "Amounts",
    "Book",
    "BucketKey",
    "Cell",
    "Cells",
    "DayOfDriver",
    "DeliveryStory",
    "Level",
    "Shelf",
    "Step",
    "TripSpan",
]

Level = Literal["fleet", "driver", "route"]
"""What a bucket sums over: everything, one driver's, or one route's."""

Amounts = Mapping[str, int]
"""Whole numbers by the name of what they count (`engine.analytics.cells`): they add up exactly, in any order."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of status, as far as figures go."""

    status: Status
    at: datetime.datetime
    driver: str | None


@dataclass(frozen=True, slots=True)
class DeliveryStory:
    """All of a delivery that figures are made from."""

    id: str
    driver: str | None
    """Who has it now."""
    route: str | None
    created_at: datetime.datetime
    window: tuple[datetime.datetime, datetime.datetime] | None
    direct_m: int | None
    """From pickup to drop-off in a straight line, metres; None where one of them is no known point."""
    steps: tuple[Step, ...]
    """Every change of status, in the order of the commands."""


@dataclass(frozen=True, slots=True)
class TripSpan:
    """A finished trip of a driver."""

    driver: str
    from_ms: int
    to_ms: int
    distance_m: float


class DayOfDriver(NamedTuple):
    """A driver's local day, `2026-11-25`."""

    driver: str
    day: str


class Cell(NamedTuple):
    """The finest place that amounts are kept at."""

    day: str
    """Local day of the tenant, `2026-11-25`."""
    driver: str | None
    route: str | None


Cells = Mapping[Cell, Amounts]
"""What one fact adds to the figures. None of the amounts is 0."""


class BucketKey(NamedTuple):
    """The place of a sum."""

    level: Level
    key: str
    """Driver or route; empty for the fleet."""
    period: str
    """A local day `2026-11-25`, or a month `M2026-11`: the letter keeps months out of every range of days."""


@dataclass(frozen=True, slots=True)
class Book:
    """One whole set of facts and buckets of a tenant."""

    generation: int
    zone: str
    """The time zone that its days are of."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A tenant's books."""

    current: Book
    """The one that questions are answered from."""
    building: Book | None = None
    """The one that a rebuild is filling. Events go into both."""

    @property
    def open(self) -> tuple[Book, ...]:
        """Return the books that events go into."""
        return (self.current,) if self.building is None else (self.current, self.building)
