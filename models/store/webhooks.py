"""Webhooks in MongoDB, and the record of every try to tell them something."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import WriteConcern

from models.documents.document import now
from models.documents.webhook import Webhook, WebhookAttempt
from models.errors import Conflict, NotFound
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.personal import opened, sealed
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction
from models.store.versions import delete_at, replace_at

__all__ = ["MOST_WEBHOOKS", "WebhookAttemptRepository", "WebhookRepository"]

MOST_WEBHOOKS = 100
"""Webhooks of one tenant: each event may become a post to every one of them."""

_COLLECTION = "webhooks"


class WebhookRepository:
    """The webhooks of a tenant; their secrets are sealed in MongoDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox = OutboxRepository(database)

    async def create(self, webhook: Webhook, announcement: Announcement) -> None:
        """Store a new webhook and its event.

        Raises
        ------
        Conflict
            If the tenant has as many as it may.
        """
        stored = await self._stored(webhook)

        async def insert(session: Session) -> None:
            if await self._database.webhooks.count_documents({"tenant": webhook.tenant}) >= MOST_WEBHOOKS:
                raise Conflict(f"a company has {MOST_WEBHOOKS} webhooks at most")
            await self._database.webhooks.insert_one(stored, session=session)
            await self._outbox.put(session, [announcement])

        await self._database.write("webhooks", webhook.tenant, in_transaction(self._database, insert))

    async def get(self, scope: Scope, webhook: str) -> Webhook:
        """Return one webhook.

        Raises
        ------
        NotFound
            If the tenant has no such webhook.
        """
        found = await self._database.webhooks.find_one({"_id": webhook, "tenant": scope.tenant})
        if found is None:
            raise NotFound("webhook", webhook)
        return Webhook.restored(await self._opened(found))

    async def page(self, scope: Scope, page: PageRequest) -> Page[Webhook]:
        """Return one page of the tenant's webhooks, oldest first."""
        return await read_page(
            self._database.webhooks,
            Webhook,
            {"tenant": scope.tenant},
            page,
            newest_first=False,
            opened=self._opened,
        )

    async def is_listening(self, scope: Scope) -> bool:
        """Tell whether the tenant has a webhook that is to be told of events, from what this process keeps."""

        async def read() -> Mapping[str, Any]:
            query = {"tenant": scope.tenant, "enabled": True}
            return {"any": await self._database.webhooks.find_one(query, {"_id": 1}) is not None}

        return await self._database.read("webhooks", scope.tenant, "any", read, lambda fields: bool(fields["any"]))

    async def listening(self, tenants: Iterable[str], session: Session | None = None) -> list[Webhook]:
        """Return the webhooks of some tenants that are to be told of events, without their secrets."""
        listening = []
        for tenant in sorted(tenants):
            query = {"tenant": tenant, "enabled": True}
            found = self._database.webhooks.find(query, {"secrets": 0}, session=session)
            listening += [Webhook.restored(fields) async for fields in found]
        return listening

    async def replace(self, webhook: Webhook, expected: int, announcement: Announcement) -> None:
        """Store a changed webhook and its event, if it still is at version `expected`.

        Raises
        ------
        VersionConflict
            If somebody was faster.
        """
        stored = await self._stored(webhook)

        async def swap(session: Session) -> None:
            await replace_at(self._database.webhooks, webhook, expected, session, stored)
            await self._outbox.put(session, [announcement])

        await self._database.write("webhooks", webhook.tenant, in_transaction(self._database, swap))

    async def delete(self, webhook: Webhook, announcement: Announcement) -> None:
        """Delete a webhook with the record of its tries, with the event of it.

        Raises
        ------
        VersionConflict
            If somebody has changed or deleted it meanwhile.
        """

        async def remove(session: Session) -> None:
            await delete_at(self._database.webhooks, webhook, session)
            await self._outbox.put(session, [announcement])

        await self._database.write("webhooks", webhook.tenant, in_transaction(self._database, remove))
        await self._database.webhook_attempts.delete_many({"tenant": webhook.tenant, "webhook": webhook.id})

    async def _stored(self, webhook: Webhook) -> dict[str, Any]:
        return await sealed(self._database.vault, _COLLECTION, webhook.tenant, webhook.stored())

    async def _opened(self, fields: dict[str, Any]) -> dict[str, Any]:
        return await opened(self._database.vault, _COLLECTION, fields["tenant"], fields)


class WebhookAttemptRepository:
    """What became of every try; MongoDB drops it after some days."""

    def __init__(self, database: Database) -> None:
        self._attempts: Any = database["webhook_attempts"]

    async def note(self, attempt: WebhookAttempt) -> None:
        """Store one; a success need not be on disk before we go on, for nothing follows from it."""
        document = attempt.stored()
        place = self._attempts.place_of(document)
        if attempt.ok:
            place = place.with_options(write_concern=WriteConcern(w=1, j=False))
        await place.insert_one(document)

    async def page(self, scope: Scope, webhook: str, page: PageRequest, ok: bool | None = None) -> Page[WebhookAttempt]:
        """Return one page of the tries of a webhook, newest first; where asked, only those that went well or failed."""
        query: dict[str, Any] = {"tenant": scope.tenant, "webhook": webhook}
        if ok is not None:
            query["ok"] = ok
        return await read_page(self._attempts, WebhookAttempt, query, page, newest_first=True)

    async def failing_since(self, scope: Scope, webhook: str) -> datetime.datetime | None:
        """Return when the first failure came in after the last success; None if the last try went well."""
        mine = {"tenant": scope.tenant, "webhook": webhook}
        newest = [("_id", -1)]
        last_ok = await self._attempts.find_one({**mine, "ok": True}, {"_id": 1}, sort=newest)
        failed = {**mine, "ok": False} | ({"_id": {"$gt": last_ok["_id"]}} if last_ok else {})
        first = await self._attempts.find_one(failed, {"time": 1}, sort=[("_id", 1)])
        return None if first is None else first["time"]

    async def failed_events(self, scope: Scope, webhook: str, limit: int) -> list[str]:
        """Return ids of events that a webhook was told of in vain and that have no try ahead, oldest failure first.

        A try that was due and never came was meant for a webhook that was disabled by then.
        """
        pipeline: Sequence[dict[str, Any]] = [
            {"$match": {"tenant": scope.tenant, "webhook": webhook}},
            {"$sort": {"_id": 1}},
            {"$group": {"_id": "$event", "last": {"$last": "$$ROOT"}}},
            {"$match": {"last.ok": False, "last.nextAttempt": {"$not": {"$gt": now()}}}},
            {"$sort": {"last._id": 1}},
            {"$limit": limit},
            {"$project": {"_id": 1}},
        ]
        return [found["_id"] async for found in self._attempts.aggregate(pipeline, allowDiskUse=True)]
