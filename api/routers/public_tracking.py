"""What a customer sees who has a tracking link: how far the delivery is, and nothing about anybody."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.auth.dependencies import ServicesOf
from api.eta_view import PublicEta, public_eta
from api.services import Services
from engine.eta.arrivals import ArrivalEstimates
from models.documents.delivery import Delivery, Position, Status, TimeWindow
from models.documents.document import Instant, Shape
from models.errors import Conflict, NotFound, StoreUnavailable
from models.store.accounts import AccountRepository
from models.store.deliveries import DeliveryRepository
from models.store.scope import Scope
from models.store.tracking_links import TrackingLinkRepository

__all__ = ["router"]

router = APIRouter(prefix="/track", tags=["tracking"])
_CUSTOMER = "customer"
_POSITION_SHOWN = frozenset({Status.IN_TRANSIT, Status.ARRIVED})
"""While a van has other things to do first, where it is concerns nobody."""


class PublicTracking(Shape):
    """A delivery as its customer sees it."""

    company: str
    reference: str | None
    status: Status
    status_since: Instant
    time_window: TimeWindow | None
    destination: Position | None
    """Where it goes."""
    position: Position | None
    """Where the driver is, while it is on the way."""
    eta: PublicEta | None
    """When it will be there, while somebody has it."""


@router.get("/{token}")
async def follow_delivery(
    services: ServicesOf, token: Annotated[str, Path(pattern=r"^[a-z2-7]{32}$", description="From a tracking link")]
) -> PublicTracking:
    """Return how far a delivery is, to whoever has its link. No sign-in."""
    link = await TrackingLinkRepository(services.database).find(token)
    scope = Scope(link.tenant, _CUSTOMER)
    delivery = await DeliveryRepository(services.database).get(scope, link.delivery)
    place = delivery.dropoff
    return PublicTracking(
        company=(await AccountRepository(services.database).tenant(scope)).name,
        reference=delivery.reference,
        status=delivery.status,
        status_since=delivery.history[-1].at if delivery.history else delivery.created_at,
        time_window=delivery.time_window,
        destination=_position(place.latitude, place.longitude),
        position=await _driver_position(services, delivery),
        eta=await _eta(services, scope, delivery),
    )


async def _driver_position(services: Services, delivery: Delivery) -> Position | None:
    if delivery.status not in _POSITION_SHOWN or delivery.driver is None:
        return None
    try:
        live = await services.engine.driver(delivery.tenant, delivery.driver).live()
    except (NotFound, StoreUnavailable):
        return None
    return _position(live.latitude, live.longitude)


async def _eta(services: Services, scope: Scope, delivery: Delivery) -> PublicEta | None:
    try:
        return public_eta(delivery.id, await ArrivalEstimates(services.engine, services.database).of(scope, delivery))
    except (Conflict, StoreUnavailable):
        return None


def _position(latitude: float | None, longitude: float | None) -> Position | None:
    if latitude is None or longitude is None:
        return None
    return Position(latitude=latitude, longitude=longitude)
