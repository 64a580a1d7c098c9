"""A proposal: how routes under way would be changed, and for whom, before anybody says yes."""

from typing import Literal

from pydantic import Field

from models.documents.delivery import Position
from models.documents.document import Document, Instant, Shape, now
from models.documents.job import Unserved
from models.documents.route import PlannedBreak, PlannedStop, Violation, Visit

__all__ = ["BreakChange", "Cause", "Delay", "Proposal", "ProposalState", "ProposedRoute", "StopChange"]

ProposalState = Literal["open", "accepted", "rejected"]

_MOST = 200


class Delay(Shape):
    """A vehicle that goes on later."""

    route_id: str = Field(max_length=80)
    delay_s: int = Field(ge=0, le=86_400)
    """From now."""


class Cause(Shape):
    """What has happened. Nothing at all asks whether things can be done better as they are."""

    insert: tuple[str, ...] = Field((), max_length=_MOST)
    """Deliveries that are on no route, such as an urgent order."""
    cancel: tuple[str, ...] = Field((), max_length=_MOST)
    """Deliveries that need not be made any more. Those with status cancelled go by themselves."""
    delays: tuple[Delay, ...] = Field((), max_length=_MOST)
    breakdowns: tuple[str, ...] = Field((), max_length=_MOST)
    """Routes whose vehicles go no further: others take over what they don't have on board."""


class StopChange(Shape):
    """What a proposal does to one stop."""

    delivery_id: str
    kind: Literal["pickup", "dropoff"]
    change: Literal["new", "moved", "reordered", "shifted", "removed"]
    """`moved`: from another route, `reordered`: between other stops, `shifted`: at another time only."""
    from_route_id: str | None = None
    expected: Instant | None = None
    """When it would be made if nothing is changed; none if it is new."""
    arrival: Instant | None = None
    """When it would be made; none if it is removed."""
    shift_s: float | None = None
    """Later by so many seconds, or earlier if less than 0."""


class BreakChange(Shape):
    """What a proposal does to one rest of the driver."""

    expected: Instant | None = None
    """When it would begin if nothing is changed; none if it would not be on the way."""
    start: Instant | None = None
    """When it would begin; none if it is after the end, or finds no place, which `broken` says."""
    shift_s: float | None = None
    """Later by so many seconds, or earlier if less than 0."""


class ProposedRoute(Shape):
    """What a proposal makes of one route."""

    route_id: str
    version: int
    """Of the route, when it was looked at."""
    driver_id: str | None = None
    vehicle_id: str | None = None
    ahead: tuple[Visit, ...]
    """Stops that were still to be made, in their order so far."""
    visits: tuple[Visit, ...]
    """Stops that would still be to be made, in their new order."""
    begin: Position | None = None
    """Where the vehicle was, or will begin."""
    stops: tuple[PlannedStop, ...]
    """The new order with its times."""
    breaks: tuple[PlannedBreak, ...] = ()
    """Rests of the driver that are still to be taken; `before` counts in `stops`."""
    end: Instant
    changes: tuple[StopChange, ...]
    """For whom something changes, in the new order."""
    break_changes: tuple[BreakChange, ...] = ()
    """Rests that begin at another time."""
    distance_m: float
    """Added to the way that is still to go; less than 0 where it gets shorter."""
    duration_s: float
    cost: float
    """Added, by the vehicle's own rates."""
    broken: tuple[Violation, ...] = ()
    """What it breaks that would not be broken without it, or breaks by more."""
    mended: tuple[Violation, ...] = ()
    """What would be broken without it."""


class Proposal(Document):
    """A proposal of a tenant."""

    version: int = 1
    state: ProposalState = "open"
    by: str
    """Who asked for it."""
    cause: Cause
    trace_id: str | None = None
    """Of what it follows from, such as the event of a delivery at risk; every event about it carries it on."""
    routes: tuple[ProposedRoute, ...] = ()
    """Those that would change; none if nothing is better than things are."""
    unserved: tuple[Unserved, ...] = ()
    """Deliveries that no vehicle can take, each with the reason."""
    distance_m: float = 0.0
    """Added by all of it together."""
    duration_s: float = 0.0
    cost: float = 0.0
    elapsed_s: float = 0.0
    """How long it took to find."""
    created_at: Instant = Field(default_factory=now)
    expires_at: Instant
    """After this it can't be accepted: the fleet has moved on."""
    ended_at: Instant | None = None
    ended_by: str | None = None
