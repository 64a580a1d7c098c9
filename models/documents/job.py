"""A job: long work that somebody asked for, with its progress and its result."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from models.documents.document import Document, Instant, Shape, now
from models.documents.vehicle import VehicleProfile

__all__ = ["ConditionTold", "Job", "JobProgress", "JobState", "TravelTold", "Unserved"]


class JobState(StrEnum):
    """How far a job has come."""

    QUEUED = "queued"
    """Nobody works on it yet."""
    RUNNING = "running"
    DONE = "done"
    """Its result is there. Final."""
    CANCELLED = "cancelled"
    """Stopped on request; what was best so far is its result. Final."""
    FAILED = "failed"
    """It can't be done; `error` says why. Final."""


class JobProgress(Shape):
    """How good the best plan so far is."""

    elapsed_s: float
    cost: float
    """What is made small, in the units of the criterion: metres, seconds or millilitres."""
    unserved: int
    routes: int
    bound: float | None = None
    """No plan costs less, where that is known."""


class Unserved(Shape):
    """A delivery that no route takes."""

    delivery_id: str
    reason: str


class ConditionTold(Shape):
    """Who told what weather or traffic is like, and what it does to driving times."""

    kind: Literal["weather", "traffic"]
    provider: str
    """`open_meteo` or `flow`; `none` where nobody could tell, so that nothing is multiplied."""
    source: Literal["provider", "cache"] | None = None
    """`cache`: what the provider said before; it was away."""
    as_of: Instant | None = None
    """When it said so."""
    factor: float
    """What driving times were multiplied by, in the mean."""


class TravelTold(Shape):
    """Who told how long the ways of one kind of vehicle take."""

    profile: VehicleProfile
    provider: str
    """`roads`, `osrm`, `valhalla`, or `great_circle` where nobody else could tell."""
    source: Literal["provider", "cache"]
    """`cache`: what the provider said before; it was away."""
    map_date: str | None = None
    """State of its map, `YYYY-MM-DD`, where it is known."""
    traffic_as_of: Instant | None = None
    """Of when the traffic is; none where times are of free roads, with what the hour usually adds."""
    conditions: tuple[ConditionTold, ...] = ()
    """Weather and traffic of other servers that the times hold, where such are set up."""
    closures: int = 0
    """How many closures of the company the ways go around; 0 also where the provider can't."""


class Job(Document):
    """A job of a tenant."""

    version: int = 1
    kind: Literal["optimize"] = "optimize"
    state: JobState = JobState.QUEUED
    by: str
    """Who asked for it."""
    request: dict[str, Any] = Field(default_factory=dict)
    """What was asked for."""
    progress: tuple[JobProgress, ...] = ()
    """From the first plan to the best, oldest first."""
    cancel: bool = False
    """Whether somebody wants it to stop."""
    routes: tuple[str, ...] = ()
    """Routes that it made."""
    unserved: tuple[Unserved, ...] = ()
    travel: tuple[TravelTold, ...] = ()
    """Whose times and lengths the plan was made with."""
    error: str | None = None
    created_at: Instant = Field(default_factory=now)
    ended_at: Instant | None = None
