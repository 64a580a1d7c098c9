"""A geofence: a place that a driver enters and leaves."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.documents.delivery import Position
from models.documents.document import Document, Instant, Line, Shape, now

__all__ = ["FenceKind", "FenceShape", "Geofence"]

FenceKind = Literal["circle", "polygon", "corridor"]
_FEWEST_POINTS = {"circle": 1, "polygon": 3, "corridor": 2}
_MOST_POINTS = 2000


class FenceShape(Shape):
    """Where a fence runs and when it speaks."""

    name: Line
    kind: FenceKind
    points: tuple[Position, ...] = Field(min_length=1, max_length=_MOST_POINTS)
    """Centre of a circle, corners of a polygon in order, or the line of a corridor."""
    radius_m: float | None = Field(None, ge=5, le=500_000)
    """Radius of a circle, metres."""
    half_width_m: float | None = Field(None, ge=5, le=50_000)
    """Distance from the line that a corridor covers to either side, metres."""
    margin_m: float = Field(15.0, ge=0, le=5000)
    """How far beyond the edge a driver must be before it counts as outside, metres."""
    dwell_s: float = Field(300.0, ge=0, le=86_400)
    """How long inside makes a `dwell` event, seconds; 0 for none."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.points) < _FEWEST_POINTS[self.kind] or (self.kind == "circle" and len(self.points) != 1):
            raise ValueError("a circle has one point, a polygon three or more, a corridor two or more")
        if (self.kind == "circle") != (self.radius_m is not None):
            raise ValueError("radiusM belongs to a circle, and a circle needs it")
        if (self.kind == "corridor") != (self.half_width_m is not None):
            raise ValueError("halfWidthM belongs to a corridor, and a corridor needs it")
        return self


class Geofence(FenceShape, Document):
    """A fence of a tenant."""

    version: int = 1
    """Rises with every change."""
    number: int
    """What the engine calls it: unique over all tenants, never given twice."""
    created_at: Instant = Field(default_factory=now)
