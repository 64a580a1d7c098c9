"""Notifications in MongoDB, and the rules that companies have made for them."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from models.documents.document import now
from models.documents.notification import Channel, Notification, NotificationState, Outcome, Template, Try
from models.documents.notification_rules import NotificationRules
from models.documents.task import Task
from models.errors import NotFound, VersionConflict
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session, in_transaction
from models.store.versions import replace_at

__all__ = ["NotificationFilter", "NotificationRepository", "NotificationRulesRepository"]


@dataclass(frozen=True, slots=True)
class NotificationFilter:
    """Which notifications are wanted; what is None does not matter."""

    delivery: str | None = None
    state: NotificationState | None = None
    channel: Channel | None = None
    """Over which they were sent, or last tried."""
    template: Template | None = None


class NotificationRepository:
    """The notifications of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, notifications: Sequence[Notification], session: Session | None = None) -> None:
        """Store notifications of one tenant. One whose id is there already is left as it is."""
        if not notifications:
            return
        await self._database.notifications.bulk_write([_unless_there(one) for one in notifications], session=session)

    async def put_with(self, notification: Notification, task: Task, announcement: Announcement) -> None:
        """Store a notification with the task that sends it and the event of it, all or none."""

        async def insert(session: Session) -> None:
            await self.put([notification], session)
            await TaskRepository(self._database).put([task], session)
            await OutboxRepository(self._database).put(session, [announcement])

        await in_transaction(self._database, insert)

    async def get(self, scope: Scope, notification: str) -> Notification:
        """Return one notification.

        Raises
        ------
        NotFound
            If the tenant has no such notification.
        """
        found = await self._database.notifications.find_one({"_id": notification, "tenant": scope.tenant})
        if found is None:
            raise NotFound("notification", notification)
        return Notification.restored(found)

    async def page(self, scope: Scope, page: PageRequest, wanted: NotificationFilter) -> Page[Notification]:
        """Return one page of the tenant's notifications, newest first."""
        query: dict[str, Any] = {"tenant": scope.tenant}
        for name in ("delivery", "state", "channel", "template"):
            if (value := getattr(wanted, name)) is not None:
                query[name] = value
        return await read_page(self._database.notifications, Notification, query, page, newest_first=True)

    async def has_alert(self, scope: Scope, about: str, after: datetime.datetime, session: Session) -> bool:
        """Tell whether admins were alerted about something after an instant."""
        query = {"tenant": scope.tenant, "about": about, "createdAt": {"$gt": after}}
        return await self._database.notifications.find_one(query, {"_id": 1}, session=session) is not None

    async def begin(self, notification: Notification, channel: Channel) -> Notification | None:
        """Write down that a message is handed to a provider now, before it is; None if somebody else has come first.

        What is begun and never ended tells whoever comes next that it may have been sent.
        """
        moment = now()
        begun = Try(channel=channel, at=moment, outcome="begun").model_dump(by_alias=True, exclude_none=True)
        found = await self._database.notifications.find_one_and_update(
            _as_seen(notification),
            {"$set": {"state": "sending", "channel": channel, "updatedAt": moment}, "$push": {"tries": begun}},
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else Notification.restored(found)

    async def end(
        self, notification: Notification, outcome: Outcome, state: NotificationState, detail: str | None = None
    ) -> Notification:
        """Write down what came of the last try, if nobody has begun another since."""
        last = len(notification.tries) - 1
        change: dict[str, str] = {f"tries.{last}.outcome": outcome, "state": state}
        if detail is not None:
            change[f"tries.{last}.detail"] = detail[:200]
        return await self._set(notification, change)

    async def settle(self, notification: Notification, state: NotificationState, reason: str | None) -> Notification:
        """Write down what has become of a notification, without a further try."""
        return await self._set(notification, {"state": state} | ({"reason": reason} if reason is not None else {}))

    async def _set(self, notification: Notification, change: dict[str, Any]) -> Notification:
        found = await self._database.notifications.find_one_and_update(
            _as_seen(notification),
            {"$set": {**change, "updatedAt": now()}},
            return_document=ReturnDocument.AFTER,
        )
        return notification if found is None else Notification.restored(found)


class NotificationRulesRepository:
    """What companies have chosen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox = OutboxRepository(database)

    async def get(self, scope: Scope) -> NotificationRules:
        """Return the tenant's rules; those who have chosen nothing have the usual ones."""
        return NotificationRules.restored(await self._read(scope))

    async def shown(self, scope: Scope) -> NotificationRules:
        """Return the tenant's rules from what this process keeps, not to be changed."""

        async def read() -> Mapping[str, Any]:
            return await self._read(scope)

        return await self._database.read("rules", scope.tenant, "all", read, NotificationRules.restored)

    async def _read(self, scope: Scope) -> Mapping[str, Any]:
        query = {"_id": scope.tenant, "tenant": scope.tenant}
        found: Mapping[str, Any] | None = await self._database.notification_rules.find_one(query)
        return query if found is None else found

    async def replace(self, rules: NotificationRules, expected: int, announcement: Announcement) -> None:
        """Store changed rules and their event, if they still are at version `expected`.

        Raises
        ------
        VersionConflict
            If somebody was faster.
        """

        async def swap(session: Session) -> None:
            if expected == 1:  # nobody has stored any
                await self._database.notification_rules.insert_one(rules.stored(), session=session)
            else:
                await replace_at(self._database.notification_rules, rules, expected, session)
            await self._outbox.put(session, [announcement])

        try:
            await self._database.write("rules", rules.tenant, in_transaction(self._database, swap))
        except DuplicateKeyError as fault:
            current = await self.get(Scope(rules.tenant, announcement.event.actor))
            raise VersionConflict("notification rules", expected, current.version) from fault


def _unless_there(notification: Notification) -> UpdateOne:
    fields = notification.stored()
    return UpdateOne(
        {"_id": fields.pop("_id"), "tenant": fields.pop("tenant")},
        {"$setOnInsert": {**fields, "tries": []}},
        upsert=True,
    )


def _as_seen(notification: Notification) -> dict[str, Any]:
    """Return a filter by which a notification is found only if nobody has tried to send it since it was read."""
    return {"_id": notification.id, "tenant": notification.tenant, "tries": {"$size": len(notification.tries)}}
