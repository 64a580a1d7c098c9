"""When deliveries will be there, and what was said of it before."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.eta_view import EtaHistory, EtaView, eta_view, history_view
from api.routers.deliveries import visible_delivery
from engine.eta.arrivals import ArrivalEstimates
from models.store.etas import EtaRepository

__all__ = ["router"]

router = APIRouter(tags=["tracking"])
Watcher = Annotated[Principal, Depends(allowed("positions.view"))]


@router.get("/tracking/eta/{delivery_id}")
async def get_eta(services: ServicesOf, principal: Watcher, delivery_id: str) -> EtaView:
    """Return when a delivery will be there; 409 while nobody is on the way with it."""
    delivery = await visible_delivery(services, principal, delivery_id)
    estimates = ArrivalEstimates(services.engine, services.database)
    return eta_view(delivery_id, await estimates.of(principal.scope, delivery))


@router.get("/tracking/eta/{delivery_id}/history")
async def get_eta_history(services: ServicesOf, principal: Watcher, delivery_id: str) -> EtaHistory:
    """Return the estimates of a delivery over time, for 30 days, and how its promise turned out."""
    delivery = await visible_delivery(services, principal, delivery_id)
    etas = EtaRepository(services.database)
    points = await etas.points(principal.scope, delivery.id)
    return history_view(delivery.id, points, await etas.outcome(principal.scope, delivery.id))
