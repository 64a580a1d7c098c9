"""The pull feed: every event of a company, in one order that never changes."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.paging import MAX_LIMIT, opaque, transparent
from models.documents.document import Instant, Shape
from models.documents.event import Event
from models.errors import InvalidInput
from models.store.events import EventRepository

__all__ = ["place_of", "router"]

router = APIRouter(prefix="/events", tags=["events"])
_PLACE = re.compile(r"^[0-9]{1,18}$")
EventType = Annotated[str, Field(max_length=80, pattern=r"^[a-z_]+\.([a-z_]+|\*)$")]


class EventView(Shape):
    """Something that happened."""

    id: str
    """The same in the feed and in webhooks: what has been seen once may be ignored."""
    time: Instant
    type: str
    aggregate: str
    """Id of what it happened to."""
    sequence: int
    """Its number among the events of the aggregate."""
    schema_version: int = Field(alias="schema")
    actor: str
    """User, key or `engine`."""
    data: dict[str, Any]


class EventPage(Shape):
    """Some events, and where to go on."""

    items: Sequence[EventView]
    next: str
    """Cursor that goes on after these; if there are none yet, ask again with it later."""
    more: bool
    """Whether more events are there already."""


@router.get("")
async def list_events(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("events.view"))],
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
    cursor: Annotated[str | None, Query(max_length=128, description="`next` of the page before")] = None,
    start: Annotated[Literal["oldest", "newest"], Query(alias="from", description="Where to begin")] = "oldest",
    types: Annotated[
        Sequence[EventType],
        Query(alias="type", max_length=20, description="Such as `delivery.assigned` or `delivery.*`"),
    ] = (),
    aggregate: Annotated[str | None, Query(max_length=80, description="Id of what it happened to")] = None,
) -> EventPage:
    """Return events in the order in which they were stored.

    Whoever goes on with `next` misses none and sees none twice.
    """
    events = EventRepository(services.database)
    newest = await events.newest()
    place = place_of(cursor) if cursor is not None else {"oldest": 0, "newest": newest}[start]
    found = await events.after(principal.scope, place, limit + 1, types, aggregate)
    shown, more = found[:limit], len(found) > limit
    # at the end of the feed the next page begins after all of it, also after what the filter left out
    seen = shown[-1].number if more else max(place, newest, *(event.number or 0 for event in shown))
    return EventPage(items=[_view(event) for event in shown], next=opaque(str(seen)), more=more)


def place_of(cursor: str) -> int:
    """Return the place in the feed that a cursor stands for.

    Raises
    ------
    InvalidInput
        If it is no cursor of the feed.
    """
    place = transparent(cursor)
    if not _PLACE.match(place):
        raise InvalidInput("the cursor is not one of ours", [("cursor", "not one of ours")])
    return int(place)


def _view(event: Event) -> EventView:
    return EventView(**{name: getattr(event, name) for name in EventView.model_fields})
