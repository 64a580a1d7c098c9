"""Vehicles, depots and closures in MongoDB. Every change is stored with its event in one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from pymongo.errors import DuplicateKeyError

from models.documents.closure import Closure
from models.documents.depot import Depot
from models.documents.document import now
from models.documents.route import RouteStatus
from models.documents.vehicle import Vehicle, VehicleProfile
from models.errors import Conflict, NotFound
from models.store.connections import Database
from models.store.indexes import any_text
from models.store.kept import page_key, page_restored, page_stored
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction
from models.store.versions import delete_at, replace_at

__all__ = ["ClosureRepository", "DepotRepository", "FleetRepository", "FleetT", "VehicleRepository"]

FleetT = TypeVar("FleetT", Vehicle, Depot, Closure)
"""A vehicle, a depot or a closure."""


class FleetRepository(Generic[FleetT]):
    """The vehicles, the depots, or the closures of a tenant."""

    kind: type[FleetT]
    noun: str
    collection: str

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stored: Any = database[self.collection]
        self._outbox = OutboxRepository(database)

    async def get(self, scope: Scope, identifier: str) -> FleetT:
        """Return one.

        Raises
        ------
        NotFound
            If the tenant has none of this id.
        """
        found = await self._stored.find_one({"_id": identifier, "tenant": scope.tenant})
        if found is None:
            raise NotFound(self.noun, identifier)
        return self.kind.restored(found)

    async def shown(self, scope: Scope, identifier: str) -> FleetT:
        """Return one to be looked at, not to be changed: from what this process keeps. Raises as `get`."""

        async def read() -> Mapping[str, Any]:
            return (await self.get(scope, identifier)).stored()

        return await self._database.read("fleet", scope.tenant, identifier, read, self.kind.restored)

    async def get_many(self, scope: Scope, identifiers: Sequence[str]) -> dict[str, FleetT]:
        """Return those of `identifiers` that the tenant has, by id."""
        query = {"_id": {"$in": list(identifiers)}, "tenant": scope.tenant}
        return {fields["_id"]: self.kind.restored(fields) async for fields in self._stored.find(query)}

    async def create(self, thing: FleetT, announcement: Announcement) -> None:
        """Store a new one and its event.

        Raises
        ------
        Conflict
            If its external id or plate is taken in the tenant.
        """

        async def insert(session: Session) -> None:
            await self._stored.insert_one(thing.stored(), session=session)
            await self._outbox.put(session, [announcement])

        try:
            await self._write(thing.tenant, insert)
        except DuplicateKeyError as fault:
            raise _taken(fault) from fault

    async def replace(self, thing: FleetT, expected: int, announcement: Announcement) -> None:
        """Store a changed one and its event, if it still is at version `expected`.

        Raises
        ------
        Conflict
            If its external id or plate is taken in the tenant.
        VersionConflict
            If somebody was faster.
        """

        async def swap(session: Session) -> None:
            await replace_at(self._stored, thing, expected, session)
            await self._outbox.put(session, [announcement])

        try:
            await self._write(thing.tenant, swap)
        except DuplicateKeyError as fault:
            raise _taken(fault) from fault

    async def delete(self, thing: FleetT, announcement: Announcement) -> None:
        """Delete one, with the event of it.

        Raises
        ------
        Conflict
            If something still needs it.
        VersionConflict
            If somebody has changed or deleted it meanwhile.
        """

        async def remove(session: Session) -> None:
            await self._require_unneeded(thing, session)
            await delete_at(self._stored, thing, session)
            await self._outbox.put(session, [announcement])

        await self._write(thing.tenant, remove)

    async def _write(self, tenant: str, write: Callable[[Session], Awaitable[None]]) -> None:
        await self._database.write("fleet", tenant, in_transaction(self._database, write))

    async def _page(self, scope: Scope, page: PageRequest, wanted: dict[str, Any]) -> Page[FleetT]:
        asked = {name: value for name, value in wanted.items() if value is not None}
        query: dict[str, Any] = {"tenant": scope.tenant} | asked
        if "externalId" in query:
            query["externalId"] = any_text([query["externalId"]])

        async def read() -> Mapping[str, Any]:
            return page_stored(await read_page(self._stored, self.kind, query, page, newest_first=False))

        key = page_key(self.collection, page, wanted)
        return await self._database.read("fleet", scope.tenant, key, read, page_restored(self.kind))

    async def _require_unneeded(self, thing: FleetT, session: Session) -> None:
        """Refuse to delete what something else names."""


class VehicleRepository(FleetRepository[Vehicle]):
    """The vehicles of a tenant."""

    kind, noun, collection = Vehicle, "vehicle", "vehicles"

    async def page(
        self, scope: Scope, page: PageRequest, *, active: bool | None, depot: str | None, external_id: str | None
    ) -> Page[Vehicle]:
        """Return one page of the tenant's vehicles, oldest first; `depot` is where their day begins."""
        return await self._page(scope, page, {"active": active, "startDepotId": depot, "externalId": external_id})

    async def of_drivers(self, scope: Scope, drivers: Sequence[str]) -> dict[str, Vehicle]:
        """Return the vehicles that are in use and driven by these drivers, by driver."""
        query = {"tenant": scope.tenant, "driverId": {"$in": list(drivers)}, "active": True}
        found = await self._database[self.collection].find(query).to_list(None)
        return {fields["driverId"]: Vehicle.restored(fields) for fields in found}

    async def drivers_on(self, profile: VehicleProfile) -> set[int]:
        """Return the numbers of drivers, of all tenants, who have a vehicle of a profile or are on a route with one."""
        shown = {"tenant": 1, "driverId": 1}
        vehicles = [found async for found in self._database.everywhere(self.collection, {"profile": profile}, shown)]
        drivers = {vehicle["driverId"] for vehicle in vehicles if vehicle.get("driverId") is not None}
        for tenant in {vehicle["tenant"] for vehicle in vehicles}:
            mine = [vehicle["_id"] for vehicle in vehicles if vehicle["tenant"] == tenant]
            query = {"tenant": tenant, "vehicle": {"$in": mine}, "status": RouteStatus.DISPATCHED.value}
            drivers |= {route.get("driver") async for route in self._database.routes.find(query, {"driver": 1})}
        query = {"_id": {"$in": [driver for driver in drivers if driver is not None]}}
        return {int(driver["number"]) async for driver in self._database.drivers.find(query, {"number": 1})}


