"""Dispatch by offers: drivers nearby are asked, in turn or at once, and the first who accepts has the delivery."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import tag
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, opaque, page_of
from api.routers.deliveries import DeliveryView, view_of
from api.services import Services
from engine.dispatch.commands import OfferCommands
from models.documents.delivery import Delivery, Place, Priority, TimeWindow
from models.documents.document import Instant, Shape
from models.documents.offer import Offer, OfferRound, OfferState, OfferTerms, RoundState
from models.errors import NotAllowed, NotFound
from models.store.deliveries import DeliveryRepository
from models.store.offers import OfferRepository

__all__ = ["router"]

router = APIRouter(tags=["offers"])
Planner = Annotated[Principal, Depends(allowed("deliveries.manage"))]
OnTheRoad = Annotated[Principal, Depends(allowed("driver-app.use"))]


class OfferView(Shape):
    """A driver being asked."""

    id: str
    driver_id: str
    state: OfferState
    made_at: Instant
    until: Instant
    answered_at: Instant | None
    away_m: float
    """How far away the driver was, metres."""


class RoundView(Shape):
    """All who are asked about one delivery."""

    id: str
    delivery_id: str
    state: RoundState
    terms: OfferTerms
    offers: Sequence[OfferView]
    """In the order of asking."""
    by: str
    created_at: Instant


class OpenOffer(Shape):
    """What a driver is asked: whose parcel it is remains unsaid until the offer is accepted."""

    id: str
    delivery_id: str
    until: Instant
    """When the time to answer is over."""
    away_m: float
    pickup: Place | None
    dropoff: Place
    priority: Priority
    time_window: TimeWindow | None
    service_time_s: int
    weight_kg: float | None
    volume_m3: float | None


@router.post("/deliveries/{delivery_id}/offers", status_code=201, response_model=RoundView)
async def offer_delivery(
    request: Request,
    services: ServicesOf,
    principal: Planner,
    delivery_id: str,
    body: OfferTerms,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Ask drivers nearby whether they take a pending delivery.

    Those who are online and have room are asked, who would be there first before others: one after the other
    (`in_turn`) or all (`at_once`). Who declines or lets the time pass is not asked again; when nobody is left, the
    round is `exhausted` and the delivery stays pending. Assigning it by hand ends the round.
    """

    async def create() -> RoundView:
        return _shown(await _commands(services).start(principal.scope, delivery_id, body))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("/deliveries/{delivery_id}/offers", response_model=PageOf[RoundView])
async def list_offers(services: ServicesOf, principal: Planner, delivery_id: str, page: Paging) -> dict[str, Any]:
    """Return who was asked about a delivery, and what they said: rounds, newest first; at most one is asking."""
    await DeliveryRepository(services.database).get(principal.scope, delivery_id)
    return page_of(await OfferRepository(services.database).of(principal.scope, delivery_id, page), _shown)


@router.delete("/deliveries/{delivery_id}/offers")
async def cancel_offers(services: ServicesOf, principal: Planner, delivery_id: str) -> RoundView:
    """Stop asking about a delivery, which stays pending."""
    return _shown(await _commands(services).cancel(principal.scope, delivery_id))


@router.get("/driver-app/offers")
async def list_open_offers(services: ServicesOf, principal: OnTheRoad, page: Paging) -> PageOf[OpenOffer]:
    """Return what the driver is being asked, oldest first."""
    driver = _driver(principal)
    rounds = await OfferRepository(services.database).open_to(principal.scope, driver, page)
    deliveries = DeliveryRepository(services.database)
    found = []
    for asked in rounds.items:
        try:
            delivery = await deliveries.get(principal.scope, asked.delivery)
        except NotFound:  # erased a moment ago
            continue
        found += [_open(one, delivery) for one in asked.offers if one.driver == driver and one.state == "open"]
    return PageOf(items=found, next=opaque(rounds.items[-1].id) if rounds.more else None)


@router.post("/offers/{offer_id}/accept")
async def accept_offer(response: Response, services: ServicesOf, principal: OnTheRoad, offer_id: str) -> DeliveryView:
    """Take a delivery; 409 when another driver was faster or the time is over."""
    delivery = await _commands(services).accept(principal.scope, _driver(principal), offer_id)
    tag(response, delivery.version)
    return view_of(delivery)


@router.post("/offers/{offer_id}/decline", status_code=204)
async def decline_offer(services: ServicesOf, principal: OnTheRoad, offer_id: str) -> None:
    """Say no; this driver is not asked about the delivery again in this round."""
    await _commands(services).decline(principal.scope, _driver(principal), offer_id)


def _commands(services: Services) -> OfferCommands:
    return OfferCommands(services.database, services.settings.log.partitions, services.engine)


def _driver(principal: Principal) -> str:
    if principal.driver is None:
        raise NotAllowed("this user is linked to no driver")
    return principal.driver


def _shown(asked: OfferRound) -> RoundView:
    offers = [
        OfferView(driver_id=one.driver, **{name: value for name, value in one if name != "driver"})
        for one in asked.offers
    ]
    return RoundView(
        id=asked.id,
        delivery_id=asked.delivery,
        state=asked.state,
        terms=asked.terms,
        offers=offers,
        by=asked.by,
        created_at=asked.created_at,
    )


def _open(offer: Offer, delivery: Delivery) -> OpenOffer:
    return OpenOffer(
        id=offer.id,
        delivery_id=delivery.id,
        until=offer.until,
        away_m=offer.away_m,
        pickup=delivery.pickup,
        dropoff=delivery.dropoff,
        priority=delivery.priority,
        time_window=delivery.time_window,
        service_time_s=delivery.service_time_s,
        weight_kg=delivery.weight_kg,
        volume_m3=delivery.volume_m3,
    )
