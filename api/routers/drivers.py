"""Drivers: who they are, where they are, where they were."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Request
from fastapi.responses import Response
from pydantic import Field, field_validator

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.live_view import TRACK, JsonResponse, LiveView, NearestView, live_of, track_response
from api.moments import At, Between
from api.paging import PageOf, Paging, page_of
from api.services import Services
from engine.drivers.commands import DriverCommands
from models.documents.document import Instant, Latitude, Line, Longitude, Shape
from models.documents.driver import Driver, MotionProfileName
from models.documents.language import Language
from models.documents.user import Email
from models.errors import NotFound
from models.store.drivers import DriverRepository, NewDriver

__all__ = ["router", "visible_driver"]

router = APIRouter(prefix="/drivers", tags=["drivers"])
Manager = Annotated[Principal, Depends(allowed("drivers.manage"))]
Office = Annotated[Principal, Depends(allowed("drivers.list"))]
Watcher = Annotated[Principal, Depends(allowed("drivers.view"))]
_MAX_BULK = 1000


class DriverBody(Shape):
    """A driver to be created."""

    name: Line
    external_id: Line | None = None
    """What the customer's systems or the device call it; unique in the tenant."""
    phone: Line | None = None
    email: Email | None = None
    push_token: Line | None = None
    """What the push service calls the phone with the driver's app."""
    language: Language | None = None
    """Of messages; none takes the company's."""
    profile: MotionProfileName | None = None
    """Motion profile; none takes the tenant's."""


class DriverChanges(Shape):
    """Fields of a driver to be changed; those left out stay."""

    name: Line | None = None
    external_id: Line | None = None
    phone: Line | None = None
    email: Email | None = None
    push_token: Line | None = None
    """What the push service calls the phone with the driver's app."""
    language: Language | None = None
    """Of messages; none takes the company's."""
    profile: MotionProfileName | None = None
    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""

    @field_validator("name")
    @classmethod
    def _has_name(cls, name: str | None) -> str:
        if name is None:
            raise ValueError("a driver has a name")
        return name


