"""Geofences in MongoDB. Every change tells all shards through the outbox."""

from models.documents.document import now
from models.documents.event import Event
from models.documents.geofence import FenceShape, Geofence
from models.errors import NotFound
from models.ids import new_id
from models.messages.commands import FencesChanged
from models.store.connections import Database
from models.store.counters import take_numbers
from models.store.outbox import EVERYWHERE, Announcement, OutboxRepository, Routed
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction

__all__ = ["GeofenceRepository"]


class GeofenceRepository:
    """The geofences of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox = OutboxRepository(database)

    async def create(self, scope: Scope, shape: FenceShape) -> Geofence:
        """Store a new fence and return it."""
        number = (await take_numbers(self._database, "geofences", 1))[0]
        fence = Geofence(id=new_id("geo"), tenant=scope.tenant, number=number, **dict(shape))

        async def insert(session: Session) -> None:
            await self._database.geofences.insert_one(fence.stored(), session=session)
            await self._outbox.put(session, [_announcement(scope, fence.id, "geofence.created", 1)])

        await in_transaction(self._database, insert)
        return fence

    async def get(self, scope: Scope, fence: str) -> Geofence:
        """Return one fence.

        Raises
        ------
        NotFound
            If the tenant has no such fence.
        """
        found = await self._database.geofences.find_one({"_id": fence, "tenant": scope.tenant})
        if found is None:
            raise NotFound("geofence", fence)
        return Geofence.restored(found)

    async def delete(self, scope: Scope, fence: str) -> None:
        """Delete a fence.

        Raises
        ------
        NotFound
            If the tenant has no such fence.
        """

        async def remove(session: Session) -> None:
            query = {"_id": fence, "tenant": scope.tenant}
            gone = await self._database.geofences.delete_one(query, session=session)
            if gone.deleted_count == 0:
                raise NotFound("geofence", fence)
            await self._outbox.put(session, [_announcement(scope, fence, "geofence.deleted", 2)])

        await in_transaction(self._database, remove)

    async def page(self, scope: Scope, page: PageRequest) -> Page[Geofence]:
        """Return one page of the tenant's fences, oldest first."""
        return await read_page(self._database.geofences, Geofence, {"tenant": scope.tenant}, page, newest_first=False)

    async def everywhere(self) -> list[Geofence]:
        """Return the fences of all tenants, for the shards, which serve them all."""
        return [Geofence.restored(fields) async for fields in self._database.geofences.find({})]


def _announcement(scope: Scope, fence: str, kind: str, sequence: int) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=kind,
        aggregate=fence,
        sequence=sequence,
        actor=scope.actor,
    )
    return Announcement(event, (Routed(EVERYWHERE, FencesChanged(event=event.id, tenant=scope.tenant)),))
