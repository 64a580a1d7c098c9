"""Vehicles: what routes are planned with."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from api.services import Services
from engine.fleet.commands import VehicleCommands
from models.documents.document import Instant
from models.documents.vehicle import Vehicle, VehicleShape
from models.store.fleet import VehicleRepository

__all__ = ["router"]

router = APIRouter(prefix="/vehicles", tags=["vehicles"])
Manager = Annotated[Principal, Depends(allowed("vehicles.manage"))]
Office = Annotated[Principal, Depends(allowed("vehicles.view"))]


class VehicleBody(VehicleShape):
    """A vehicle's new fields; what is left out takes its default."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class VehicleView(VehicleShape):
    """A vehicle."""

    id: str
    version: int
    created_at: Instant


@router.post("", status_code=201, response_model=VehicleView)
async def create_vehicle(
    request: Request,
    services: ServicesOf,
    principal: Manager,
    body: VehicleShape,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a vehicle; its driver and depots exist already."""

    async def create() -> VehicleView:
        return _view(await _commands(services).create(principal.scope, body))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[VehicleView])
async def list_vehicles(
    services: ServicesOf,
    principal: Office,
    page: Paging,
    active: bool | None = None,
    depot_id: Annotated[str | None, Query(alias="depotId", max_length=80, description="Where the day begins")] = None,
    external_id: Annotated[str | None, Query(alias="externalId", max_length=200)] = None,
) -> dict[str, Any]:
    """Return the company's vehicles, oldest first."""
    repository = VehicleRepository(services.database)
    found = await repository.page(principal.scope, page, active=active, depot=depot_id, external_id=external_id)
    return page_of(found, _view)


@router.get("/{vehicle_id}")
async def get_vehicle(response: Response, services: ServicesOf, principal: Office, vehicle_id: str) -> VehicleView:
    """Return one vehicle, with its version as `ETag`."""
    return _tagged(response, await VehicleRepository(services.database).shown(principal.scope, vehicle_id))


@router.put("/{vehicle_id}")
async def replace_vehicle(
    response: Response,
    services: ServicesOf,
    principal: Manager,
    vehicle_id: str,
    body: VehicleBody,
    if_match: IfMatch = None,
) -> VehicleView:
    """Replace what is said of a vehicle. Plans that are made already keep what they were made with."""
    seen = seen_version(if_match, body.version)
    shape = VehicleShape(**{name: getattr(body, name) for name in VehicleShape.model_fields})
    return _tagged(response, await _commands(services).replace(principal.scope, vehicle_id, shape, seen))


@router.delete("/{vehicle_id}", status_code=204)
async def delete_vehicle(
    services: ServicesOf,
    principal: Manager,
    vehicle_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
    if_match: IfMatch = None,
) -> None:
    """Delete a vehicle."""
    await _commands(services).delete(principal.scope, vehicle_id, seen_version(if_match, version))


def _commands(services: Services) -> VehicleCommands:
    return VehicleCommands(services.database, services.settings.log.partitions)


def _tagged(response: Response, vehicle: Vehicle) -> VehicleView:
    tag(response, vehicle.version)
    return _view(vehicle)


def _view(vehicle: Vehicle) -> VehicleView:
    return VehicleView(**{name: getattr(vehicle, name) for name in VehicleView.model_fields})
