"""Geofences."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from models.documents.document import Instant
from models.documents.geofence import FenceShape, Geofence
from models.store.geofences import GeofenceRepository

__all__ = ["router"]

router = APIRouter(prefix="/geofences", tags=["geofences"])
Planner = Annotated[Principal, Depends(allowed("geofences.manage"))]


class FenceView(FenceShape):
    """A geofence."""

    id: str
    created_at: Instant


@router.post("", status_code=201, response_model=FenceView)
async def create_geofence(
    request: Request, services: ServicesOf, principal: Planner, body: FenceShape, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a circle, a polygon or a corridor; the shards learn of it within moments."""

    async def create() -> FenceView:
        return _view(await GeofenceRepository(services.database).create(principal.scope, body))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[FenceView])
async def list_geofences(services: ServicesOf, principal: Planner, page: Paging) -> dict[str, Any]:
    """Return the tenant's geofences, oldest first."""
    return page_of(await GeofenceRepository(services.database).page(principal.scope, page), _view)


@router.get("/{geofence_id}")
async def get_geofence(services: ServicesOf, principal: Planner, geofence_id: str) -> FenceView:
    """Return one geofence."""
    return _view(await GeofenceRepository(services.database).get(principal.scope, geofence_id))


@router.delete("/{geofence_id}", status_code=204)
async def delete_geofence(services: ServicesOf, principal: Planner, geofence_id: str) -> None:
    """Delete a geofence."""
    await GeofenceRepository(services.database).delete(principal.scope, geofence_id)


def _view(fence: Geofence) -> FenceView:
    return FenceView.model_validate(fence.model_dump(exclude={"tenant", "number"}))
