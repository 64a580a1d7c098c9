"""Changes of routes: load, draw (`engine.routing.drafts`), store with the deliveries and all events at once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import FINAL, Edit
from engine.deliveries.orders import Revision
from engine.routing.drafts import RouteDraft, RouteDrawer, draft_of
from engine.routing.telling import order_told
from engine.travel.chain import Travel
from models.documents.delivery import Delivery
from models.documents.document import now
from models.documents.event import Event
from models.documents.route import PlannedStop, Route, RouteStatus
from models.errors import Conflict, InvalidInput, OutriderError, check_version
from models.ids import new_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.fleet import VehicleRepository
from models.store.outbox import Announcement
from models.store.routes import RouteRepository
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["RouteCommands", "RouteEdit", "RouteRevision", "announced"]

_Change = Literal["created", "changed", "dispatched", "completed", "deleted"]

Also = Callable[[Session, Sequence[Route]], Awaitable[None]]
"""Further writes of a transaction that stores routes."""


@dataclass(frozen=True, slots=True)
class RouteRevision:
    """A draft that takes the place of what a route says."""

    route: str
    draft: RouteDraft
    version: int | None = None
    """The version that was seen; None has seen none in particular."""


@dataclass(frozen=True, slots=True)
class RouteEdit:
    """What changes of a route whose stops stay where they are."""

    fields: Mapping[str, Any]
    """New values of `name`, `driver`, `vehicle` and `locked`."""
    locked_stops: int | None = None
    """How many of the first stops are locked; None leaves them as they are."""

    def stops(self, route: Route) -> tuple[PlannedStop, ...]:
        """Return a route's stops after the edit."""
        if self.locked_stops is None:
            return route.stops
        most = self.locked_stops
        return tuple(stop.model_copy(update={"locked": place < most}) for place, stop in enumerate(route.stops))


