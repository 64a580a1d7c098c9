"""Routes: stops in order for one vehicle, planned by hand or by optimisation, and given to a driver."""

from collections.abc import Sequence
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
from engine.routing.commands import RouteCommands, RouteDraft
from engine.routing.optimize import PlanLimits
from models.documents.delivery import Position
from models.documents.document import Flag, Instant, Line, Shape, now
from models.documents.route import MAX_STOPS, PlannedStop, Route, RouteStatus, Violation, Visit
from models.errors import NotFound
from models.store.routes import RouteFilter, RouteRepository

__all__ = ["router"]

router = APIRouter(prefix="/routes", tags=["routes"])
Planner = Annotated[Principal, Depends(allowed("routes.manage"))]
Watcher = Annotated[Principal, Depends(allowed("routes.view"))]
Identifier = Annotated[str | None, Field(max_length=80)]


class RouteShape(Shape):
    """What a planner says of a route."""

    stops: Sequence[Visit] = Field(min_length=1, max_length=MAX_STOPS)
    """In order. A delivery with a pickup may have both of its stops here; else its parcel is on board at first."""
    name: Line | None = None
    start: Instant | None = None
    """When it leaves; now unless given."""
    driver_id: Identifier = None
    vehicle_id: Identifier = None
    origin: Position | None = None
    """Where it begins; the vehicle's depot unless given."""
    destination: Position | None = None
    """Where it ends; the vehicle's depot unless given."""
    locked: Flag = False
    """Whether optimisation has to leave it alone."""
    constraints: PlanLimits = PlanLimits()
    """Limits beside the vehicle's own."""


class RouteBody(RouteShape):
    """A route's new fields; what is left out takes its default."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class RouteView(Shape):
    """A route with its times, and what it breaks."""

    id: str
    version: int
    name: str | None
    status: RouteStatus
    driver_id: str | None
    vehicle_id: str | None
    start: Instant
    end: Instant
    origin: Position | None
    destination: Position | None
    stops: Sequence[PlannedStop]
    deliveries: Sequence[str]
    distance_m: float
    duration_s: float
    violations: Sequence[Violation]
    """What the plan breaks; a plan by hand may break something."""
    locked: bool
    job_id: str | None
    """The optimisation that made it."""
    created_at: Instant
    updated_at: Instant


class Dispatching(Shape):
    """Which state of a route is meant."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


@router.post("", status_code=201, response_model=RouteView)
async def create_route(
    request: Request, services: ServicesOf, principal: Planner, body: RouteShape, idempotency_key: IdempotencyKey = None
) -> Response:
    """Plan a route by hand. The answer says when it is where, and what it breaks; its deliveries are on it then."""

    async def create() -> RouteView:
        [route] = await _commands(services).create(principal.scope, [_draft(body)])
        return view_of(route)

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[RouteView])
async def list_routes(
    services: ServicesOf,
    principal: Watcher,
    page: Paging,
    status: RouteStatus | None = None,
    driver_id: Annotated[str | None, Query(alias="driverId", max_length=80)] = None,
    vehicle_id: Annotated[str | None, Query(alias="vehicleId", max_length=80)] = None,
    job_id: Annotated[str | None, Query(alias="jobId", max_length=80)] = None,
) -> dict[str, Any]:
    """Return routes, newest first; a driver sees its own once they are dispatched."""
    if principal.role in ("driver", "device"):
        # one who drives and is linked to no driver has no routes
        driver_id, status = principal.driver or "", status or RouteStatus.DISPATCHED
        if status is RouteStatus.PLANNED:
            return {"items": [], "next": None}
    wanted = RouteFilter(status, driver_id, vehicle_id, job_id)
    return page_of(await RouteRepository(services.database).page(principal.scope, page, wanted), view_of)


@router.get("/{route_id}")
async def get_route(response: Response, services: ServicesOf, principal: Watcher, route_id: str) -> RouteView:
    """Return one route, with its version as `ETag`."""
    route = await RouteRepository(services.database).get(principal.scope, route_id)
    is_on_the_road = principal.role in ("driver", "device")
    if is_on_the_road and (route.driver != principal.driver or route.status is RouteStatus.PLANNED):
        raise NotFound("route", route_id)
    return _tagged(response, route)


@router.put("/{route_id}")
async def replace_route(
    response: Response,
    services: ServicesOf,
    principal: Planner,
    route_id: str,
    body: RouteBody,
    if_match: IfMatch = None,
) -> RouteView:
    """Replace a route's stops and fields; the answer says at once what the change costs and breaks."""
    seen = seen_version(if_match, body.version)
    return _tagged(response, await _commands(services).replace(principal.scope, route_id, _draft(body), seen))


@router.post("/{route_id}/dispatch")
async def dispatch_route(
    response: Response,
    services: ServicesOf,
    principal: Planner,
    route_id: str,
    body: Dispatching | None = None,
    if_match: IfMatch = None,
) -> RouteView:
    """Give all deliveries of a route to its driver, all or none."""
    seen = seen_version(if_match, body.version if body else None)
    return _tagged(response, await _commands(services).dispatch(principal.scope, route_id, seen))


@router.delete("/{route_id}", status_code=204)
async def delete_route(
    services: ServicesOf,
    principal: Planner,
    route_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
    if_match: IfMatch = None,
) -> None:
    """Delete a route. Its deliveries are free for another; those that the driver has stay with the driver."""
    await _commands(services).delete(principal.scope, route_id, seen_version(if_match, version))


def view_of(route: Route) -> RouteView:
    """Return a route as it is answered."""
    fields = {name: getattr(route, name) for name in RouteView.model_fields if hasattr(route, name)}
    return RouteView(**fields, driver_id=route.driver, vehicle_id=route.vehicle, job_id=route.job)


def _tagged(response: Response, route: Route) -> RouteView:
    tag(response, route.version)
    return view_of(route)


def _draft(body: RouteShape) -> RouteDraft:
    return RouteDraft(
        visits=body.stops,
        start=body.start or now(),
        name=body.name,
        driver=body.driver_id,
        vehicle=body.vehicle_id,
        origin=body.origin,
        destination=body.destination,
        locked=body.locked,
        constraints=body.constraints.constraints,
    )


def _commands(services: Services) -> RouteCommands:
    return RouteCommands(services.database, services.settings.log.partitions)
