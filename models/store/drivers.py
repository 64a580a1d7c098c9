"""Drivers in MongoDB."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError

from models.documents.delivery import CLOSED
from models.documents.driver import Driver, DriverPost, MotionProfileName
from models.documents.event import Event
from models.documents.language import Language
from models.errors import Conflict, NotFound
from models.ids import new_id
from models.messages.log import partition_of
from models.store.connections import Database
from models.store.counters import take_numbers
from models.store.indexes import any_text
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction
from models.store.versions import delete_at, replace_at

__all__ = ["DriverRepository", "NewDriver"]

_DUPLICATE_KEY = 11000
_MOST_POSTS = 200_000
_FEW = 8
"""Drivers of a question that goes together with others' (`models.store.together`); more are a find of their own."""


@dataclass(frozen=True, slots=True)
class NewDriver:
    """A driver to be created."""

    name: str
    external_id: str | None = None
    phone: str | None = None
    email: str | None = None
    push_token: str | None = None
    language: Language | None = None
    profile: MotionProfileName | None = None


class DriverRepository:
    """The drivers of a tenant."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._database = database
        self._partitions = partitions
        self._outbox = OutboxRepository(database)

    async def create_many(self, scope: Scope, drivers: Sequence[NewDriver]) -> list[Driver]:
        """Create drivers, all or none, and return them with their numbers and partitions.

        Raises
        ------
        Conflict
            If an external id is taken in the tenant, or comes twice.
        """
        if not drivers:
            return []
        numbers = await take_numbers(self._database, "drivers", len(drivers))
        made = [self._made(scope, new, number) for new, number in zip(drivers, numbers, strict=True)]

        async def insert(session: Session) -> None:
            await self._database.drivers.insert_many([driver.stored() for driver in made], session=session)
            await self._outbox.put(session, [_created(scope, driver) for driver in made])

        try:
            await in_transaction(self._database, insert)
        except BulkWriteError as fault:
            raise _taken(fault, made) from fault
        return made

    async def get(self, scope: Scope, driver: str) -> Driver:
        """Return one driver.

        Raises
        ------
        NotFound
            If the tenant has no such driver.
        """
        found = await self._database.together.read("drivers", scope.tenant, driver)
        if found is None:
            raise NotFound("driver", driver)
        return Driver.restored(found)

    async def get_many(self, scope: Scope, drivers: Sequence[str]) -> dict[str, Driver]:
        """Return those of `drivers` that the tenant has, by id."""
        wanted = set(drivers)
        if len(wanted) <= _FEW:
            reads = (self._database.together.read("drivers", scope.tenant, driver) for driver in wanted)
            found = [fields for fields in await asyncio.gather(*reads) if fields is not None]
        else:
            query = {"_id": {"$in": list(wanted)}, "tenant": scope.tenant}
            found = await self._database.drivers.find(query).to_list(None)
        return {fields["_id"]: Driver.restored(fields) for fields in found}

    async def posts_of(self, scope: Scope, drivers: Collection[str]) -> dict[str, DriverPost]:
        """Return where the engine has those of some drivers that the tenant has, or had: it is read once a process."""
        known = self._database.posts
        missing = [driver for driver in drivers if (scope.tenant, driver) not in known]
        if missing:
            if len(known) > _MOST_POSTS:
                known.clear()
            for driver in (await self.get_many(scope, missing)).values():
                known[scope.tenant, driver.id] = DriverPost(driver.number, driver.partition)
        found = {driver: known.get((scope.tenant, driver)) for driver in drivers}
        return {driver: post for driver, post in found.items() if post is not None}

    async def page(self, scope: Scope, page: PageRequest, *, external_id: str | None = None) -> Page[Driver]:
        """Return one page of the tenant's drivers, oldest first."""
        query: dict[str, Any] = {"tenant": scope.tenant}
        if external_id is not None:
            query["externalId"] = any_text([external_id])
        return await read_page(self._database.drivers, Driver, query, page, newest_first=False)

    async def replace(self, driver: Driver, expected: int, announcement: Announcement) -> None:
        """Store a changed driver and its event, if it still is at version `expected`.

        Raises
        ------
        Conflict
            If its external id is taken.
        VersionConflict
            If somebody was faster.
        """

        async def swap(session: Session) -> None:
            await replace_at(self._database.drivers, driver, expected, session)
            await self._outbox.put(session, [announcement])

        try:
            await in_transaction(self._database, swap)
        except DuplicateKeyError as fault:
            raise Conflict(f"the external id {driver.external_id} is taken") from fault

    async def delete(self, driver: Driver, announcement: Announcement) -> None:
        """Delete a driver and its device keys, with the event of it.

        Raises
        ------
        Conflict
            If it has open deliveries or a vehicle.
        VersionConflict
            If somebody has changed or deleted it meanwhile.
        """

        async def remove(session: Session) -> None:
            open_ones = {"tenant": driver.tenant, "driver": driver.id, "status": {"$nin": [*CLOSED]}}
            if found := await self._database.deliveries.find_one(open_ones, {"_id": 1}, session=session):
                raise Conflict(f"{driver.name} still has deliveries that are open, such as {found['_id']}")
            of_it = {"tenant": driver.tenant, "driverId": driver.id}
            if found := await self._database.vehicles.find_one(of_it, {"name": 1}, session=session):
                raise Conflict(f"{driver.name} still is the driver of a vehicle, {found['name']}")
            await delete_at(self._database.drivers, driver, session)
            await self._database.keys.delete_many({"tenant": driver.tenant, "driver": driver.id}, session=session)
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, remove)

    def _made(self, scope: Scope, new: NewDriver, number: int) -> Driver:
        identifier = new_id("drv")
        return Driver(
            id=identifier,
            tenant=scope.tenant,
            number=number,
            partition=partition_of(scope.tenant, identifier, self._partitions),
            name=new.name,
            external_id=new.external_id,
            phone=new.phone,
            email=new.email,
            push_token=new.push_token,
            language=new.language,
            profile=new.profile,
        )


def _created(scope: Scope, driver: Driver) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=driver.created_at,
        type="driver.created",
        aggregate=driver.id,
        sequence=driver.version,
        actor=scope.actor,
        data={"driverId": driver.id, "number": driver.number, "name": driver.name, "version": driver.version},
    )
    return Announcement(event, after=driver)


def _taken(fault: BulkWriteError, made: Sequence[Driver]) -> Exception:
    first = fault.details["writeErrors"][0]
    if first["code"] != _DUPLICATE_KEY:
        return fault
    return Conflict(f"the external id {made[first['index']].external_id} is taken")