class RouteCommands:
    """What can be done to routes."""

    def __init__(self, database: Database, partitions: int, travel: Travel) -> None:
        self._routes = RouteRepository(database)
        self._deliveries = DeliveryRepository(database)
        self._changes = DeliveryCommands(database, partitions)
        self._drivers, self._vehicles = DriverRepository(database, partitions), VehicleRepository(database)
        self._drawer = RouteDrawer(database, partitions, travel)

    async def create(
        self,
        scope: Scope,
        drafts: Sequence[RouteDraft],
        also: Also | None = None,
    ) -> list[Route]:
        """Store new routes and put their deliveries on them, and whatever `also` stores: all or none.

        Raises
        ------
        InvalidInput
            If a delivery, driver or vehicle does not exist, or no vehicle can make the visits in this order.
        Conflict
            If a delivery is on another route, or final.
        """
        paths = [""] if len(drafts) == 1 else [f"routes.{place}." for place in range(len(drafts))]
        routes = await self._drawer.draw(scope, {new_id("rte"): draft for draft in drafts}, paths)
        announcements = [announced(scope, None, route, "created") for route in routes]

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            await self._routes.put(session, routes, announcements)
            if also is not None:
                await also(session, routes)

        revisions = [_moved(delivery, route.id) for route in routes for delivery in route.deliveries]
        await self._changes.carry_out(scope, [], revisions, _all_or_none(store))
        return routes

    async def replace(self, scope: Scope, revisions: Sequence[RouteRevision], also: Also | None = None) -> list[Route]:
        """Replace what routes say, all or none; deliveries follow, also from one of them to another.

        Raises as `create`, NotFound, and VersionConflict; Conflict if a route is completed.
        """
        before, after = await self._redrawn(scope, revisions)
        await self.store(scope, before, after, also)
        return after

    async def preview(self, scope: Scope, revisions: Sequence[RouteRevision]) -> list[tuple[Route, Route]]:
        """Return routes before and after what `replace` would store, which is not stored; raises as `replace`."""
        return list(zip(*await self._redrawn(scope, revisions), strict=True))

    async def _redrawn(self, scope: Scope, revisions: Sequence[RouteRevision]) -> tuple[list[Route], list[Route]]:
        """Return routes as they are, and as revisions make them."""
        before = [await self._seen(scope, one.route, one.version) for one in revisions]
        if over := next((route for route in before if route.status is RouteStatus.COMPLETED), None):
            raise Conflict(f"route {over.id} is completed")
        paths = [""] if len(revisions) == 1 else [f"routes.{place}." for place in range(len(revisions))]
        drawn = await self._drawer.draw(scope, {one.route: one.draft for one in revisions}, paths)
        return before, [
            route.model_copy(
                update={"version": was.version + 1, "status": was.status, "job": was.job, "created_at": was.created_at}
            )
            for was, route in zip(before, drawn, strict=True)
        ]

    async def edit(self, scope: Scope, identifier: str, version: int | None, edit: RouteEdit) -> Route:
        """Change some fields of a route and leave its stops where they are; raises as `replace`."""
        before = await self._seen(scope, identifier, version)
        if edit.fields.get("driver") is not None:
            await self._drawer.check_driver(scope, edit.fields["driver"])
        after = before.model_copy(
            update={**edit.fields, "version": before.version + 1, "updated_at": now(), "stops": edit.stops(before)}
        )
        if after.vehicle != before.vehicle:  # another vehicle has other limits, and drives otherwise
            [after] = await self.replace(scope, [RouteRevision(identifier, draft_of(after), before.version)])
            return after
        await self.store(scope, [before], [after])
        return after

    async def store(
        self, scope: Scope, before: Sequence[Route], after: Sequence[Route], also: Also | None = None
    ) -> None:
        """Store changed routes and let their deliveries follow, all or none.

        Raises
        ------
        Conflict
            If a delivery can't follow; VersionConflict if a route is no longer as it was before.
        """
        changes = [announced(scope, was, route, "changed") for was, route in zip(before, after, strict=True)]
        told = [await self._told(scope, change) for change in changes]

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            for was, route, announcement in zip(before, after, told, strict=True):
                await self._routes.replace(session, route, was.version, announcement)
            if also is not None:
                await also(session, after)

        place = {delivery: route for route in after for delivery in route.deliveries}
        known = {delivery for route in before for delivery in route.deliveries} | place.keys()
        held = await self._deliveries.get_many(scope, sorted(known))
        moves = [move for one in held.values() if (move := _follow(one, place.get(one.id))) is not None]
        await self._changes.carry_out(scope, [], moves, _all_or_none(store))

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

        told = await self._told(scope, announced(scope, before, after, "dispatched"))

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            await self._routes.replace(session, after, before.version, told)

        revisions = [_moved(delivery, identifier, before.driver) for delivery in before.deliveries]
        await self._changes.carry_out(scope, [], revisions, _all_or_none(store))
        return after

    async def delete(self, scope: Scope, identifier: str, version: int | None) -> None:
        """Delete a route. Its deliveries are free for another; those that a driver has stay with the driver."""
        before = await self._seen(scope, identifier, version)
        last = before.model_copy(update={"version": before.version + 1})
        told = await self._told(scope, announced(scope, last, None, "deleted"))

        async def store(session: Session, _: Mapping[str, OutriderError]) -> None:
            await self._routes.delete(session, before, told)

        held = await self._deliveries.get_many(scope, before.deliveries)
        free = [_moved(one.id, None) for one in held.values() if one.route == identifier and one.status not in FINAL]
        await self._changes.carry_out(scope, [], free, _all_or_none(store))

    async def _told(self, scope: Scope, announcement: Announcement) -> Announcement:
        """Return an announcement with what the shards of the drivers have to know of the order of stops."""
        had, has = (route if isinstance(route, Route) else None for route in (announcement.before, announcement.after))
        named = {route.driver for route in (had, has) if route is not None and route.driver is not None}
        drivers = await self._drivers.get_many(scope, sorted(named))
        vehicle = has.vehicle if has is not None else None
        found = await self._vehicles.get_many(scope, [vehicle]) if vehicle is not None else {}
        profile = found[vehicle].profile if vehicle is not None and vehicle in found else "van"
        return replace(announcement, messages=order_told(announcement.event.id, had, has, drivers, profile))

    async def _seen(self, scope: Scope, identifier: str, version: int | None) -> Route:
        found = await self._routes.get(scope, identifier)
        check_version(identifier, version, found.version)
        return found


def _follow(delivery: Delivery, route: Route | None) -> Revision | None:
    """Return what becomes of a delivery whose route has changed: on a dispatched one it is the driver's."""
    if delivery.status in FINAL:
        return None
    if route is None:
        return _moved(delivery.id, None)
    driver = route.driver if route.status is RouteStatus.DISPATCHED else None
    is_settled = delivery.route == route.id and driver in (None, delivery.driver)
    return None if is_settled else _moved(delivery.id, route.id, driver)


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
