"""A vehicle: what carries deliveries, how much of them, when, from where, and at what cost."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from models.documents.clock import DayWindow
from models.documents.document import Document, Flag, Instant, Line, Shape, now

__all__ = ["Break", "Capacity", "Cost", "Skill", "Skills", "Vehicle", "VehicleProfile", "VehicleShape"]

VehicleProfile = Literal["car", "van", "truck", "bike"]
"""Which roads it may take, and how fast."""

Skill = Annotated[
    str, Field(min_length=1, max_length=50, pattern=r"^[^\x00-\x1f,;|]+$", examples=["cold"]), AfterValidator(str.lower)
]
"""What a delivery may ask for and a vehicle may offer, such as `cold` or `tail-lift`; in lower case."""


def _distinct(skills: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(skills))


Skills = Annotated[tuple[Skill, ...], AfterValidator(_distinct), Field(max_length=50)]
"""Each once, in the order given."""


class Capacity(Shape):
    """How much fits; what is left out does not bind."""

    weight_kg: float | None = Field(None, ge=0, le=100_000)
    volume_m3: float | None = Field(None, ge=0, le=1_000)
    pieces: int | None = Field(None, ge=0, le=100_000)


class Break(Shape):
    """A rest that the driver takes within a part of the day."""

    window: DayWindow
    """When it may begin."""
    duration_s: int = Field(ge=60, le=86_400)
    """How long it is, seconds."""


class Cost(Shape):
    """What using a vehicle costs, in the company's currency."""

    fixed: float = Field(0.0, ge=0, le=1_000_000)
    """For every day on which it leaves the depot."""
    per_km: float = Field(0.0, ge=0, le=10_000)
    per_hour: float = Field(0.0, ge=0, le=10_000)


class VehicleShape(Shape):
    """What a company says of a vehicle."""

    name: Line
    plate: Annotated[Line, Field(max_length=20)] | None = None
    """Unique in the tenant."""
    external_id: Line | None = None
    """What the customer's own systems call it; unique in the tenant."""
    profile: VehicleProfile = "van"
    active: Flag = True
    """Whether plans may use it; false while it is in the workshop."""
    driver_id: str | None = None
    """Who drives it, if that is settled."""
    capacity: Capacity = Capacity()
    shift: DayWindow | None = None
    """When it may be out; none means at any time."""
    breaks: tuple[Break, ...] = Field((), max_length=10)
    skills: Skills = ()
    """What it can do that others can't; a delivery's skills must be among them."""
    start_depot_id: str | None = None
    """Where its day begins; none means at its first stop."""
    end_depot_id: str | None = None
    """Where its day ends; none means at its last stop."""
    cost: Cost = Cost()
    max_distance_m: float | None = Field(None, gt=0, le=10_000_000)
    """Longest way of a day, metres."""
    max_route_time_s: int | None = Field(None, gt=0, le=7 * 86_400)
    """Longest day from leaving to coming back, seconds."""
    max_stops: int | None = Field(None, ge=1, le=10_000)


class Vehicle(VehicleShape, Document):
    """A vehicle of a tenant."""

    version: int = 1
    """Rises with every change."""
    created_at: Instant = Field(default_factory=now)
