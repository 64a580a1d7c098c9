"""Makes a task of every event and every webhook that wants it, in the transaction that moves the follower's place."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from engine.feed.kept import KeptByTenant
from models.documents.event import ENGINE, Event
from models.documents.task import Task
from models.documents.webhook import Webhook
from models.store.connections import Database
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session
from models.store.webhooks import WebhookRepository

__all__ = ["WEBHOOK", "WebhookFollower", "task_of"]

WEBHOOK = "webhook"
"""Kind of the tasks."""


class WebhookFollower:
    """Follows the feed for webhooks."""

    name = "webhooks"
    begins: Literal["oldest", "newest"] = "newest"
    patience_s = 0.0

    def __init__(self, database: Database) -> None:
        self._webhooks = WebhookRepository(database)
        self._tasks = TaskRepository(database)
        self._listens = KeptByTenant(self._has_webhook, "webhook.")

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events of tenants that have a webhook."""
        self._listens.heed(events)
        return [event for event in events if await self._listens.of(event.tenant)]

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Store the tasks that follow from some events."""
        listening = await self._webhooks.listening({event.tenant for event in events}, session)
        await self._tasks.put(list(_tasks_of(events, listening)), session)

    async def _has_webhook(self, tenant: str) -> bool:
        return await self._webhooks.is_listening(Scope(tenant, ENGINE))


def task_of(webhook: Webhook, event: str, again: str = "") -> Task:
    """Return the task of telling a webhook of an event: the same one however often it is asked for.

    Parameters
    ----------
    again
        Tells a replay from the first time.
    """
    digest = hashlib.blake2b(f"{webhook.id}/{event}/{again}".encode(), digest_size=13).hexdigest()
    payload = {"webhook": webhook.id, "event": event}
    return Task(id=f"tsk_{digest}", tenant=webhook.tenant, kind=WEBHOOK, payload=payload, lane=webhook.id)


def _tasks_of(events: Sequence[Event], listening: Iterable[Webhook]) -> Iterable[Task]:
    for webhook in listening:
        for event in events:
            if event.tenant == webhook.tenant and webhook.wants(event.type) and not _is_about(event, webhook):
                yield task_of(webhook, event.id)


def _is_about(event: Event, webhook: Webhook) -> bool:
    """Tell whether an event says that telling this very webhook failed: telling it that would go on for ever."""
    return event.type == "task.failed" and event.data.get("lane") == webhook.id
