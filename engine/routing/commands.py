"""Changes of routes: load, schedule (`engine.routing.schedule`), store with the deliveries and all events at once."""

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import FINAL, Edit
from engine.deliveries.orders import Revision
from engine.routing.planning import PlanConstraints, Tour, shift_of
from engine.routing.schedule import Limits, Schedule, check_order, schedule
from models.documents.delivery import Delivery, Position
from models.documents.document import now
from models.documents.event import Event
from models.documents.route import Route, RouteStatus, Visit
from models.documents.vehicle import Vehicle
from models.errors import Conflict, InvalidInput, OutriderError, check_version
from models.ids import new_id
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.fleet import DepotRepository, VehicleRepository
from models.store.outbox import Announcement
from models.store.routes import RouteRepository
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["RouteCommands", "RouteDraft", "announced"]

_Change = Literal["created", "changed", "dispatched", "completed", "deleted"]


@dataclass(frozen=True, slots=True)
class RouteDraft:
    """What a planner, or a solver, says of a route."""

    visits: Sequence[Visit]
    start: datetime.datetime
    name: str | None = None
    driver: str | None = None
    vehicle: str | None = None
    origin: Position | None = None
    destination: Position | None = None
    locked: bool = False
    job: str | None = None
    constraints: PlanConstraints = field(default_factory=PlanConstraints)


class RouteCommands:
    """What can be done to routes."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._routes = RouteRepository(database)
        self._deliveries = DeliveryRepository(database)
        self._changes = DeliveryCommands(database, partitions)
        self._drivers = DriverRepository(database, partitions)
        self._vehicles = VehicleRepository(database)
        self._depots = DepotRepository(database)
        self._accounts = AccountRepository(database)

    async def create(
        self,
        scope: Scope,
        drafts: Sequence[RouteDraft],
        also: Callable[[Session, Sequence[Route]], Awaitable[None]] | None = None,
    ) -> list[Route]:
        """Store new routes and put their deliveries on them, and whatever `also` stores: all or none.

        Raises
        ------
        InvalidInput
            If a delivery, driver or vehicle does not exist, or no vehicle can make the visits in this order.
        Conflict
            If a delivery is on another route, or final.
        """
        routes = [await self._drawn(scope, draft, new_id("rte")) for draft in drafts]
        announcements = [announced(scope, None, route, "created") for route in routes]

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            await self._routes.put(session, routes, announcements)
            if also is not None:
                await also(session, routes)

        revisions = [_moved(delivery, route.id) for route in routes for delivery in route.deliveries]
        await self._changes.carry_out(scope, [], revisions, _all_or_none(store))
        return routes

    async def replace(self, scope: Scope, identifier: str, draft: RouteDraft, version: int | None) -> Route:
        """Replace what a route says; its deliveries follow. Raises as `create`, NotFound and VersionConflict."""
        before = await self._seen(scope, identifier, version)
        drawn = await self._drawn(scope, draft, identifier)
        after = drawn.model_copy(
            update={
                "version": before.version + 1,
                "status": before.status,
                "job": before.job,
                "created_at": before.created_at,
            }
        )

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            await self._routes.replace(session, after, before.version, announced(scope, before, after, "changed"))

        joining = set(after.deliveries) - set(before.deliveries)
        driver = after.driver if after.status is RouteStatus.DISPATCHED else None
        moving = [delivery for delivery in after.deliveries if driver is not None or delivery in joining]
        revisions = [_moved(delivery, identifier, driver) for delivery in moving]
        revisions += [_moved(delivery, None) for delivery in set(before.deliveries) - set(after.deliveries)]
        await self._changes.carry_out(scope, [], revisions, _all_or_none(store))
        return after

    async def dispatch(self, scope: Scope, identifier: str, version: int | None) -> Route:
        """Give all deliveries of a route to its driver.

        Raises
        ------
        NotFound
            If the tenant has no such route.
        InvalidInput
            If it has no driver.
        Conflict
            If it is not planned any more, or a delivery can't be assigned; names the first one.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._seen(scope, identifier, version)
        if before.status is not RouteStatus.PLANNED:
            raise Conflict(f"route {identifier} is {before.status} already")
        if before.driver is None:
            raise InvalidInput(f"route {identifier} has no driver yet", [("driverId", "missing")])
        after = before.model_copy(
            update={"status": RouteStatus.DISPATCHED, "version": before.version + 1, "updated_at": now()}
        )

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            await self._routes.replace(session, after, before.version, announced(scope, before, after, "dispatched"))

        revisions = [_moved(delivery, identifier, before.driver) for delivery in before.deliveries]
        await self._changes.carry_out(scope, [], revisions, _all_or_none(store))
        return after

    async def delete(self, scope: Scope, identifier: str, version: int | None) -> None:
        """Delete a route. Its deliveries are free for another; those that a driver has stay with the driver."""
        before = await self._seen(scope, identifier, version)
        last = before.model_copy(update={"version": before.version + 1})

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            await self._routes.delete(session, before, announced(scope, last, None, "deleted"))

        held = await self._deliveries.get_many(scope, before.deliveries)
        free = [_moved(one.id, None) for one in held.values() if one.route == identifier and one.status not in FINAL]
        await self._changes.carry_out(scope, [], free, _all_or_none(store))

    async def tours(self, scope: Scope, vehicles: Sequence[Vehicle], start: datetime.datetime) -> list[Tour]:
        """Return vehicles with where and when they can be used in a plan that begins at `start`."""
        zone = ZoneInfo((await self._accounts.tenant(scope)).settings.time_zone)
        named = {depot for one in vehicles for depot in (one.start_depot_id, one.end_depot_id) if depot is not None}
        depots = await self._depots.get_many(scope, sorted(named))
        places = {
            identifier: Position.model_validate({"latitude": depot.place.latitude, "longitude": depot.place.longitude})
            for identifier, depot in depots.items()
        }
        return [
            Tour(
                vehicle,
                places.get(vehicle.start_depot_id or ""),
                places.get(vehicle.end_depot_id or ""),
                *shift_of(vehicle, start, zone),
            )
            for vehicle in vehicles
        ]

    async def _drawn(self, scope: Scope, draft: RouteDraft, identifier: str) -> Route:
        """Return the route that a draft makes, with times and violations."""
        deliveries = await self._deliveries.get_many(scope, [visit.delivery_id for visit in draft.visits])
        check_order(draft.visits, deliveries)
        _check_free(deliveries, draft.visits, identifier)
        if draft.driver is not None and draft.driver not in await self._drivers.get_many(scope, [draft.driver]):
            raise InvalidInput(f"there is no driver {draft.driver}", [("driverId", "unknown")])
        tour = None
        if draft.vehicle is not None:
            vehicles = await self._vehicles.get_many(scope, [draft.vehicle])
            if draft.vehicle not in vehicles:
                raise InvalidInput(f"there is no vehicle {draft.vehicle}", [("vehicleId", "unknown")])
            [tour] = await self.tours(scope, list(vehicles.values()), draft.start)
        return _route(scope, draft, identifier, deliveries, tour)

    async def _seen(self, scope: Scope, identifier: str, version: int | None) -> Route:
        found = await self._routes.get(scope, identifier)
        check_version(identifier, version, found.version)
        return found


