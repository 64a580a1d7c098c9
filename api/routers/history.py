"""The time machine of deliveries: every change, and the delivery as it was at an instant."""

import datetime
from collections.abc import Sequence
from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.moments import At
from api.routers.deliveries import DeliveryView, view_of, visible_delivery
from api.services import Services
from engine.deliveries.past import PastState, delivery_at, state_at, told_in_order
from models.documents.delivery import Delivery, Status
from models.documents.document import Instant, Shape, now
from models.documents.event import Event
from models.errors import NotFound
from models.store.audit import AuditRepository
from models.store.deliveries import DeliveryRepository

__all__ = ["router"]

router = APIRouter(prefix="/deliveries", tags=["deliveries"])
Watcher = Annotated[Principal, Depends(allowed("deliveries.view"))]
_END = datetime.datetime.max.replace(tzinfo=UTC)


class PastEvent(Shape):
    """One thing that happened to a delivery."""

    id: str
    type: str
    time: Instant
    """When it happened."""
    actor: str
    """User, key or `engine`."""
    version: int | None
    """The version that it made; none for what changed nothing, such as coming to a stop."""
    data: dict[str, Any]


class StateThen(Shape):
    """What a delivery was at an instant."""

    version: int
    status: Status
    driver_id: str | None
    updated_at: Instant
    """When it became so."""
    updated_by: str
    """Who made it so: user, key or `engine`."""


class DeliveryHistory(Shape):
    """A delivery's past."""

    delivery_id: str
    at: Instant
    """The instant that was asked for; now unless given."""
    state: StateThen
    """What the delivery was then."""
    delivery: DeliveryView | None
    """The whole delivery as it was then; none where the audit log does not know it, as after an erasure."""
    items: Sequence[PastEvent]
    """What had happened by then, in order."""


@router.get("/{delivery_id}/history")
async def get_delivery_history(
    services: ServicesOf, principal: Watcher, delivery_id: str, at: At = None
) -> DeliveryHistory:
    """Return every change of a delivery in order, and what it is; with `at`, both as of that instant.

    A change counts from when it happened, also where a phone told it late.
    """
    present = await visible_delivery(services, principal, delivery_id)
    events = await DeliveryRepository(services.database).events(principal.scope, delivery_id)
    until = _END if at is None else _moment(at)
    state = state_at(events, until)
    if state is None:
        raise NotFound("delivery at that time", delivery_id)
    return DeliveryHistory(
        delivery_id=delivery_id,
        at=now() if at is None else until,
        state=_shown(state),
        delivery=await _as_it_was(services, principal, present, events, until),
        items=[_event(event) for since, event in told_in_order(events) if since <= until],
    )


async def _as_it_was(
    services: Services, principal: Principal, present: Delivery, events: Sequence[Event], until: datetime.datetime
) -> DeliveryView | None:
    entries = await AuditRepository(services.database).of(principal.scope, present.id)
    then = delivery_at(present, events, entries, until)
    return None if then is None else view_of(then)


def _moment(at_ms: int) -> datetime.datetime:
    try:
        return datetime.datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    except (OverflowError, ValueError):  # after the year 9999
        return _END


def _shown(state: PastState) -> StateThen:
    return StateThen(
        version=state.version,
        status=state.status,
        driver_id=state.driver,
        updated_at=state.since,
        updated_by=state.by,
    )


def _event(event: Event) -> PastEvent:
    version = event.data.get("version")
    return PastEvent(id=event.id, type=event.type, time=event.time, actor=event.actor, version=version, data=event.data)
