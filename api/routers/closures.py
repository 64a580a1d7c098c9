"""Closures: streets and zones that plans, lines of routes and estimates go around for a while."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from engine.fleet.commands import ClosureCommands
from models.documents.closure import Closure, ClosureShape
from models.documents.document import Instant
from models.store.fleet import ClosureRepository

__all__ = ["router"]

router = APIRouter(prefix="/closures", tags=["closures"])
Planner = Annotated[Principal, Depends(allowed("closures.manage"))]
Office = Annotated[Principal, Depends(allowed("closures.view"))]


class ClosureBody(ClosureShape):
    """A closure's new shape; what is left out takes its default."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class ClosureView(ClosureShape):
    """A closure."""

    id: str
    version: int
    created_at: Instant


@router.post("", status_code=201, response_model=ClosureView)
async def create_closure(
    request: Request,
    services: ServicesOf,
    principal: Planner,
    body: ClosureShape,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Close a street or a zone; plans that are made from now on go around it, estimates follow within moments."""

    async def create() -> ClosureView:
        return _view(await ClosureCommands(services.database).create(principal.scope, body))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[ClosureView])
async def list_closures(services: ServicesOf, principal: Office, page: Paging) -> dict[str, Any]:
    """Return the company's closures, oldest first, also those that are over."""
    return page_of(await ClosureRepository(services.database).page(principal.scope, page), _view)


@router.get("/{closure_id}")
async def get_closure(response: Response, services: ServicesOf, principal: Office, closure_id: str) -> ClosureView:
    """Return one closure, with its version as `ETag`."""
    return _tagged(response, await ClosureRepository(services.database).shown(principal.scope, closure_id))


@router.put("/{closure_id}")
async def replace_closure(
    response: Response,
    services: ServicesOf,
    principal: Planner,
    closure_id: str,
    body: ClosureBody,
    if_match: IfMatch = None,
) -> ClosureView:
    """Replace what is said of a closure: to end it, send `endsAt`."""
    seen = seen_version(if_match, body.version)
    shape = ClosureShape(**{name: getattr(body, name) for name in ClosureShape.model_fields})
    return _tagged(response, await ClosureCommands(services.database).replace(principal.scope, closure_id, shape, seen))


@router.delete("/{closure_id}", status_code=204)
async def delete_closure(
    services: ServicesOf,
    principal: Planner,
    closure_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
    if_match: IfMatch = None,
) -> None:
    """Open a street or a zone again."""
    await ClosureCommands(services.database).delete(principal.scope, closure_id, seen_version(if_match, version))


def _tagged(response: Response, closure: Closure) -> ClosureView:
    tag(response, closure.version)
    return _view(closure)


def _view(closure: Closure) -> ClosureView:
    return ClosureView(**{name: getattr(closure, name) for name in ClosureView.model_fields})
