"""Deliveries in MongoDB. Every change is stored with its events in one transaction."""

import datetime
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import bson

from models.documents.delivery import CLOSED, Delivery, Priority, Status
from models.documents.document import Document
from models.documents.event import Event
from models.errors import NotFound
from models.store.connections import Database
from models.store.contacts import Contacts
from models.store.indexes import any_text
from models.store.moments import UNZONED, give_zone, moments_of
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, find_raw_page, read_page
from models.store.personal import open_changes, open_read
from models.store.scope import Scope
from models.store.together import PreparedChange, Replacement
from models.store.transactions import Session, Write, in_transaction
from models.store.versions import replace_at, replace_many_at

__all__ = ["DeliveryFilter", "DeliveryRepository", "Load"]

_MOMENTS = moments_of(Delivery)
_BATCH = 500  # documents of an export that travel together
_OPEN = sorted(set(Status) - CLOSED)
_MOST_OPEN = 1000  # of one driver; a full day has two hundred
_MOST_EVENTS = 5000  # of one delivery; a usual one has ten


@dataclass(frozen=True, slots=True)
class Load:
    """What a driver has to do."""

    count: int = 0
    """Open deliveries."""
    weight_kg: float = 0.0
    volume_m3: float = 0.0


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are wanted; what is None or empty does not matter."""

    statuses: Sequence[Status] = ()
    driver: str | None = None
    priority: Priority | None = None
    reference: str | None = None
    created_from: datetime.datetime | None = None
    created_to: datetime.datetime | None = None
    """Not included."""
    phone: str | None = None
    """The customer's, however it is written."""
    located: bool | None = None
    """Whether all its places are known as points."""


