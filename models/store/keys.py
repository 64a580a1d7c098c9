"""API keys in MongoDB. A key is looked up by the digest of its token, before there is a scope."""

import datetime
from typing import Any

from models.documents.key import ApiKey
from models.errors import NotFound
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction

__all__ = ["KeyRepository"]


class KeyRepository:
    """The keys of tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: Any = database["keys"]
        self._outbox = OutboxRepository(database)

    async def create(self, key: ApiKey, announcement: Announcement) -> None:
        """Store a new key and its event."""

        async def insert(session: Session) -> None:
            await self._keys.insert_one(key.stored(), session=session)
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, insert)

    async def by_digest(self, identifier: str, digest: str) -> ApiKey | None:
        """Return the key with this id and this SHA-256 of its token."""
        found = await self._keys.find_one({"_id": identifier, "digest": digest})
        return None if found is None else ApiKey.restored(found)

    async def get(self, scope: Scope, identifier: str) -> ApiKey:
        """Return one key.

        Raises
        ------
        NotFound
            If the tenant has no such key.
        """
        found = await self._keys.find_one({"_id": identifier, "tenant": scope.tenant})
        if found is None:
            raise NotFound("key", identifier)
        return ApiKey.restored(found)

    async def page(self, scope: Scope, page: PageRequest) -> Page[ApiKey]:
        """Return one page of the tenant's keys, newest first."""
        return await read_page(self._keys, ApiKey, {"tenant": scope.tenant}, page, newest_first=True)

    async def note_use(self, key: ApiKey, moment: datetime.datetime) -> None:
        """Note that a key was used."""
        query = {"_id": key.id, "tenant": key.tenant}
        await self._keys.update_one(query, {"$max": {"lastUsedAt": moment}})

    async def delete(self, key: ApiKey, announcement: Announcement) -> None:
        """Delete a key for good, with the event of it.

        Raises
        ------
        NotFound
            If it is gone.
        """

        async def remove(session: Session) -> None:
            gone = await self._keys.delete_one({"_id": key.id, "tenant": key.tenant}, session=session)
            if gone.deleted_count == 0:
                raise NotFound("key", key.id)
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, remove)
