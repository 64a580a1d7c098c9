"""Geofences in MongoDB. Every change tells all shards through the outbox."""

from collections.abc import Mapping
from typing import Any, Literal

from models.documents.document import now
from models.documents.event import Event
from models.documents.geofence import FenceShape, Geofence
from models.errors import NotFound, check_version
from models.ids import new_id
from models.messages.commands import FencesChanged
from models.store.connections import Database
from models.store.counters import take_numbers
from models.store.kept import page_key, page_restored, page_stored
from models.store.outbox import EVERYWHERE, Announcement, OutboxRepository, Routed
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction
from models.store.versions import delete_at, replace_at

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
            await self._outbox.put(session, [_announcement(scope, None, fence, "created")])

        await self._database.write("geofences", scope.tenant, in_transaction(self._database, insert))
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

    async def shown(self, scope: Scope, fence: str) -> Geofence:
        """Return one fence to be looked at, not to be changed: from what this process keeps. Raises as `get`."""

        async def read() -> Mapping[str, Any]:
            return (await self.get(scope, fence)).stored()

        return await self._database.read("geofences", scope.tenant, fence, read, Geofence.restored)

    async def replace(self, scope: Scope, fence: str, shape: FenceShape, version: int | None) -> Geofence:
        """Give a fence another shape and return it.

        Raises
        ------
        NotFound
            If the tenant has no such fence.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._seen(scope, fence, version)
        after = before.model_copy(update={**dict(shape), "version": before.version + 1})

        async def swap(session: Session) -> None:
            await replace_at(self._database.geofences, after, before.version, session)
            await self._outbox.put(session, [_announcement(scope, before, after, "changed")])

        await self._database.write("geofences", scope.tenant, in_transaction(self._database, swap))
        return after

    async def delete(self, scope: Scope, fence: str, version: int | None = None) -> None:
        """Delete a fence; raises as `replace`."""
        before = await self._seen(scope, fence, version)
        last = before.model_copy(update={"version": before.version + 1})

        async def remove(session: Session) -> None:
            await delete_at(self._database.geofences, before, session)
            await self._outbox.put(session, [_announcement(scope, before, last, "deleted")])

        await self._database.write("geofences", scope.tenant, in_transaction(self._database, remove))

    async def page(self, scope: Scope, page: PageRequest) -> Page[Geofence]:
        """Return one page of the tenant's fences, oldest first."""
        collection, query = self._database.geofences, {"tenant": scope.tenant}

        async def read() -> Mapping[str, Any]:
            return page_stored(await read_page(collection, Geofence, query, page, newest_first=False))

        key = page_key("geofences", page, {})
        return await self._database.read("geofences", scope.tenant, key, read, page_restored(Geofence))

    async def of(self, tenant: str) -> list[Geofence]:
        """Return all fences of a tenant, for the shards."""
        return [Geofence.restored(fields) async for fields in self._database.geofences.find({"tenant": tenant})]

    async def everywhere(self) -> list[Geofence]:
        """Return the fences of all tenants, for a shard that begins: it serves them all."""
        return [Geofence.restored(fields) async for fields in self._database.everywhere("geofences", {})]

    async def _seen(self, scope: Scope, fence: str, version: int | None) -> Geofence:
        found = await self.get(scope, fence)
        check_version(fence, version, found.version)
        return found


def _announcement(
    scope: Scope, before: Geofence | None, fence: Geofence, change: Literal["created", "changed", "deleted"]
) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=f"geofence.{change}",
        aggregate=fence.id,
        sequence=fence.version,
        actor=scope.actor,
        data={"geofenceId": fence.id, "name": fence.name, "version": fence.version},
    )
    message = FencesChanged(event=event.id, tenant=scope.tenant)
    return Announcement(event, (Routed(EVERYWHERE, message),), before, None if change == "deleted" else fence)