class DepotRepository(FleetRepository[Depot]):
    """The depots of a tenant."""

    kind, noun, collection = Depot, "depot", "depots"

    async def page(self, scope: Scope, page: PageRequest, *, external_id: str | None) -> Page[Depot]:
        """Return one page of the tenant's depots, oldest first."""
        return await self._page(scope, page, {"externalId": external_id})

    async def _require_unneeded(self, thing: Depot, session: Session) -> None:
        at_it = {"tenant": thing.tenant, "$or": [{"startDepotId": thing.id}, {"endDepotId": thing.id}]}
        if found := await self._database.vehicles.find_one(at_it, {"name": 1}, session=session):
            raise Conflict(f"{thing.name} is still the depot of vehicles, such as {found['name']}")


class ClosureRepository(FleetRepository[Closure]):
    """The closures of a tenant."""

    kind, noun, collection = Closure, "closure", "closures"

    async def page(self, scope: Scope, page: PageRequest) -> Page[Closure]:
        """Return one page of the tenant's closures, oldest first."""
        return await self._page(scope, page, {})

    async def coming(self, tenant: str) -> list[Closure]:
        """Return a tenant's closures that are not over."""
        found = self._stored.find({"tenant": tenant, "$or": _not_over()})
        return [Closure.restored(fields) async for fields in found]

    async def everywhere(self) -> list[Closure]:
        """Return the closures of all tenants that are not over, for a shard that begins: it serves them all."""
        found = self._database.everywhere(self.collection, {"$or": _not_over()})
        return [Closure.restored(fields) async for fields in found]


def _not_over() -> list[dict[str, Any]]:
    return [{"endsAt": None}, {"endsAt": {"$gt": now()}}]


def _taken(fault: DuplicateKeyError) -> Conflict:
    field = "plate" if "plate" in (fault.details or {}).get("keyPattern", {}) else "external id"
    return Conflict(f"another one in the company has this {field}")
