"""Tracking of one delivery: its status with its driver's live position, and the one-ping way in."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

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
from engine.eta.arrivals import ArrivalEstimates
from engine.eta.words import words_of
from engine.log.append import PARTITION
from models.documents.delivery import Status, Stop, TimeWindow
from models.documents.document import Instant, Latitude, Longitude, Shape, now
from models.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from models.eta.cold_start import Eta, Promise
from models.messages.fixes import FIX, Source
from models.store.tracking_links import TrackingLinkRepository

__all__ = ["EtaView", "eta_view", "router"]

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


class EtaRange(Shape):
    """In four of five cases the arrival lies within it."""

    min: Instant
    max: Instant


class EtaFactor(Shape):
    """A part of the time that is left."""

    name: str
    """`driving`, `stops_before`, `waiting`, or a reason that the model names, such as `time_of_day`."""
    minutes: float
    text: str
    """The same in words."""


class EtaPromise(Shape):
    """The first estimate after a driver got the delivery: what the customer was told, never changed."""

    estimated_time: Instant
    range: EtaRange
    made_at: Instant


class EtaView(Shape):
    """When a delivery will be there."""

    delivery_id: str
    estimated_time: Instant
    """As likely before as after."""
    confidence: Literal["low", "medium", "high"]
    range: EtaRange
    factors: Sequence[EtaFactor]
    last_updated: Instant
    promise: EtaPromise | None
    """None while no estimate has been made since a driver got it."""
    late_risk: float | None
    """Probability of coming after the time window; null without one."""
    model: str
    """Which model said so; `cold-start` is base times alone."""


class LinkView(Shape):
    """A customer's link."""

    delivery_id: str
    token: str
    path: str
    """Of the page, below the address of this installation."""


@router.get("/eta/{delivery_id}")
async def get_eta(services: ServicesOf, principal: Watcher, delivery_id: str) -> EtaView:
    """Return when a delivery will be there; 409 while nobody is on the way with it."""
    delivery = await visible_delivery(services, principal, delivery_id)
    estimates = ArrivalEstimates(services.engine, services.database)
    return eta_view(delivery_id, await estimates.of(principal.scope, delivery))


def eta_view(delivery_id: str, eta: Eta) -> EtaView:
    """Return an estimate as it is answered."""
    return EtaView(
        delivery_id=delivery_id,
        estimated_time=eta.time,
        confidence=eta.confidence,
        range=EtaRange(min=eta.earliest, max=eta.latest),
        factors=[EtaFactor(name=one.name, minutes=one.minutes, text=words_of(one)) for one in eta.factors],
        last_updated=eta.updated,
        promise=None if eta.promise is None else _promised(eta.promise),
        late_risk=eta.late_risk,
        model=eta.model,
    )


def _promised(promise: Promise) -> EtaPromise:
    return EtaPromise(
        estimated_time=promise.time, range=EtaRange(min=promise.earliest, max=promise.latest), made_at=promise.made
    )


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
