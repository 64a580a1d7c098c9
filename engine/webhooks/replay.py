"""Telling a webhook again what it has missed, from the same events that the feed is made of."""

import datetime

from engine.webhooks.follower import task_of
from models.documents.webhook import Webhook
from models.ids import new_id
from models.store.connections import Database
from models.store.events import EventRepository
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.webhooks import WebhookAttemptRepository

__all__ = ["MOST_AT_ONCE", "WebhookReplay"]

MOST_AT_ONCE = 10_000
"""Events that one call takes."""

_MOST_READ = 100_000  # by one call: of a long feed a webhook may want little
_READ_AT_ONCE = 1000


class WebhookReplay:
    """Puts tasks for events that have been before."""

    def __init__(self, database: Database) -> None:
        self._events = EventRepository(database)
        self._attempts = WebhookAttemptRepository(database)
        self._tasks = TaskRepository(database)

    async def feed(
        self, scope: Scope, webhook: Webhook, *, since: datetime.datetime | None = None, after: int = 0
    ) -> tuple[int, int | None]:
        """Tell a webhook of everything that it wants after a place in the feed, or from a moment on.

        Returns
        -------
        tuple
            How many events that are, and the place where to go on if there are more.
        """
        if since is not None:
            after = await self._events.place_before(scope, since)
        replay, queued, read = new_id("rpl"), 0, 0
        while queued < MOST_AT_ONCE and read < _MOST_READ:
            events = await self._events.after(scope, after, _READ_AT_ONCE)
            wanted = [event for event in events if webhook.wants(event.type)]
            await self._tasks.put([task_of(webhook, event.id, replay) for event in wanted])
            queued += len(wanted)
            read += len(events)
            if len(events) < _READ_AT_ONCE:
                return queued, None
            after = events[-1].number or after
        return queued, after

    async def failed(self, scope: Scope, webhook: Webhook) -> int:
        """Tell a webhook of what it was told of in vain, and return how many events that are.

        What lies among the dead letters is taken from there; what has left no dead letter gets a new task. What will be
        tried again anyway is left to that.
        """
        events = await self._attempts.failed_events(scope, webhook.id, MOST_AT_ONCE)
        tasks = {task_of(webhook, event).id: event for event in events}
        for waiting in await self._tasks.waiting(scope, list(tasks)):
            del tasks[waiting]
        revived = await self._tasks.revive_all(scope, list(tasks))
        replay = new_id("rpl")
        left = [event for task, event in tasks.items() if task not in revived]
        await self._tasks.put([task_of(webhook, event, replay) for event in left])
        return len(tasks)