class DriverReplacement(DriverBody):
    """A driver's new fields; what is left out is emptied."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class DriverView(DriverBody):
    """A driver."""

    id: str
    version: int
    number: int
    """What packed frames call it."""
    created_at: Instant


@router.post("", status_code=201, response_model=DriverView)
async def create_driver(
    request: Request, services: ServicesOf, principal: Manager, body: DriverBody, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a driver."""

    async def create() -> DriverView:
        return (await _create(services, principal, [body]))[0]

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.post("/bulk", status_code=201, response_model=Sequence[DriverView])
async def create_drivers(
    request: Request,
    services: ServicesOf,
    principal: Manager,
    body: Annotated[list[DriverBody], Body(min_length=1, max_length=_MAX_BULK)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create up to a thousand drivers, all or none, in the order given."""

    async def create() -> list[DriverView]:
        return await _create(services, principal, body)

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[DriverView])
async def list_drivers(
    services: ServicesOf,
    principal: Office,
    page: Paging,
    external_id: Annotated[str | None, Query(alias="externalId", max_length=200)] = None,
) -> dict[str, Any]:
    """Return the tenant's drivers, oldest first."""
    return page_of(await _drivers(services).page(principal.scope, page, external_id=external_id), _view)


@router.get("/nearest", responses={200: {"model": NearestView}})
async def nearest_drivers(
    services: ServicesOf,
    principal: Office,
    lat: Annotated[Latitude, Query()],
    lon: Annotated[Longitude, Query()],
    limit: Annotated[int, Query(ge=1, le=200)] = 10,
) -> Response:
    """Return live drivers by distance from a point."""
    found = await services.engine.nearest(principal.tenant, lat, lon, limit)
    return JsonResponse({"items": [live_of(live) for live in found]})


@router.get("/{driver_id}")
async def get_driver(response: Response, services: ServicesOf, principal: Watcher, driver_id: str) -> DriverView:
    """Return one driver, by its id or external id, with its version as `ETag`."""
    driver = await visible_driver(services, principal, driver_id)
    return _tagged(response, await _drivers(services).get(principal.scope, driver))


@router.patch("/{driver_id}")
async def change_driver(
    response: Response,
    services: ServicesOf,
    principal: Manager,
    driver_id: str,
    body: DriverChanges,
    if_match: IfMatch = None,
) -> DriverView:
    """Change what is said of a driver; what is left out stays."""
    changes = body.model_dump(exclude_unset=True, exclude={"version"})
    seen = seen_version(if_match, body.version)
    return _tagged(response, await _change(services, principal, driver_id, changes, seen))


@router.put("/{driver_id}")
async def replace_driver(
    response: Response,
    services: ServicesOf,
    principal: Manager,
    driver_id: str,
    body: DriverReplacement,
    if_match: IfMatch = None,
) -> DriverView:
    """Replace what is said of a driver; what is left out is emptied."""
    changes = body.model_dump(exclude={"version"})
    seen = seen_version(if_match, body.version)
    return _tagged(response, await _change(services, principal, driver_id, changes, seen))


@router.delete("/{driver_id}", status_code=204)
async def delete_driver(
    services: ServicesOf,
    principal: Manager,
    driver_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
    if_match: IfMatch = None,
) -> None:
    """Delete a driver that has no open deliveries, with its device keys; its history is kept as all history is."""
    driver = await visible_driver(services, principal, driver_id)
    await _commands(services).delete(principal.scope, driver, seen_version(if_match, version))
    services.registry.forget(principal.tenant, driver)
    await services.authenticator.forget(driver)  # its device keys


@router.get("/{driver_id}/live", responses={200: {"model": LiveView}})
async def get_live_driver(services: ServicesOf, principal: Watcher, driver_id: str, at: At = None) -> Response:
    """Return a driver's live state, from memory; `stale` says that its shard was away.

    With `at`: where it was then and what it did, from history, late fixes in their place.
    """
    actor = services.engine.driver(principal.tenant, await visible_driver(services, principal, driver_id))
    return JsonResponse(live_of(await actor.live() if at is None else await actor.live_at(at)))


@router.get("/{driver_id}/track", responses=TRACK)
async def get_track(
    services: ServicesOf,
    principal: Watcher,
    driver_id: str,
    between: Between,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Return a driver's fixes by fix time, as columns; as GeoJSON with `Accept: application/geo+json`."""
    driver = await visible_driver(services, principal, driver_id)
    track = await services.engine.driver(principal.tenant, driver).track(*between)
    return track_response({"driverId": driver}, track, accept)


async def _create(services: Services, principal: Principal, bodies: Sequence[DriverBody]) -> list[DriverView]:
    made = await _drivers(services).create_many(principal.scope, [NewDriver(**dict(body)) for body in bodies])
    return [_view(driver) for driver in made]


async def _change(
    services: Services, principal: Principal, driver_id: str, changes: Mapping[str, Any], version: int | None
) -> Driver:
    driver = await visible_driver(services, principal, driver_id)
    changed = await _commands(services).change(principal.scope, driver, changes, version)
    services.registry.forget(principal.tenant, driver)
    return changed


def _tagged(response: Response, driver: Driver) -> DriverView:
    tag(response, driver.version)
    return _view(driver)


async def visible_driver(services: Services, principal: Principal, driver: str) -> str:
    """Return the id of a driver, asked for by id or external id, that the caller may see."""
    found = (await services.registry.resolve(principal.tenant, [driver])).get(driver)
    if found is None or (principal.role in ("driver", "device") and found.id != principal.driver):
        raise NotFound("driver", driver)
    return found.id


def _drivers(services: Services) -> DriverRepository:
    return DriverRepository(services.database, services.settings.log.partitions)


def _commands(services: Services) -> DriverCommands:
    return DriverCommands(services.database, services.settings.log.partitions)


def _view(driver: Driver) -> DriverView:
    return DriverView.model_validate(driver.model_dump(exclude={"tenant", "partition"}))
