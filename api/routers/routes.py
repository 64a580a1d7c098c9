"""Routes: stops in order for one vehicle, planned by hand or by optimisation, and given to a driver."""

import datetime
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.live_view import GEOJSON, JsonResponse
from api.paging import PageOf, Paging, page_of
from api.route_view import RouteChange, RouteView, change_of, geojson_of, view_of
from api.services import Services
from engine.fleet.closures import closed_to
from engine.routing.commands import RouteCommands, RouteEdit, RouteRevision
from engine.routing.drafts import RouteDraft
from engine.routing.geometry import RouteLine, line_of, places_along
from engine.travel.answers import Journey
from models.documents.delivery import Position
from models.documents.document import Departure, Flag, Line, Shape, now
from models.documents.route import MAX_STOPS, PlanLimits, Route, RouteStatus, Visit
from models.documents.vehicle import VehicleProfile
from models.errors import InvalidInput, NotFound
from models.store.fleet import VehicleRepository
from models.store.routes import RouteFilter, RouteRepository

__all__ = ["router"]

router = APIRouter(prefix="/routes", tags=["routes"])
Planner = Annotated[Principal, Depends(allowed("routes.manage"))]
Watcher = Annotated[Principal, Depends(allowed("routes.view"))]
Identifier = Annotated[str | None, Field(max_length=80)]
_MOST_ROUTES = 50  # edited at once
_EDITABLE = frozenset({"name", "driver_id", "vehicle_id", "locked"})
_STORED = {"driver_id": "driver", "vehicle_id": "vehicle"}


class RouteShape(Shape):
    """What a planner says of a route."""

    stops: Sequence[Visit] = Field(min_length=1, max_length=MAX_STOPS)
    """In order. A delivery with a pickup may have both of its stops here; else its parcel is on board at first."""
    name: Line | None = None
    start: Departure | None = None
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


class ListedRoute(RouteBody):
    """A route's new fields, and which route it is."""

    id: Annotated[str, Field(max_length=80)]


class RouteEdits(Shape):
    """New fields of several routes, between which deliveries may move."""

    routes: Sequence[ListedRoute] = Field(min_length=1, max_length=_MOST_ROUTES)


class EditsPreview(Shape):
    """What edits would make of routes; nothing is stored."""

    routes: Sequence[RouteChange]
    distance_m: float
    """Added by all of them together."""
    duration_s: float
    cost: float


class RoutePatch(Shape):
    """Some fields of a route; what is left out stays."""

    name: Line | None = None
    driver_id: Identifier = None
    """Who drives it; null takes it from its driver."""
    vehicle_id: Identifier = None
    locked: Flag = False
    """Whether re-optimisation has to leave the whole route alone."""
    locked_stops: int | None = Field(None, ge=0, le=MAX_STOPS)
    """How many of its first stops have to stay first, and in their order."""
    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class EncodedLine(Shape):
    """A route as an encoded polyline."""

    polyline: str
    """The whole way, in Google's format with five decimals."""
    distance_m: float
    duration_s: float


class Dispatching(Shape):
    """Which state of a route is meant."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


_LINES: dict[int | str, dict[str, Any]] = {
    200: {"model": EncodedLine, "content": {GEOJSON: {"schema": {"type": "object"}}}}
}


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


@router.post("/preview")
async def preview_routes(services: ServicesOf, principal: Planner, body: RouteEdits) -> EditsPreview:
    """Say what edits of routes would cost and break, without storing them: for an editor, at each move of a stop."""
    found = await _commands(services).preview(principal.scope, _revisions(body))
    changes = [change_of(before, after) for before, after in found]
    return EditsPreview(
        routes=changes,
        distance_m=round(sum(one.distance_m for one in changes), 1),
        duration_s=round(sum(one.duration_s for one in changes), 1),
        cost=round(sum(one.cost for one in changes), 2),
    )


@router.put("")
async def replace_routes(services: ServicesOf, principal: Planner, body: RouteEdits) -> list[RouteView]:
    """Replace several routes at once, all or none: deliveries may move from one to another."""
    return [view_of(route) for route in await _commands(services).replace(principal.scope, _revisions(body))]


@router.get("/{route_id}")
async def get_route(response: Response, services: ServicesOf, principal: Watcher, route_id: str) -> RouteView:
    """Return one route, with its version as `ETag`."""
    return _tagged(response, await _visible(services, principal, route_id))


@router.get("/{route_id}/geometry", responses=_LINES)
async def get_route_geometry(
    services: ServicesOf,
    principal: Watcher,
    route_id: str,
    shape: Annotated[Literal["geojson", "polyline"], Query(alias="format")] = "geojson",
) -> Response:
    """Return a route as a line on the map: GeoJSON with a feature a leg and stop, or an encoded polyline."""
    route = await _visible(services, principal, route_id)
    line = await _line(services, principal, route)
    if shape == "geojson":
        return JsonResponse(geojson_of(route, line), media_type=GEOJSON)
    encoded = EncodedLine(polyline=line.encoded(), distance_m=route.distance_m, duration_s=route.duration_s)
    return JsonResponse(encoded.model_dump(by_alias=True))


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
    revision = RouteRevision(route_id, _draft(body), seen_version(if_match, body.version))
    [route] = await _commands(services).replace(principal.scope, [revision])
    return _tagged(response, route)


@router.patch("/{route_id}")
async def edit_route(
    response: Response,
    services: ServicesOf,
    principal: Planner,
    route_id: str,
    body: RoutePatch,
    if_match: IfMatch = None,
) -> RouteView:
    """Name, lock, unlock or assign a route, and leave its stops where they are."""
    fields = {_STORED.get(name, name): getattr(body, name) for name in body.model_fields_set & _EDITABLE}
    seen = seen_version(if_match, body.version)
    route = await _commands(services).edit(principal.scope, route_id, seen, RouteEdit(fields, body.locked_stops))
    return _tagged(response, route)


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


async def _visible(services: Services, principal: Principal, identifier: str) -> Route:
    """Return a route, if the caller may see it."""
    route = await RouteRepository(services.database).get(principal.scope, identifier)
    is_on_the_road = principal.role in ("driver", "device")
    if is_on_the_road and (route.driver != principal.driver or route.status is RouteStatus.PLANNED):
        raise NotFound("route", identifier)
    return route


def _revisions(body: RouteEdits) -> list[RouteRevision]:
    times = Counter(one.id for one in body.routes)
    if faults := [(f"routes.{place}.id", "twice") for place, one in enumerate(body.routes) if times[one.id] > 1]:
        raise InvalidInput("a route comes twice", faults)
    return [RouteRevision(one.id, _draft(one), one.version) for one in body.routes]


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
        limits=body.constraints,
    )


async def _line(services: Services, principal: Principal, route: Route) -> RouteLine:
    """Return the line of a route on the roads that its vehicle takes."""
    vehicles = await VehicleRepository(services.database).get_many(principal.scope, [route.vehicle or ""])
    known = vehicles.get(route.vehicle or "")
    profile: VehicleProfile = "van" if known is None else known.profile
    barriers = await closed_to(services.database, principal.scope)
    lasts = max(route.end - route.start, datetime.timedelta())
    legs = await services.travel.path(places_along(route), Journey(profile, route.start, lasts, barriers))
    lines = {(leg.origin, leg.destination): leg.line for leg in legs}
    return line_of(route, lambda one, other: lines[one, other])


def _commands(services: Services) -> RouteCommands:
    return RouteCommands(services.database, services.settings.log.partitions, services.travel)
