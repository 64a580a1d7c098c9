"""Tracking of one delivery: its status with its driver's live position, and the one-ping way in."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Header, Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.delivery_answer import course_of
from api.ingest.pings import count_pings
from api.ingest.validate import Refusal, check_record, pack_record
from api.live_view import TRACK, JsonResponse, LiveView, live_of, track_response
from api.moments import Between
from api.routers.deliveries import require_visible, visible_delivery
from engine.log.append import PARTITION
from models.documents.delivery import Status, Stop, TimeWindow
from models.documents.document import Instant, Latitude, Longitude, Shape, now
from models.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from models.messages.fixes import FIX, Source
from models.store.tracking_links import TrackingLinkRepository

__all__ = ["router"]

router = APIRouter(prefix="/tracking", tags=["tracking"])
_APPENDED_WITHIN_S = 1.5  # a position sent again is harmless
Watcher = Annotated[Principal, Depends(allowed("positions.view"))]
Linker = Annotated[Principal, Depends(allowed("deliveries.manage"))]
Sender = Annotated[Principal, Depends(allowed("positions.send"))]


class TrackedView(Shape):
    """A delivery's status and where its driver is."""

    delivery_id: str
    status: Status
    version: int
    driver_id: str | None
    stops: Sequence[Stop]
    time_window: TimeWindow | None
    updated_at: Instant
    driver: LiveView | None
    """Where the driver was last, if one has it and has sent a position."""
    stale: bool
    """The position is of an older snapshot."""


class LocationUpdate(Shape):
    """One position of the delivery's driver."""

    latitude: Latitude
    longitude: Longitude
    time: Instant | None = None
    """Fix time, RFC 3339 or epoch milliseconds; now unless given."""
    speed: float | None = Field(None, ge=0, le=1000)
    """Metres a second."""
    heading: float | None = Field(None, ge=0, le=360)
    accuracy: float | None = Field(None, ge=0, le=1e7)
    altitude: float | None = Field(None, ge=-12_000, le=100_000)
    battery: int | None = Field(None, ge=0, le=100)
    sequence: int | None = Field(None, ge=0, lt=2**63)


class LinkView(Shape):
    """A customer's link."""

    delivery_id: str
    token: str
    path: str
    """Of the page, below the address of this installation."""


@router.post("/{delivery_id}/link", status_code=201)
async def create_tracking_link(services: ServicesOf, principal: Linker, delivery_id: str) -> LinkView:
    """Return the link with which the customer follows a delivery; asked again, the same one for another 60 days."""
    delivery = await visible_delivery(services, principal, delivery_id)
    token = await TrackingLinkRepository(services.database).token_of(principal.scope, delivery.id)
    return LinkView(delivery_id=delivery.id, token=token, path=f"/track/{token}")


@router.get("/{delivery_id}", responses={200: {"model": TrackedView}})
async def track_delivery(services: ServicesOf, principal: Watcher, delivery_id: str) -> Response:
    """Return a delivery's status and where its driver is; `stale` says that the position is an older snapshot."""
    snapshot = await services.engine.delivery(principal.tenant, delivery_id).snapshot()
    course, live = course_of(snapshot.fields), snapshot.driver
    require_visible(principal, delivery_id, course["driverId"])
    shown = {"driver": live_of(live) if live else None, "stale": live is not None and live.stale}
    return JsonResponse(course | shown)


@router.get("/{delivery_id}/track", responses=TRACK)
async def get_delivery_track(
    services: ServicesOf,
    principal: Watcher,
    delivery_id: str,
    between: Between,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Return the fixes of whoever had the delivery, while they had it, as a driver's track is answered."""
    await visible_delivery(services, principal, delivery_id)
    track = await services.engine.delivery(principal.tenant, delivery_id).track(*between)
    return track_response({"deliveryId": delivery_id}, track, accept)


@router.post("/{delivery_id}")
async def update_location(
    services: ServicesOf, principal: Sender, delivery_id: str, body: LocationUpdate
) -> dict[str, str | bool]:
    """Take one position of the delivery's driver; the answer comes when the log holds it."""
    delivery = await visible_delivery(services, principal, delivery_id)
    if delivery.driver is None:
        raise Conflict("nobody has this delivery, so there is no driver whose position this could be")
    driver = (await services.registry.resolve(principal.tenant, [delivery.driver])).get(delivery.driver)
    if driver is None:
        raise NotFound("driver", delivery.driver)
    record = _packed(body, driver.number)
    latest_ms = int((now().timestamp() + services.settings.ingest.max_future_s) * 1000)
    if fault := check_record(record, latest_ms):
        refusal = Refusal.of(0, fault)
        raise InvalidInput(f"{refusal.field}: {refusal.reason}", [(refusal.field, refusal.reason)])
    fix = np.frombuffer(record, FIX)
    try:
        async with asyncio.timeout(_APPENDED_WITHIN_S):
            await services.appender.append(fix, np.array([driver.partition], PARTITION))
    except TimeoutError as late:
        raise StoreUnavailable("the log does not answer at the moment", 2.0) from late
    count_pings(principal.tenant, 1, 0)
    return {"accepted": True, "deliveryId": delivery.id, "driverId": driver.id}


def _packed(body: LocationUpdate, driver: int) -> bytes:
    time = body.time or now()
    return pack_record(
        int(time.timestamp() * 1000),
        body.latitude,
        body.longitude,
        driver=driver,
        speed=body.speed,
        heading=body.heading,
        accuracy=body.accuracy,
        altitude=body.altitude,
        battery=body.battery,
        sequence=body.sequence,
        source=Source.TRACKING,
    )