class DeliveryRepository:
    """The deliveries of a tenant; what is personal in them is sealed in MongoDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox, self._contacts = OutboxRepository(database), Contacts(database)

    async def create(self, deliveries: Sequence[Delivery], announcements: Sequence[Announcement]) -> None:
        """Store new deliveries and their events, all or none."""
        stored = [await self._contacts.sealed(delivery.stored()) for delivery in deliveries]
        inserts = [(self._database.blocking("deliveries", *stored), stored)]
        await self._database.together.change(
            PreparedChange([*inserts, *await self._outbox.prepared(announcements)]),
        )

    async def replace(
        self,
        delivery: Delivery,
        *,
        expected: int,
        announcements: Sequence[Announcement],
        also: Sequence[Write] = (),
    ) -> None:
        """Store a changed delivery and its events, if it still is at version `expected`.

        Parameters
        ----------
        also
            Further writes that belong to the change, in its transaction.

        Raises
        ------
        VersionConflict
            If somebody was faster.
        """
        if not also:
            it = await self._replacement(delivery, expected, announcements)
            await self._database.together.change(PreparedChange(await self._outbox.prepared(announcements), it))
            return
        stored = await self._contacts.sealed(delivery.stored())

        async def swap(session: Session) -> None:
            await replace_at(self._database.deliveries, delivery, expected, session, stored)
            for write in also:
                await write(session)
            await self._outbox.put(session, announcements)

        await in_transaction(self._database, swap)

    async def _replacement(
        self, delivery: Delivery, expected: int, announcements: Sequence[Announcement]
    ) -> Replacement:
        """Return what stores a changed delivery: only what changed, where announcements know how it was."""
        query = {"_id": delivery.id, "tenant": delivery.tenant, "version": expected}
        collection = self._database.blocking("deliveries", query)
        before = next((one for one in announcements if _is(one.before, delivery.id, expected)), None)
        after = next((one for one in announcements if one.after is delivery), None)
        fields = delivery.stored() if after is None else after.becomes
        if before is not None and (changes := open_changes("deliveries", before.was, fields)) is not None:
            return Replacement(collection, query, changes, is_update=True)
        return Replacement(collection, query, await self._contacts.sealed(fields))

    async def store_many(
        self,
        created: Sequence[Delivery],
        changed: Sequence[tuple[Delivery, int]],
        announcements: Sequence[Announcement],
        also: Write,
    ) -> None:
        """Store new deliveries, changed ones and their events, and whatever `also` stores: all or none.

        Parameters
        ----------
        changed
            Pairs of a changed delivery and the version that the change was decided on.

        Raises
        ------
        VersionConflict
            If somebody was faster with one of the changed ones.
        """
        new = [await self._contacts.sealed(delivery.stored()) for delivery in created]
        replaced = [
            (delivery, expected, await self._contacts.sealed(delivery.stored())) for delivery, expected in changed
        ]

        async def store(session: Session) -> None:
            await also(session)
            if new:
                await self._database.deliveries.insert_many(new, session=session)
            await replace_many_at(self._database.deliveries, replaced, session)
            await self._outbox.put(session, announcements)

        await in_transaction(self._database, store)

    async def get_many(self, scope: Scope, deliveries: Sequence[str]) -> dict[str, Delivery]:
        """Return those of `deliveries` that the tenant has, by id."""
        query = {"_id": {"$in": list(deliveries)}, "tenant": scope.tenant}
        found = self._database.deliveries.find(query)
        return {fields["_id"]: Delivery.restored(await self._opened(fields)) async for fields in found}

    async def by_reference(self, scope: Scope, references: Sequence[str]) -> dict[str, Delivery]:
        """Return the newest delivery of each of these references that the tenant has, cancelled ones left out."""
        query = {"tenant": scope.tenant, "reference": any_text(references), "status": {"$ne": Status.CANCELLED}}
        found = self._database.deliveries.find(query).sort("_id", 1)
        return {fields["reference"]: Delivery.restored(await self._opened(fields)) async for fields in found}

    async def each(self, scope: Scope, wanted: DeliveryFilter, *, newest_first: bool) -> AsyncIterator[Delivery]:
        """Yield the tenant's deliveries in the order of their making, some hundred in memory at a time."""
        query = await self._wanted(scope, wanted)
        found = self._database.deliveries.find(query, batch_size=_BATCH).sort("_id", -1 if newest_first else 1)
        async for fields in found:
            yield Delivery.restored(await self._opened(fields))

    async def get(self, scope: Scope, delivery: str) -> Delivery:
        """Return one delivery.

        Raises
        ------
        NotFound
            If the tenant has no such delivery.
        """
        return Delivery.restored(await self.fields_of(scope, delivery))

    async def fields_of(self, scope: Scope, delivery: str) -> dict[str, Any]:
        """Return one delivery as MongoDB keeps it, in clear: for who only shows it; raises as `get`."""
        return await self._opened(await self._found(scope, delivery))

    async def course_of(self, scope: Scope, delivery: str) -> dict[str, Any]:
        """Return one delivery as MongoDB keeps it, what is personal still sealed; raises as `get`.

        That is enough for whoever wants to know how far it is and where its stops are.
        """
        return await self._found(scope, delivery)

    async def open_of(self, scope: Scope, driver: str) -> list[Delivery]:
        """Return what a driver has to do, oldest first."""
        query = {"tenant": scope.tenant, "driver": driver, "status": {"$in": _OPEN}}
        found = await self._database.deliveries.find(query).sort("_id", 1).to_list(_MOST_OPEN)
        return [Delivery.restored(await self._opened(fields)) for fields in found]

    async def loads_of(self, scope: Scope, drivers: Sequence[str]) -> dict[str, Load]:
        """Return what drivers have to do; those who have nothing are left out."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"tenant": scope.tenant, "driver": {"$in": list(drivers)}, "status": {"$in": _OPEN}}},
            {
                "$group": {
                    "_id": "$driver",
                    "count": {"$sum": 1},
                    "weight": {"$sum": "$weightKg"},
                    "volume": {"$sum": "$volumeM3"},
                }
            },
        ]
        found = self._database.deliveries.aggregate(pipeline)
        return {one["_id"]: Load(one["count"], one["weight"], one["volume"]) async for one in found}

    async def events(self, scope: Scope, delivery: str) -> list[Event]:
        """Return what happened to a delivery, motion at its stops included, by number within the delivery."""
        query = {"tenant": scope.tenant, "aggregate": delivery}
        found = await self._database.events.find(query).sort("sequence", 1).to_list(_MOST_EVENTS)
        return [Event.restored(fields) for fields in found]

    async def page(
        self, scope: Scope, page: PageRequest, wanted: DeliveryFilter, *, newest_first: bool
    ) -> Page[Delivery]:
        """Return one page of the tenant's deliveries in the order of their making."""
        query = await self._wanted(scope, wanted)
        return await read_page(
            self._database.deliveries, Delivery, query, page, newest_first=newest_first, opened=self._opened
        )

    async def raw_page(
        self, scope: Scope, page: PageRequest, wanted: DeliveryFilter, *, newest_first: bool
    ) -> Page[bytes]:
        """Return the same page as `page`, each delivery as the bytes that MongoDB keeps; `read_raw` reads them."""
        query = await self._wanted(scope, wanted)
        collection = self._database.blocking("deliveries", query)
        return await self._database.together.read_list(find_raw_page, collection, query, page, newest_first)

    async def read_raw(self, stored: bytes) -> dict[str, Any]:
        """Return what the bytes of a stored delivery say, in clear."""
        return await self._opened(give_zone(bson.decode(stored, UNZONED), _MOMENTS))

    async def _found(self, scope: Scope, delivery: str) -> dict[str, Any]:
        found = await self._database.together.read("deliveries", scope.tenant, delivery)
        if found is None:
            raise NotFound("delivery", delivery)
        return give_zone(found, _MOMENTS)

    async def _wanted(self, scope: Scope, wanted: DeliveryFilter) -> dict[str, Any]:
        query = {"tenant": scope.tenant} | _query(wanted)
        if wanted.phone is not None:
            query |= await self._contacts.query(scope.tenant, phone=wanted.phone)
        return query

    async def _opened(self, fields: dict[str, Any]) -> dict[str, Any]:
        return await open_read(self._database.vault, "deliveries", fields["tenant"], fields)


def _query(wanted: DeliveryFilter) -> dict[str, Any]:
    query: dict[str, Any] = {}
    if wanted.statuses:
        query["status"] = {"$in": [status.value for status in wanted.statuses]}
    for name in ("driver", "priority"):
        if (value := getattr(wanted, name)) is not None:
            query[name] = value
    if wanted.reference is not None:
        query["reference"] = any_text([wanted.reference])
    if wanted.located is not None:
        query["unlocated"] = {"$ne": True} if wanted.located else True
    made = {"$gte": wanted.created_from, "$lt": wanted.created_to}
    if made := {sign: moment for sign, moment in made.items() if moment is not None}:
        query["createdAt"] = made
    return query


def _is(document: Document | None, identifier: str, version: int) -> bool:
    """Tell whether a document is that delivery at that version."""
    return isinstance(document, Delivery) and (document.id, document.version) == (identifier, version)
