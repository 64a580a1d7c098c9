"""A closure: a street or a zone that a company's vehicles do not drive through for a while."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.documents.delivery import Position
from models.documents.document import Document, Instant, Line, Shape, now
from models.documents.vehicle import VehicleProfile

__all__ = ["Closure", "ClosureShape"]

_FEWEST_POINTS = {"polygon": 3, "line": 2}
_MOST_POINTS = 500
_WIDEST_DEG = 1.0  # what is larger is a slip of the hand


class ClosureShape(Shape):
    """What is closed, when, and for whom."""

    name: Line
    kind: Literal["polygon", "line"]
    """`polygon`: a zone into which nobody drives. `line`: the stretch of a street under it; what crosses it stays open.
    """
    points: tuple[Position, ...] = Field(min_length=2, max_length=_MOST_POINTS)
    """Corners of the zone in order, or the points of the line."""
    half_width_m: float = Field(12.0, ge=2, le=100)
    """How far a street may be from the line that closes it, metres."""
    profiles: tuple[VehicleProfile, ...] = Field((), max_length=4)
    """Which vehicles it holds up; none means all."""
    begins_at: Instant | None = None
    """From when on; none means at once."""
    ends_at: Instant | None = None
    """Until when; none means until it is deleted."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.points) < _FEWEST_POINTS[self.kind]:
            raise ValueError("a polygon has three points or more, a line two or more")
        latitudes, longitudes = ([getattr(point, axis) for point in self.points] for axis in ("latitude", "longitude"))
        if max(latitudes) - min(latitudes) > _WIDEST_DEG or max(longitudes) - min(longitudes) > _WIDEST_DEG:
            raise ValueError(f"a closure is at most {_WIDEST_DEG:g} degree high and wide")
        if len({(point.latitude, point.longitude) for point in self.points}) < _FEWEST_POINTS[self.kind]:
            raise ValueError("the points of a closure have to differ")
        if self.begins_at is not None and self.ends_at is not None and self.ends_at <= self.begins_at:
            raise ValueError("a closure ends after it begins")
        return self


class Closure(ClosureShape, Document):
    """A closure of a tenant."""

    version: int = 1
    """Rises with every change."""
    created_at: Instant = Field(default_factory=now)