def _route(
    scope: Scope, draft: RouteDraft, identifier: str, deliveries: Mapping[str, Delivery], tour: Tour | None
) -> Route:
    origin = draft.origin or (tour.origin if tour else None)
    destination = draft.destination or (tour.destination if tour else None)
    plan = schedule(
        draft.visits,
        deliveries,
        draft.start,
        origin=origin,
        destination=destination,
        profile=tour.vehicle.profile if tour else "van",
        limits=tour.limits(draft.constraints) if tour else _plain(draft.constraints),
    )
    return Route(
        id=identifier,
        tenant=scope.tenant,
        name=draft.name,
        driver=draft.driver,
        vehicle=draft.vehicle,
        start=draft.start,
        origin=origin,
        destination=destination,
        locked=draft.locked,
        job=draft.job,
        updated_at=now(),
        **_planned(plan),
    )


def _planned(plan: Schedule) -> dict[str, Any]:
    return {
        "end": plan.end,
        "stops": plan.stops,
        "distance_m": round(plan.distance_m, 1),
        "duration_s": round(plan.duration_s, 1),
        "violations": plan.violations,
    }


def _plain(constraints: PlanConstraints) -> Limits:
    return Limits(
        weight_kg=constraints.weight_kg,
        distance_m=constraints.max_distance_m,
        duration_s=constraints.max_route_time_s,
        stops=constraints.max_stops,
    )


def _check_free(deliveries: Mapping[str, Delivery], visits: Sequence[Visit], route: str) -> None:
    for visit in visits:
        delivery = deliveries[visit.delivery_id]
        if delivery.route not in (None, route):
            raise Conflict(f"{delivery.id} is on route {delivery.route} already")
        if delivery.status in FINAL and delivery.route != route:
            raise Conflict(f"{delivery.id} is {delivery.status}, so no route can take it")


def _moved(delivery: str, route: str | None, driver: str | None = None) -> Revision:
    return Revision(delivery, Edit({"route": route}, now()), driver)


def _all_or_none(
    store: Callable[[Session, Mapping[str, OutriderError]], Awaitable[None]],
) -> Callable[[Session, Mapping[str, OutriderError]], Awaitable[None]]:
    """Return a store that refuses everything where a delivery refuses its part."""

    async def checked(session: Session, refused: Mapping[str, OutriderError]) -> None:
        for delivery, fault in refused.items():
            raise Conflict(f"{delivery}: {fault}") from fault
        await store(session, refused)

    return checked


def announced(scope: Scope, before: Route | None, after: Route | None, change: _Change) -> Announcement:
    """Return what is told of a change of a route."""
    route = after or before
    assert route is not None  # noqa: S101 - one of them is given
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=f"route.{change}",
        aggregate=route.id,
        sequence=route.version,
        actor=scope.actor,
        data={
            "routeId": route.id,
            "status": route.status.value,
            "driverId": route.driver,
            "vehicleId": route.vehicle,
            "deliveries": list(route.deliveries),
            "version": route.version,
        },
    )
    return Announcement(event, (), before, after)
