"""A delivery: something to be fetched here and brought there, and how far it has come."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from models.documents.document import Document, Instant, Latitude, Line, Longitude, Shape, now
from models.documents.language import Language
from models.documents.user import Email
from models.documents.vehicle import Skills

__all__ = [
    "CLOSED",
    "STOP_RADIUS_M",
    "Customer",
    "Delivery",
    "GeocodeFault",
    "Place",
    "Position",
    "Priority",
    "Proof",
    "Status",
    "StatusChange",
    "Stop",
    "TimeWindow",
]

STOP_RADIUS_M = 60.0
"""Radius of a planned stop's geofence where none is given: a city address with its kerb, metres."""

MAX_HISTORY = 64
"""Status changes kept in the document; the whole story is in `events`."""

MAX_PHOTOS = 10
"""Most photos in one proof of delivery."""

Priority = Literal["low", "normal", "high", "urgent"]


GeocodeFault = Literal["not_found", "uncertain"]
"""`uncertain`: something like it was found, or several places would do."""


class Status(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    """Nobody has it."""
    ASSIGNED = "assigned"
    """A driver has it and has not answered."""
    ACCEPTED = "accepted"
    """The driver will do it."""
    PICKED_UP = "picked_up"
    """The driver holds the parcel."""
    IN_TRANSIT = "in_transit"
    """On the way to the drop-off."""
    ARRIVED = "arrived"
    """At the drop-off."""
    DELIVERED = "delivered"
    """Handed over. Final."""
    FAILED = "failed"
    """Could not be done; may be returned or assigned again."""
    RETURNED = "returned"
    """Back with the sender. Final."""
    CANCELLED = "cancelled"
    """Called off before pick-up. Final."""


CLOSED = frozenset({Status.DELIVERED, Status.FAILED, Status.RETURNED, Status.CANCELLED})
"""Statuses in which nobody is under way with a delivery any more."""


class Position(Shape):
    """A point on the map."""

    latitude: Latitude
    longitude: Longitude


class Place(Shape):
    """An address, a point, or both."""

    address: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    radius_m: float | None = Field(None, ge=10, le=5000)
    """Radius of the stop's geofence, metres; none takes the usual one."""

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude come together")
        if self.address is None and self.latitude is None:
            raise ValueError("an address or coordinates are needed")
        return self

    @property
    def is_located(self) -> bool:
        """Tell whether the place is known as a point."""
        return self.latitude is not None


class Customer(Shape):
    """Who gets it."""

    name: Line | None = None
    phone: Annotated[str, StringConstraints(max_length=40, pattern=r"^\+?[0-9 ()./-]{3,40}$")] | None = None
    email: Email | None = None
    language: Language | None = None
    """Of messages; none takes the company's."""


class TimeWindow(Shape):
    """When the drop-off may happen."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.end <= self.start:
            raise ValueError("the window ends before it starts")
        return self


class Stop(Shape):
    """A planned stop at a known point."""

    kind: Literal["pickup", "dropoff"]
    latitude: Latitude
    longitude: Longitude
    radius_m: float


class Proof(Shape):
    """What shows that a delivery was handed over, or why it could not be."""

    photos: Annotated[tuple[str, ...], Field(max_length=MAX_PHOTOS)] = ()
    """Uploaded photos, `prf_…`."""
    signature: str | None = None
    """The uploaded picture of a signature, `prf_…`."""
    recipient: Line | None = None
    """Who took it."""
    note: str | None = Field(None, max_length=2000)
    location: Position | None = None
    at: Instant = Field(default_factory=now)

    @property
    def files(self) -> tuple[str, ...]:
        """Return the ids of all its files."""
        return self.photos if self.signature is None else (*self.photos, self.signature)


class StatusChange(Shape):
    """One step of a delivery's life."""

    status: Status
    at: Instant
    by: str
    """User, key or `engine`."""
    driver: str | None = None
    """Who has the delivery since."""
    notes: str | None = None
    location: Position | None = None


class Delivery(Document):
    """A delivery as MongoDB keeps it. `version` rises by one with every change."""

    version: int = 1
    status: Status = Status.PENDING
    driver: str | None = None
    """Who has it, `drv_…`."""
    route: str | None = None
    """The planned route that it belongs to, `rte_…`."""
    reference: Line | None = None
    """What the customer's own systems call it."""
    pickup: Place | None = None
    dropoff: Place
    customer: Customer = Customer()
    weight_kg: float | None = Field(None, ge=0, le=100_000)
    volume_m3: float | None = Field(None, ge=0, le=1_000)
    pieces: int | None = Field(None, ge=0, le=100_000)
    """How many parcels it is."""
    skills: Skills = ()
    """What the vehicle has to be able to do."""
    priority: Priority = "normal"
    time_window: TimeWindow | None = None
    service_time_s: int = Field(0, ge=0, le=86_400)
    """How long the drop-off takes, seconds."""
    notes: str | None = Field(None, max_length=2000)
    proof: Proof | None = None
    geocode_fault: GeocodeFault | None = None
    """Why an address could not be found on the map, once it was looked for."""
    history: tuple[StatusChange, ...] = ()
    """The latest changes of status, oldest first."""
    created_at: Instant = Field(default_factory=now)
    updated_at: Instant = Field(default_factory=now)

    @property
    def is_located(self) -> bool:
        """Tell whether all its places are known as points."""
        return self.dropoff.is_located and (self.pickup is None or self.pickup.is_located)

    @property
    def unlocated(self) -> GeocodeFault | Literal["waiting"] | None:
        """Return why the delivery is not on the map; None if it is."""
        return None if self.is_located else self.geocode_fault or "waiting"

    def stored(self) -> dict[str, Any]:
        """Return the delivery as MongoDB keeps it, with a mark by which those that are not on the map are found."""
        return super().stored() | ({} if self.is_located else {"unlocated": True})

    @property
    def stops(self) -> tuple[Stop, ...]:
        """Return the planned stops: those of its places that are known as points."""
        found = (_stop("pickup", self.pickup), _stop("dropoff", self.dropoff))
        return tuple(stop for stop in found if stop is not None)


def _stop(kind: Literal["pickup", "dropoff"], place: Place | None) -> Stop | None:
    if place is None or place.latitude is None or place.longitude is None:
        return None
    radius_m = place.radius_m or STOP_RADIUS_M
    return Stop(kind=kind, latitude=place.latitude, longitude=place.longitude, radius_m=radius_m)
