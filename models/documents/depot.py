"""A depot: where vehicles start, load and end."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from models.documents.clock import DayWindow
from models.documents.delivery import Place
from models.documents.document import Document, Instant, Line, Shape, now

__all__ = ["Depot", "DepotShape"]


class DepotShape(Shape):
    """What a company says of a depot."""

    name: Line
    external_id: Line | None = None
    """What the customer's own systems call it; unique in the tenant."""
    place: Place
    """Where it is. Routes start there, so its coordinates have to be known."""
    opening: DayWindow | None = None
    """When vehicles may leave and return; none means at any time."""
    service_time_s: int = Field(0, ge=0, le=86_400)
    """How long a vehicle loads before it leaves, seconds."""
    notes: Annotated[str, StringConstraints(max_length=2000)] | None = None

    @model_validator(mode="after")
    def _has_a_point(self) -> Self:
        if not self.place.is_located:
            raise ValueError("a depot needs coordinates; `GET /geocode` finds those of an address")
        return self


class Depot(DepotShape, Document):
    """A depot of a tenant."""

    version: int = 1
    """Rises with every change."""
    created_at: Instant = Field(default_factory=now)
