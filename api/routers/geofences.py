"""Geofences."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
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
    version: int
    created_at: Instant


class FenceBody(FenceShape):
    """A fence's new shape; what is left out takes its default."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


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
async def get_geofence(response: Response, services: ServicesOf, principal: Planner, geofence_id: str) -> FenceView:
    """Return one geofence, with its version as `ETag`."""
    return _tagged(response, await GeofenceRepository(services.database).shown(principal.scope, geofence_id))


@router.put("/{geofence_id}")
async def replace_geofence(
    response: Response,
    services: ServicesOf,
    principal: Planner,
    geofence_id: str,
    body: FenceBody,
    if_match: IfMatch = None,
) -> FenceView:
    """Give a geofence another shape; the shards learn of it within moments."""
    shape = FenceShape(**{name: getattr(body, name) for name in FenceShape.model_fields})
    fences, seen = GeofenceRepository(services.database), seen_version(if_match, body.version)
    return _tagged(response, await fences.replace(principal.scope, geofence_id, shape, seen))


@router.delete("/{geofence_id}", status_code=204)
async def delete_geofence(
    services: ServicesOf,
    principal: Planner,
    geofence_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
    if_match: IfMatch = None,
) -> None:
    """Delete a geofence."""
    fences, seen = GeofenceRepository(services.database), seen_version(if_match, version)
    await fences.delete(principal.scope, geofence_id, seen)


def _tagged(response: Response, fence: Geofence) -> FenceView:
    tag(response, fence.version)
    return _view(fence)


def _view(fence: Geofence) -> FenceView:
    return FenceView.model_validate(fence.model_dump(exclude={"tenant", "number"}))
