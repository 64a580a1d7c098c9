"""Depots: where vehicles start, load and end."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from engine.fleet.commands import DepotCommands
from models.documents.depot import Depot, DepotShape
from models.documents.document import Instant
from models.store.fleet import DepotRepository

__all__ = ["router"]

router = APIRouter(prefix="/depots", tags=["depots"])
Manager = Annotated[Principal, Depends(allowed("depots.manage"))]
Office = Annotated[Principal, Depends(allowed("depots.view"))]


class DepotBody(DepotShape):
    """A depot's new fields; what is left out takes its default."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class DepotView(DepotShape):
    """A depot."""

    id: str
    version: int
    created_at: Instant


@router.post("", status_code=201, response_model=DepotView)
async def create_depot(
    request: Request, services: ServicesOf, principal: Manager, body: DepotShape, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a depot."""

    async def create() -> DepotView:
        return _view(await DepotCommands(services.database).create(principal.scope, body))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[DepotView])
async def list_depots(
    services: ServicesOf,
    principal: Office,
    page: Paging,
    external_id: Annotated[str | None, Query(alias="externalId", max_length=200)] = None,
) -> dict[str, Any]:
    """Return the company's depots, oldest first."""
    return page_of(await DepotRepository(services.database).page(principal.scope, page, external_id=external_id), _view)


@router.get("/{depot_id}")
async def get_depot(response: Response, services: ServicesOf, principal: Office, depot_id: str) -> DepotView:
    """Return one depot, with its version as `ETag`."""
    return _tagged(response, await DepotRepository(services.database).shown(principal.scope, depot_id))


@router.put("/{depot_id}")
async def replace_depot(
    response: Response,
    services: ServicesOf,
    principal: Manager,
    depot_id: str,
    body: DepotBody,
    if_match: IfMatch = None,
) -> DepotView:
    """Replace what is said of a depot."""
    seen = seen_version(if_match, body.version)
    shape = DepotShape(**{name: getattr(body, name) for name in DepotShape.model_fields})
    return _tagged(response, await DepotCommands(services.database).replace(principal.scope, depot_id, shape, seen))


@router.delete("/{depot_id}", status_code=204)
async def delete_depot(
    services: ServicesOf,
    principal: Manager,
    depot_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
    if_match: IfMatch = None,
) -> None:
    """Delete a depot at which no vehicle starts or ends."""
    await DepotCommands(services.database).delete(principal.scope, depot_id, seen_version(if_match, version))


def _tagged(response: Response, depot: Depot) -> DepotView:
    tag(response, depot.version)
    return _view(depot)


def _view(depot: Depot) -> DepotView:
    return DepotView(**{name: getattr(depot, name) for name in DepotView.model_fields})
