"""Routes in MongoDB. A route is stored with the deliveries that it takes, in one transaction."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.documents.delivery import CLOSED
from models.documents.route import Route, RouteStatus
from models.errors import NotFound
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session
from models.store.versions import delete_at, replace_at

__all__ = ["RouteFilter", "RouteRepository"]


@dataclass(frozen=True, slots=True)
class RouteFilter:
    """Which routes are wanted; what is None does not matter."""

    status: RouteStatus | None = None
    driver: str | None = None
    vehicle: str | None = None
    job: str | None = None


class RouteRepository:
    """The routes of a tenant."""

    def __init__(self, database: Database) -> None:
        self._routes: Any = database["routes"]
        self._deliveries: Any = database["deliveries"]
        self._outbox = OutboxRepository(database)

    async def get(self, scope: Scope, route: str) -> Route:
        """Return one route.

        Raises
        ------
        NotFound
            If the tenant has no such route.
        """
        found = await self._routes.find_one({"_id": route, "tenant": scope.tenant})
        if found is None:
            raise NotFound("route", route)
        return Route.restored(found)

    async def page(self, scope: Scope, page: PageRequest, wanted: RouteFilter) -> Page[Route]:
        """Return one page of routes, newest first."""
        query: dict[str, Any] = {"tenant": scope.tenant}
        for name in ("status", "driver", "vehicle", "job"):
            if (value := getattr(wanted, name)) is not None:
                query[name] = value
        return await read_page(self._routes, Route, query, page, newest_first=True)

    async def current(self, scope: Scope, driver: str) -> Route | None:
        """Return the dispatched route of a driver that leaves first, if there is one."""
        query = {"tenant": scope.tenant, "driver": driver, "status": RouteStatus.DISPATCHED.value}
        found = await self._routes.find_one(query, sort=[("start", 1)])
        return None if found is None else Route.restored(found)

    async def under_way(self, scope: Scope, until: datetime.datetime, limit: int) -> list[Route]:
        """Return dispatched routes, and planned ones that begin before `until`, by their start."""
        query = {
            "tenant": scope.tenant,
            "status": {"$in": [RouteStatus.PLANNED.value, RouteStatus.DISPATCHED.value]},
            "start": {"$lt": until},
        }
        found = await self._routes.find(query).sort([("start", 1), ("_id", 1)]).limit(limit).to_list(None)
        return [Route.restored(fields) for fields in found]

    async def finished_by(self, scope: Scope, delivery: str, session: Session) -> Route | None:
        """Return the dispatched route of a delivery if none of its deliveries is under way any more."""
        query = {"tenant": scope.tenant, "status": RouteStatus.DISPATCHED.value, "stops.deliveryId": delivery}
        found = await self._routes.find_one(query, session=session)
        if found is None:
            return None
        route = Route.restored(found)
        closed = [status.value for status in CLOSED]
        under_way = {"tenant": scope.tenant, "_id": {"$in": list(route.deliveries)}, "status": {"$nin": closed}}
        return None if await self._deliveries.find_one(under_way, {"_id": 1}, session=session) else route

    async def put(self, session: Session, routes: Sequence[Route], announcements: Sequence[Announcement]) -> None:
        """Store new routes and their events, in the transaction of their deliveries' change."""
        await self._routes.insert_many([route.stored() for route in routes], session=session)
        await self._outbox.put(session, announcements)

    async def replace(self, session: Session, route: Route, expected: int, announcement: Announcement) -> None:
        """Store a changed route and its event, in the transaction of its deliveries' change.

        Raises
        ------
        VersionConflict
            If somebody was faster.
        """
        await replace_at(self._routes, route, expected, session)
        await self._outbox.put(session, [announcement])

    async def delete(self, session: Session, route: Route, announcement: Announcement) -> None:
        """Delete a route, in the transaction of its deliveries' change; raises as `replace`."""
        await delete_at(self._routes, route, session)
        await self._outbox.put(session, [announcement])
