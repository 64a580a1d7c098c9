"""A route: the stops that one vehicle makes in one go, in their order, with when it should be where."""

import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.documents.delivery import Position
from models.documents.document import Document, Flag, Instant, Line, Shape, now

__all__ = ["MAX_STOPS", "PlanLimits", "PlannedBreak", "PlannedStop", "Route", "RouteStatus", "Violation", "Visit"]

MAX_STOPS = 400
"""Most stops of one route."""


class RouteStatus(StrEnum):
    """How far a route has come."""

    PLANNED = "planned"
    """Its deliveries are put in order; the driver has not been told."""
    DISPATCHED = "dispatched"
    """Its deliveries are the driver's."""
    COMPLETED = "completed"
    """None of its deliveries is under way any more. Final."""


class PlanLimits(Shape):
    """Limits for every vehicle, beside its own."""

    max_route_time: float | None = Field(None, gt=0, le=7 * 86_400)
    """From leaving to coming back, seconds."""
    max_distance: float | None = Field(None, gt=0, le=10_000_000)
    """Metres."""
    max_stops: int | None = Field(None, ge=1, le=10_000)
    vehicle_capacity: float | None = Field(None, gt=0, le=100_000)
    """Kilograms."""


class Visit(Shape):
    """One stop as a planner names it."""

    delivery_id: str = Field(max_length=80)
    kind: Literal["pickup", "dropoff"] = "dropoff"
    locked: Flag = False
    """Whether re-optimisation has to leave it, and what comes before it, where it is."""


class PlannedStop(Visit):
    """One stop with its place in the plan."""

    latitude: float
    longitude: float
    arrival: Instant
    departure: Instant
    wait_s: float = 0.0
    """How long one waits for the time window to open, seconds."""
    leg_distance_m: float
    """From the stop before, or from the start."""
    leg_duration_s: float
    load_kg: float
    """On board when leaving."""


class PlannedBreak(Shape):
    """A rest of the driver with its place in the plan."""

    before: int
    """Number of the stop from 0 that follows; as many as there are stops where none does."""
    start: Instant
    end: Instant


class Violation(Shape):
    """Something that the plan breaks."""

    kind: Literal["late", "overweight", "overfull", "too_long", "too_far", "too_many_stops", "shift", "break"]
    stop: int | None
    """Number of the stop from 0; none for the route as a whole."""
    detail: str
    excess: float
    """By how much: seconds, kilograms, cubic metres, metres, stops or breaks."""


class Route(Document):
    """A route of a tenant."""

    version: int = 1
    """Rises with every change."""
    name: Line | None = None
    status: RouteStatus = RouteStatus.PLANNED
    driver: str | None = None
    """Who drives it, `drv_…`."""
    vehicle: str | None = None
    start: Instant
    """When it leaves."""
    origin: Position | None = None
    """Where it begins: the vehicle's depot; none means at the first stop."""
    destination: Position | None = None
    """Where it ends; none means at the last stop."""
    end: Instant
    """When it is over."""
    stops: tuple[PlannedStop, ...]
    breaks: tuple[PlannedBreak, ...] = ()
    """Rests of the driver, before leaving or on the way."""
    distance_m: float
    duration_s: float
    """From start to end, seconds."""
    cost: float = 0.0
    """By the vehicle's own rates, in the company's currency."""
    violations: tuple[Violation, ...] = ()
    constraints: PlanLimits = PlanLimits()
    """Limits beside the vehicle's own."""
    locked: Flag = False
    """Whether optimisation has to leave it alone."""
    job: str | None = None
    """The optimisation that made it."""
    created_at: Instant = Field(default_factory=now)
    updated_at: Instant = Field(default_factory=now)

    @property
    def day_begins(self) -> datetime.datetime:
        """Return when its driver leaves, or takes the first break before leaving."""
        return min([self.start, *(one.start for one in self.breaks)])

    @property
    def deliveries(self) -> tuple[str, ...]:
        """Return its deliveries, each once, in the order of their first stops."""
        return tuple(dict.fromkeys(stop.delivery_id for stop in self.stops))
